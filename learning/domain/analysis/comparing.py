"""Compare each treatment with control on each metric, by the test that the study declares."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import accumulate

from config.errors import InvalidInput
from learning.domain.analysis.study import Metric, Study
from learning.domain.decisions import Guard, Horizon, Primary
from learning.domain.statistics import (
    bandit,
    bayesian,
    fixed,
    group_sequential,
    multiplicity,
    sequential,
)
from learning.domain.statistics.effects import (
    Alternative,
    Difference,
    Pair,
    Result,
    Scale,
    beyond,
    combine,
    difference,
    measured,
)
from learning.domain.statistics.samples import (
    STEADY,
    TOO_SELDOM,
    Moments,
    Ratio,
    Sample,
    moments_of_pair,
    pooled,
)

# Variance over squared mean, below which an arm does not vary: rounding leaves about 1e-13.
STEADY_RATIO = 1e-10
# Arms whose sums show no variation may still vary by a millionth of their mean: they differ for
# certain only by several times that.
STEADY_CHANGE_RATIO = 1e-5
SAME = "every unit of both arms has the same value"
UNSURE_BASE = "control's mean is too uncertain for a share of it: the absolute difference is read"
# Of several arms or metrics, where the family's error keeps what one shows by itself.
AMONG = "clear of zero by itself, not among all that are compared"
AMONG_GUARDS = "beyond its margin by itself, not among all guardrail metrics"
BELOW_ZERO = "control's mean is below zero, so the absolute difference is read"


@dataclass(frozen=True, slots=True)
class Finding:
    """One metric of one treatment against control.

    ``result`` is None where it can't be told; ``note`` says why, or what was done instead.
    ``p_adjusted`` is that of the figures, ``p_read`` that of what is read, corrected alike.
    ``harm_p`` and ``holds_p`` belong to guardrail metrics: worse than the margin, within it.
    """

    metric: Metric
    arm: str
    scale: Scale
    result: Result | None = None
    absolute: Result | None = None
    relative: Result | None = None
    moments: Pair | None = None
    note: str = ""
    p_adjusted: float | None = None
    p_read: float | None = None
    reading: Primary = "unreadable"
    guard: Guard | None = None
    holds_p: float | None = None
    harm_p: float | None = None


def horizon(study: Study) -> Horizon:
    """Whether the declared test may be concluded now."""
    plan = study.plan
    if study.test.kind in ("sequential", "group_sequential"):
        return "any_time"
    if plan.complete:
        return "reached"
    if plan.planned_units is None and plan.planned_days is None:
        return "undeclared"
    least = min(study.units(arm) for arm in study.live)
    units = least >= max(plan.planned_units or 0, plan.minimum_units)
    days = plan.planned_days is None or (plan.days or 0) >= plan.planned_days
    # It is not to end before both minima, so the one look is not before them either.
    days = days and (plan.days is None or plan.days >= plan.minimum_days)
    return "reached" if units and days else "ahead"


def findings(study: Study) -> list[Finding]:
    """All comparisons, p-values adjusted within the primary, the secondary and the guardrails."""
    found = [_looked_at(study, m, arm) for m in study.metrics for arm in study.treatments]
    for role in ("primary", "secondary", "guardrail"):
        places = [
            i for i, f in enumerate(found)
            if f.metric.role == role and f.result and f.result.p_value is not None
        ]  # fmt: skip
        # The primary decides: its arms keep the family-wise error, unless nobody wants one.
        kind = "holm" if role == "primary" and study.correction != "none" else study.correction
        shown = multiplicity.adjusted([_p_of(found[i].result) for i in places], kind)
        read = multiplicity.adjusted([_p_of(asked(found[i])) for i in places], kind)
        for place, p_shown, p_read in zip(places, shown, read, strict=True):
            found[place] = replace(found[place], p_adjusted=p_shown, p_read=p_read)
    found = [_read(study, f) for f in found]
    return _guarded(study, found)


def _looked_at(study: Study, metric: Metric, arm: str) -> Finding:
    """The comparison at the present look; ``moments``, which harm is read from, are of all days."""
    looked_at = study.looked_at
    if looked_at is None:
        return one(study, metric, arm)
    finding = Finding(metric, arm, study.test.scale, note="the first look is when a day is over")
    if looked_at.stages:
        finding = one(looked_at, metric, arm)
    try:
        return replace(finding, moments=combine(pairs(study, metric, arm)))
    except ValueError:
        return finding


def one(
    study: Study, metric: Metric, arm: str, *, periods: int | None = None, is_point: bool = False
) -> Finding:
    """One comparison, of the first ``periods`` periods or of all; ``is_point`` of a path."""
    finding = Finding(metric, arm, study.test.scale)

    def tested(pair: Pair, scale: Scale) -> Result:
        found = difference(*pair, scale)
        return _test(study, metric, arm, found, scale, periods, with_p_value=not is_point)

    try:
        pair = combine(pairs(study, metric, arm, periods))
        result = tested(pair, "absolute")
    except (ValueError, ArithmeticError) as error:
        return replace(finding, note=_reason(error))
    finding = replace(finding, moments=pair, absolute=result)
    try:
        relative = tested(pair, "relative")
    except (ValueError, ArithmeticError) as error:
        return replace(finding, scale="absolute", result=result, note=_reason(error))
    finding = replace(finding, relative=relative)
    if pair[0].raw_mean < 0:
        # Over a negative mean a rise is a negative share: the sign would decide the wrong way.
        return replace(finding, scale="absolute", result=result, note=BELOW_ZERO)
    return replace(finding, result=relative if study.test.scale == "relative" else result)


def _reason(error: Exception) -> str:
    """Why there is no figure; arithmetic says nothing that people can use."""
    return str(error) if isinstance(error, ValueError) else "the figures are too far apart to tell"


def pairs(study: Study, metric: Metric, arm: str, periods: int | None = None) -> list[Pair]:
    """Moments of both arms in each stage, its days pooled: shares are the same within a stage.

    Not within a bandit's, where each period has its own.
    """
    if study.test.kind == "bandit":
        every = batches(study, metric, arm, periods)
        # A single unit of an arm has no variance of its own and would look certain.
        return [pair for pair in every if min(one.n for one in pair) > 1] or every
    left = sum(len(s.periods) for s in study.stages) if periods is None else periods
    found: list[tuple[Sample, Sample]] = []
    for stage in study.stages:
        taken = stage.periods[:left]
        left -= len(taken)
        both: list[list[Sample]] = [
            [p.arms[name].samples[metric.key] for p in taken if name in p.arms]
            for name in (study.control, arm)
        ]
        if both[0] and both[1]:
            try:
                found.append((pooled(both[0]), pooled(both[1])))
            except ValueError as error:
                raise InvalidInput(f"metrics.{metric.key}", "days", str(error)) from error
    return _measured_enough(metric, found)


def _measured_enough(metric: Metric, stages: Sequence[tuple[Sample, Sample]]) -> list[Pair]:
    """Their moments; an arm that too few units tell of says so, and nothing else.

    Two ratings that agree have no variance, and would look certain.
    """
    found = [moments_of_pair(control, treatment) for control, treatment in stages]
    for side in (0, 1):
        samples = [pair[side] for pair in stages]
        told = sum(one.measured_units for one in samples if isinstance(one, Ratio))
        if 0 < told < metric.minimum_measured:
            found = [(_seldom(a), b) if side == 0 else (a, _seldom(b)) for a, b in found]
    return found


def _seldom(arm: Moments) -> Moments:
    return replace(arm, variance=0.0, note=TOO_SELDOM)


def _test(
    study: Study, metric: Metric, arm: str, found: Difference, scale: Scale, periods: int | None,
    *, with_p_value: bool,
) -> Result:  # fmt: skip
    test = study.test
    if test.kind == "sequential":
        return sequential.compare(
            found, alpha=test.alpha, tuning=test.tuning, alternative=test.alternative
        )
    if test.kind == "group_sequential":
        fractions = look_fractions(study, periods)
        return group_sequential.compare(
            found, fractions, alpha=test.alpha, spending=test.spending,
            with_p_value=with_p_value,
        )  # fmt: skip
    if test.kind == "bayesian":
        return bayesian.compare(
            found, scale=scale, alpha=test.alpha, prior=test.prior,
            lower_is_better=metric.lower_is_better,
        )  # fmt: skip
    if test.kind == "bandit":
        result = bandit.compare(batches(study, metric, arm, periods), alpha=test.alpha)
        return result if scale == "absolute" else bandit.over(result, found.control.raw_mean)
    return fixed.compare(found, alpha=test.alpha, alternative=test.alternative, normal=test.normal)


def batches(study: Study, metric: Metric, arm: str, periods: int | None = None) -> list[Pair]:
    """Each period by itself: in a bandit every batch has its own shares."""
    every = [period for stage in study.stages for period in stage.periods][:periods]
    return [
        moments_of_pair(p.arms[study.control].samples[metric.key], p.arms[arm].samples[metric.key])
        for p in every
        if study.control in p.arms and arm in p.arms
    ]


def look_fractions(study: Study, periods: int | None = None) -> list[float]:
    """Information at each look so far: as stated, or units against the plan after each period."""
    if study.test.look_fractions and periods is None:
        return list(study.test.look_fractions)
    every = [period for stage in study.stages for period in stage.periods][:periods]
    live = set(study.live)
    total = (study.plan.planned_units or 1) * len(live)
    units = accumulate(
        sum(data.units for arm, data in period.arms.items() if arm in live) for period in every
    )
    found: list[float] = []
    for count in units:
        fraction = min(count / total, 1.0)
        if fraction > (found[-1] if found else 0.0):
            found.append(fraction)
    return group_sequential.thinned(found) or [1.0]


def _read(study: Study, finding: Finding) -> Finding:
    found = reading(study, finding)
    if finding.result is None and found == "unclear":
        return replace(finding, reading=found, note=SAME)
    note = finding.note or (UNSURE_BASE if is_unsure(finding) else "")
    if found == "unclear" and _is_kept_back(study, finding):
        note = f"{note}; {AMONG}" if note else AMONG
    return replace(finding, reading=found, note=note)


def _is_kept_back(study: Study, finding: Finding) -> bool:
    """Whether only the correction over many comparisons keeps it from being shown."""
    own, level = _p_of(asked(finding)), study.test.alpha
    return finding.p_read is not None and own < level <= finding.p_read


def is_unsure(finding: Finding) -> bool:
    """Whether one of the relative and the absolute difference leaves zero out and one does not."""
    both = (finding.result, asked(finding))
    return len({one.lower > 0 or one.upper < 0 for one in both if one is not None}) == 2


def asked(finding: Finding) -> Result | None:
    """What the reading rests on: the absolute difference, also where a relative one is shown.

    Both ask whether the means are equal. But the delta method of a relative one takes control's
    mean as known: of few events it finds what is low by chance, and misses what rose.
    """
    return finding.absolute if finding.absolute and finding.result else finding.result


def reading(study: Study, finding: Finding) -> Primary:
    """Better, worse, unclear or unreadable, in the metric's own direction."""
    if study.looked_at is not None and _harms_so_far(study, finding, study.test.alpha / 2):
        return "worse"  # half of the error for any time, beside that of the planned looks
    if finding.result is None:
        return _steady_reading(study, finding)
    if horizon(study) == "ahead":
        # Before the declared end only harm counts.
        if _harms_so_far(study, finding, study.test.alpha):
            return "worse"
        return "better" if _declared(study, finding) == "better" else "unclear"
    return _declared(study, finding)


