"""The verdict document: words, then the sample ratio, then every number, then the path by day."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from config.readable import signed
from learning.domain.analysis import past
from learning.domain.analysis.comparing import (
    Finding,
    batches,
    findings,
    horizon,
    look_fractions,
    one,
)
from learning.domain.analysis.read_interval import Moment, ReadInterval, moment, read_interval
from learning.domain.analysis.study import Metric, Study
from learning.domain.decisions import (
    ArmReading,
    GuardReading,
    Progress,
    Verdict,
    decide,
    named,
    of_the_same,
)
from learning.domain.statistics import bandit, srm
from learning.domain.statistics.effects import Result, combine
from learning.domain.statistics.samples import Adjusted, Ratio, Sample, pooled

# Points of the path; of a longer history every n-th day is kept, and always the last.
MOST_POINTS = 120
# Of a guardrail metric's effect there: the rest is what its margin asks.
GUARD_EFFECT = ("estimate", "standard_error", "lower", "upper")


def report(study: Study) -> dict[str, Any]:
    """The whole analysis as JSON-ready values; infinite ends of intervals are null."""
    found = findings(study)
    ratio = sample_ratio(study)
    progress, at = progress_of(study), moment(study)
    verdict = decide(
        [
            _arm_reading(study, arm, found, at)
            for arm in study.treatments
            if arm not in study.stopped
        ],
        progress,
        mismatch=ratio is not None and ratio.mismatch,
        horizon=at.horizon,
    )
    if study.is_aa:
        verdict = of_the_same(verdict)
    return {
        "name": study.name,
        "is_aa": study.is_aa,
        **verdict_values(verdict),
        "sample_ratio": _ratio_values(study, ratio),
        "test": _test_values(study),
        "progress": _progress_values(study, progress),
        "metrics": [_metric_values(study, metric, found, at) for metric in study.metrics],
        "path": path(study, at),
        "bandit": _bandit_values(study),
        "notes": list(study.notes) + _notes(study),
    }


def verdict_values(verdict: Verdict) -> dict[str, Any]:
    """The verdict's own part."""
    return {
        "verdict": verdict.kind,
        "headline": verdict.headline,
        "reasons": list(verdict.reasons),
        "arm": verdict.arm,
        "stop_arms": list(verdict.stop_arms),
        "days_left": verdict.days_left,
        "complete": verdict.is_complete,
    }


def progress_of(study: Study) -> Progress:
    """Units of the smallest live arm, and days, against the plan."""
    live, plan, looked_at = study.live, study.plan, study.looked_at
    return Progress(
        min(study.units(arm) for arm in live),
        plan.minimum_units,
        plan.days,
        max(plan.minimum_days, plan.planned_days or 0),
        plan.planned_units,
        None if looked_at is None else _read(looked_at, live),
    )


def _read(looked_at: Study, live: Sequence[str]) -> int:
    """Units an arm that planned looks have read; the planned ones at full information."""
    if looked_at.stages and look_fractions(looked_at)[-1] >= 1:
        return looked_at.plan.planned_units or 0
    return min(looked_at.units(arm) for arm in live)


def sample_ratio(study: Study) -> srm.SampleRatio | None:
    """The worst stage's reading; None for a bandit, whose shares move by themselves."""
    if study.test.kind == "bandit":
        return None
    readings = []
    for stage in study.stages:
        names = list(stage.weights)
        looks, total = [], dict.fromkeys(names, 0)
        for period in stage.periods:
            for name, data in period.arms.items():
                total[name] += data.units
            looks.append([total[name] for name in names])
        readings.append(
            srm.check(
                looks, [stage.weights[name] for name in names],
                watched=study.watched, readings=len(study.stages),
            )
        )  # fmt: skip
    return min(
        readings, key=lambda r: (-r.stray, not r.mismatch, min(r.sequential_p, r.chi_square_p))
    )


def path(study: Study, at: Moment) -> list[dict[str, Any]]:
    """The primary metric's effect after each period, with the intervals of that moment.

    ``effect`` is what is shown, ``read`` what a verdict of that moment rests on; ``guardrails``
    the same of each guardrail metric. Of planned looks a day that is none has no point.
    """
    study = study.looked_at or study
    every = [(s, p.name) for s in study.stages for p in s.periods]
    if len(every) < 2 or study.primary.type == "quantile":
        return []
    guards = [metric for metric in study.metrics if metric.role == "guardrail"]
    step = math.ceil(len(every) / MOST_POINTS)
    kept = sorted({*range(0, len(every), step), len(every) - 1})
    points = []
    for index in kept:
        stage, period = every[index]
        for arm in study.treatments:
            if arm in study.stopped and arm not in stage.weights:
                continue  # its line ends where it was taken out
            finding = one(study, study.primary, arm, periods=index + 1, is_point=True)
            values = _result_values(finding.result) if finding.result else None
            points.append({
                "stage": stage.name, "period": period, "arm": arm, "effect": values,
                "read": _read_values(read_interval(study, finding, at)),
                "guardrails": [_guard_point(study, one(
                    study, metric, arm, periods=index + 1, is_point=True), at)
                    for metric in guards],
            })  # fmt: skip
    return points


def _guard_point(study: Study, finding: Finding, at: Moment) -> dict[str, Any]:
    return guard_values(
        finding.metric.key,
        _result_values(finding.result) if finding.result else None,
        _read_values(read_interval(study, finding, at)),
    )


def guard_values(
    metric: str, effect: Mapping[str, Any] | None, read: Mapping[str, Any] | None
) -> dict[str, Any]:
    """A guardrail metric at a point of the path; its margin is in what is read."""
    shown = effect and {key: effect[key] for key in GUARD_EFFECT}
    return {"metric": metric, "effect": shown, "read": read}


def _arm_reading(study: Study, arm: str, found: Sequence[Finding], at: Moment) -> ArmReading:
    own = [f for f in found if f.arm == arm]
    primary = next(f for f in own if f.metric.role == "primary")
    guards = [GuardReading(named(f.metric.key), f.guard) for f in own if f.guard is not None]
    estimate = primary.result.estimate if primary.result else 0.0
    effect = -estimate if primary.metric.lower_is_better else estimate
    words, has_interval = _words(study, primary, at), primary.result is not None
    return ArmReading(arm, primary.reading, effect, guards, words, has_interval)


def _words(study: Study, finding: Finding, at: Moment) -> str:
    result, scale = finding.result, finding.scale
    if result is None:
        return _steady(study, finding) if finding.reading == "worse" else finding.note
    mid, low, high = result.estimate, result.lower, result.upper
    read = read_interval(study, finding, at)
    if read is not None and read.is_clear != (low > 0 or high < 0):
        # What is shown would say otherwise than the reading.
        scale, mid, low, high = read.scale, read.estimate, read.lower, read.upper
    unit, factor = (" %", 100) if scale == "relative" else ("", 1)
    if scale == "absolute" and finding.metric.type == "proportion":
        unit, factor = " points", 100
    said = [_short(value * factor) for value in (mid, low, high)]
    against = " on the control" if scale == "relative" else ""
    return f"{named(finding.metric.key)} {said[0]}{unit}{against} ({said[1]} to {said[2]})"


def _steady(study: Study, finding: Finding) -> str:
    """Both arms' figures, where every unit of an arm has the same and there is no interval."""
    own, control = (
        _short_mean(_arm_values(study, finding.metric, arm)["mean"])
        for arm in (finding.arm, study.control)
    )
    return f"{named(finding.metric.key)} {own}, {study.control} {control}"


def _short_mean(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}".replace("-", "−")


def _short(value: float) -> str:
    if math.isinf(value):
        return "−∞" if value < 0 else "∞"
    return signed(value)


def _metric_values(
    study: Study, metric: Metric, found: Sequence[Finding], at: Moment
) -> dict[str, Any]:
    return {
        "key": metric.key,
        "type": metric.type,
        "role": metric.role,
        "direction": "decrease" if metric.lower_is_better else "increase",
        "margin": metric.margin,
        "margin_type": metric.margin_scale if metric.margin is not None else None,
        "arms": [_arm_values(study, metric, arm) for arm in study.arms],
        "comparisons": [_comparison_values(study, f, at) for f in found if f.metric is metric],
    }


def _arm_values(study: Study, metric: Metric, arm: str) -> dict[str, Any]:
    """An arm's own statistics, added over everything where they add up."""
    samples = [
        period.arms[arm].samples[metric.key]
        for stage in study.stages
        for period in stage.periods
        if arm in period.arms
    ]
    whole: Sample | None = None
    try:
        whole = pooled(samples)
    except ValueError:
        whole = samples[-1] if samples else None
    if isinstance(whole, Adjusted):
        whole = whole.outcome
    variance = max(whole.variance, 0.0) if whole else 0.0
    # A ratio of nothing, such as the mean rating where nobody rated, is no zero.
    is_there = (
        whole is not None
        and whole.n
        and not (isinstance(whole, Ratio) and not whole.denominator.sum)
    )
    return {
        "key": arm,
        "n": whole.n if whole else 0,
        "mean": whole.mean if whole and is_there else None,
        "stddev": math.sqrt(variance) if is_there else None,
    }


def _comparison_values(study: Study, finding: Finding, at: Moment) -> dict[str, Any]:
    values: dict[str, Any] = {
        "arm": finding.arm,
        "control": study.control,
        "difference_type": finding.scale,
        "reading": finding.reading,
        "note": "; ".join(filter(None, (finding.note, past.told(study, finding)))),
        "p_value_adjusted": finding.p_adjusted,
        "guardrail": finding.guard,
        "guardrail_harm_p": finding.harm_p,
        "guardrail_holds_p": finding.holds_p,
    }
    values |= _result_values(finding.result) if finding.result else _NOTHING
    for scale, result in (("relative", finding.relative), ("absolute", finding.absolute)):
        values[scale] = _result_values(result) if result else None
    values["read"] = _read_values(read_interval(study, finding, at))
    return values