def _harms_so_far(study: Study, finding: Finding, level: float) -> bool:
    """Whether it is worse at ``level`` by the test that may be looked at at any time."""
    try:
        early = _early(study, finding, "two_sided", 0.0)
    except (ValueError, ArithmeticError):
        return False
    worse = early.estimate > 0 if finding.metric.lower_is_better else early.estimate < 0
    return worse and _p_of(early) < level


def _declared(study: Study, finding: Finding) -> Primary:
    result = asked(finding)
    if result is None:
        return "unreadable"
    if result.chance_to_win is not None:
        if result.chance_to_win >= study.test.chance_to_win:
            return "better"
        return "worse" if result.chance_to_win <= 1 - study.test.chance_to_win else "unclear"
    rises = result.estimate > 0
    p_value = finding.p_read if finding.p_read is not None else _p_of(result)
    good = rises != finding.metric.lower_is_better
    side = study.test.alternative
    if side != "two_sided" and rises != (side == "greater"):
        # A one-sided test can't show the other direction; harm is looked for by its mirror.
        mirror: Alternative = "less" if side == "greater" else "greater"
        p_value = _p_of(_early(study, finding, mirror, 0.0))
    level = study.test.alpha
    # A machine may stop on the arm's own evidence, but ships only within the family's error.
    if good:
        return "better" if p_value < level else "unclear"
    return "worse" if min(p_value, _p_of(result)) < level else "unclear"