def _read_values(read: ReadInterval | None) -> dict[str, Any] | None:
    if read is None:
        return None
    return {
        "difference_type": read.scale, "estimate": read.estimate,
        "lower": None if math.isinf(read.lower) else read.lower,
        "upper": None if math.isinf(read.upper) else read.upper,
        "level": read.level, "margin": read.margin,
    }  # fmt: skip


_NOTHING = dict.fromkeys(
    ("estimate", "standard_error", "lower", "upper", "p_value", "chance_to_win", "risk",
     "critical_z")
)  # fmt: skip


def _result_values(result: Result) -> dict[str, Any]:
    return {
        "estimate": result.estimate,
        "standard_error": result.standard_error,
        "lower": None if math.isinf(result.lower) else result.lower,
        "upper": None if math.isinf(result.upper) else result.upper,
        "p_value": result.p_value,
        "chance_to_win": result.chance_to_win,
        "risk": None
        if result.risk is None
        else {"control": result.risk[0], "treatment": result.risk[1]},
        "critical_z": result.critical_z,
    }


def _ratio_values(study: Study, ratio: srm.SampleRatio | None) -> dict[str, Any] | None:
    if ratio is None:
        return None
    live = [a for s in study.stages for a, w in s.weights.items() if w > 0]
    return {
        "mismatch": ratio.mismatch,
        "lasts": ratio.lasts,
        "stray_units": ratio.stray,
        "arms": list(dict.fromkeys(live)),
        "units": list(ratio.units),
        "expected": list(ratio.expected),
        "p_value": ratio.chi_square_p,
        "bayes_factor": ratio.bayes_factor,
        "sequential_p_value": ratio.sequential_p,
    }


def _test_values(study: Study) -> dict[str, Any]:
    test = study.test
    values: dict[str, Any] = {
        "kind": test.kind,
        "alpha": test.alpha,
        "difference_type": test.scale,
        "alternative": test.alternative,
        "correction": study.correction,
        "conclude": horizon(study),
    }
    if test.kind == "sequential":
        values["tuning"] = test.tuning
    if test.kind == "group_sequential":
        read = study.looked_at or study
        looks = look_fractions(read) if read.stages else []
        values |= {"spending": test.spending, "look_fractions": looks}
    if test.kind == "bayesian":
        values["chance_to_win"] = test.chance_to_win
    return values


def _progress_values(study: Study, progress: Progress) -> dict[str, Any]:
    return {
        "units": {arm: study.units(arm) for arm in study.arms},
        "minimum_units": progress.minimum_units,
        "planned_units": progress.planned_units,
        "days": progress.days,
        "minimum_days": progress.minimum_days,
        "days_left": progress.days_left,
    }


def _bandit_values(study: Study) -> dict[str, Any] | None:
    """The chance to be best and the shares it gives to the next batch."""
    if study.test.kind != "bandit":
        return None
    arms = {}
    try:
        for arm in study.treatments:
            control, treatment = combine(batches(study, study.primary, arm))
            arms[study.control], arms[arm] = control, treatment
        ordered = [arms[name] for name in study.arms]
        chances = bandit.chance_to_be_best(ordered, lower_is_better=study.primary.lower_is_better)
    except ValueError as error:
        return {"note": str(error), "chance_to_be_best": None, "next_shares": None}
    shares = bandit.next_shares(chances, floor=min(0.05, 0.5 / len(chances)))
    return {
        "note": "",
        "chance_to_be_best": dict(zip(study.arms, chances, strict=True)),
        "next_shares": dict(zip(study.arms, shares, strict=True)),
    }


def _notes(study: Study) -> list[str]:
    notes = []
    for stage in study.stages:
        for arm, weight in stage.weights.items():
            if weight == 0:
                units = sum(p.arms[arm].units for p in stage.periods if arm in p.arms)
                notes.append(
                    f"{arm} had weight 0 in stage {stage.name}, but {units} units met it"
                    if units
                    else f"{arm} had weight 0 in stage {stage.name} and takes no part in its "
                    "sample ratio"
                )
    for arm in study.stopped:
        notes.append(
            f"{arm} was taken out for harm: nobody meets it any more, and it ships nothing"
        )
    if study.looked_at is not None:
        notes.append(
            "a group-sequential test looks once a day, when the day (UTC) is over; harm is read at "
            "any time, by the sequential test"
        )
    if len(study.stages) > 1:
        notes.append("stages are compared within themselves and combined, never pooled")
    if study.test.kind == "bayesian":
        notes.append("chances to win are not protected against repeated looks")
    return notes