def _guarded(study: Study, found: Sequence[Finding]) -> list[Finding]:
    """Guardrail states: harm is corrected over all guards, holding needs none (all must hold)."""
    done: list[Finding] = []
    for finding in found:
        if finding.metric.role == "guardrail" and finding.moments is not None:
            finding = _guard_tested(study, finding)
        done.append(finding)
    places = [i for i, f in enumerate(done) if f.harm_p is not None]
    adjusted = multiplicity.holm([f.harm_p for f in done if f.harm_p is not None])
    for place, harm in zip(places, adjusted, strict=True):
        state, level = _guard_state(done[place], harm, study.test.alpha), study.test.alpha / 2
        if state == "open" and (done[place].harm_p or 0.0) < level:
            done[place] = replace(done[place], note=AMONG_GUARDS)
        done[place] = replace(done[place], guard=state)
    return [
        replace(f, guard=_untested_guard(study, f))
        if f.metric.role == "guardrail" and f.guard is None
        else f
        for f in done
    ]


def _untested_guard(study: Study, finding: Finding) -> Guard | None:
    """Where nothing varies: what has no margin only stops, where its one value is the worse one."""
    if finding.metric.margin is not None:
        return _steady_guard(study, finding)
    return "breached" if finding.reading == "worse" else None


def _steady_guard(study: Study, finding: Finding) -> Guard:
    """Where no arm varies, the difference is known and needs no test: a cost that is always equal.

    ``unreadable`` where an arm does vary; it holds where no stage was met by one arm alone.
    """
    metric, worst = finding.metric, 0.0
    every = measured(pairs(study, metric, finding.arm, None))
    whole = _told(every)
    if not whole:
        return "unreadable"
    for control, treatment in whole:
        if not (_steady(control) and _steady(treatment)):
            return "unreadable"
        change = treatment.mean - control.mean
        if metric.margin_scale == "relative":
            change /= abs(control.mean) or 1.0
        worst = max(worst, change if metric.lower_is_better else -change)
    if worst > (metric.margin or 0.0):
        return "breached"
    return (
        "holds"
        if all(pair in whole or not any(one.n for one in pair) for pair in every)
        else ("unreadable")
    )


def _steady_reading(study: Study, finding: Finding) -> Primary:
    """Where every unit of each arm had one value: worse, or no difference if it is the same.

    ``unreadable`` where an arm does vary or was not measured; a better one waits for variation.
    """
    metric, worst, is_known = finding.metric, 0.0, False
    for control, treatment in _told(measured(pairs(study, metric, finding.arm, None))):
        if not (_steady(control) and _steady(treatment)):
            return "unreadable"
        change = treatment.mean - control.mean
        change = change if metric.lower_is_better else -change
        slack = STEADY_CHANGE_RATIO * max(abs(control.mean), abs(treatment.mean))
        if change < -slack:
            return "unreadable"
        worst, is_known = max(worst, change - slack), True
    if worst > 0:
        return "worse"
    return "unclear" if is_known else "unreadable"


def _told(stages: Sequence[Pair]) -> list[Pair]:
    """Stages in which both arms have two units: one that an incident emptied says nothing."""
    return [pair for pair in stages if min(one.n for one in pair) >= 2]


def _steady(arm: Moments) -> bool:
    """Whether what is left of the variance is only what sums of squares lose to rounding.

    What was never measured does not vary either, and says nothing.
    """
    is_measured = arm.note in ("", STEADY)
    return is_measured and abs(arm.variance) <= STEADY_RATIO * arm.mean**2


def _guard_tested(study: Study, finding: Finding) -> Finding:
    """With its p-values; without where nothing varies, whose difference is known and read later."""
    scale, margin = finding.scale, finding.metric.margin or 0.0
    if finding.metric.margin is not None:
        scale = finding.metric.margin_scale
    with suppress(ValueError, ArithmeticError):
        harm, holds = _guard_p_values(study, finding, scale, margin)
        return replace(finding, harm_p=harm, holds_p=holds)
    return finding


def _guard_p_values(
    study: Study, finding: Finding, scale: Scale, margin: float
) -> tuple[float, float]:
    """One-sided p-values: worse than the margin, and better than it."""
    metric = finding.metric
    line = margin if metric.lower_is_better else -margin
    worse: Alternative = "greater" if metric.lower_is_better else "less"
    within: Alternative = "less" if metric.lower_is_better else "greater"
    return (
        _p_of(_early(study, finding, worse, line, scale)),
        _p_of(_early(study, finding, within, line, scale)),
    )


def _guard_state(finding: Finding, harm_p: float, alpha: float) -> Guard:
    if harm_p < alpha / 2:
        return "breached"
    if finding.metric.margin is None:
        return "holds"
    return "holds" if finding.holds_p is not None and finding.holds_p < alpha / 2 else "open"


def _early(
    study: Study,
    finding: Finding,
    alternative: Alternative,
    null: float,
    scale: Scale | None = None,
) -> Result:
    """The comparison by a test for this moment: sequential, or fixed at a declared end."""
    if finding.moments is None:
        raise ValueError("nothing was compared")
    found = difference(*finding.moments, "absolute")
    if (scale or finding.scale) == "relative":
        found, null = beyond(*finding.moments, null), 0.0
    test = study.test
    if horizon(study) in ("any_time", "ahead"):
        return sequential.compare(
            found, alpha=test.alpha, tuning=test.tuning, alternative=alternative, null=null
        )
    return fixed.compare(found, alpha=test.alpha, alternative=alternative, null=null)


def arm_moments(study: Study, metric: Metric, arm: str) -> Moments | None:
    """An arm's own mean over all stages; None if it has no units."""
    try:
        return combine([(pair[1], pair[1]) for pair in pairs(study, metric, arm)])[0]
    except ValueError:
        return None


def _p_of(result: Result | None) -> float:
    return 1.0 if result is None or result.p_value is None else result.p_value
