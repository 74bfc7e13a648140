"""How large an experiment must be, from a plan document."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, cast

from config.errors import InvalidInput
from config.readable import plural
from learning.domain.analysis import values
from learning.domain.analysis.settings import KINDS, MOST_DAYS, SCALES, SPENDINGS, TYPES
from learning.domain.statistics import power

FIELDS = (
    "metric", "effect", "effect_type", "test", "power", "alpha", "treatments", "treated_share",
    "units_per_day", "minimum_units", "minimum_days", "total_units",
)  # fmt: skip
METRIC_FIELDS = ("type", "baseline", "mean", "stddev", "variance", "correlation", "key")
MOST_TREATMENTS = 49
TEST_FIELDS = ("kind", "type", "alpha", "looks", "tuning", "spending", "difference_type")


def plan(document: Any) -> dict[str, Any]:
    """Units and days that an effect needs, with the test that will be used.

    With ``total_units`` in the place of ``effect``, the smallest effect that so many units find.
    Raises InvalidInput naming the field and its limit.
    """
    given = values.mapping(document, "document")
    values.known(given, FIELDS, "document")
    treatments = values.count(given, ("treatments",), "document", default=1, least=1)
    if treatments > MOST_TREATMENTS:
        raise InvalidInput("treatments", treatments, f"at most {MOST_TREATMENTS}")
    scale = _scale(given)
    design = _design(given, treatments)
    wanted = values.number(given, ("power",), "document", default=0.8, above=0, below=1)
    share = values.number(given, ("treated_share",), "document", default=0.5, above=0, below=1)
    if values.find(given, ("total_units",)) is not values.MISSING:
        found = _smallest(given, design, wanted, share, treatments)
    else:
        question = _question(given, _effect(given))
        try:
            total = power.units_needed(design, question, wanted=wanted, share=share)
            found = _answer(given, design, question, total, wanted, share, treatments)
        except (ValueError, ArithmeticError) as error:
            raise InvalidInput("effect", given.get("effect"), str(error)) from error
    return {**found, "test": {**found["test"], "difference_type": scale}}


def _scale(given: Mapping[str, Any]) -> str:
    """What will be shown: what the test says, else what the effect is given in.

    It changes no size: readings ask the absolute difference either way.
    """
    test = given.get("test")
    asked = values.choice(given, ("effect_type",), "document", SCALES, "relative")
    if not isinstance(test, Mapping):
        return asked
    return values.choice(test, ("difference_type",), "test", SCALES, asked)


def _answer(
    given: Mapping[str, Any],
    design: power.Design,
    question: power.Question,
    pair_total: int,
    wanted: float,
    share: float,
    treatments: int,
) -> dict[str, Any]:
    least = values.count(given, ("minimum_units",), "document", default=100, least=2)
    control = max(math.ceil(pair_total * (1 - share)), least)
    treatment = max(math.ceil(pair_total * share), least)
    total = control + treatments * treatment
    fixed = power.Design("fixed", design.alpha)
    fixed_pair = power.units_needed(fixed, question, wanted=wanted, share=share)
    days = _days(given, total)
    pace = "" if days is None else f", about {plural(days, 'day')}"
    return {
        "headline": f"{total} units in all{pace}: {control} in control, {treatment} an arm.",
        "control_units": control,
        "treatment_units": treatment,
        "total_units": total,
        "days": days,
        "power": power.power(design, question, pair_total, share),
        "expected_units_if_true": math.ceil(
            power.expected_units(design, question, pair_total, share)
        ),
        "fixed_horizon_units": fixed_pair,
        "against_fixed_horizon_ratio": pair_total / fixed_pair,
        "effect": question.effect,
        "test": {**asdict(design), "tuning": design.tuning or float(pair_total)},
    }


def _smallest(
    given: Mapping[str, Any], design: power.Design, wanted: float, share: float, treatments: int
) -> dict[str, Any]:
    if values.find(given, ("effect",)) is not values.MISSING:
        raise InvalidInput("effect", given["effect"], "left out where total_units is given")
    least = 2 * (treatments + 1)
    total = values.count(given, ("total_units",), "document", least=least)
    pair = total / (1 - share + treatments * share)
    baseline, most = _reach(given)
    found, size = {}, None
    for side, sign in (("rise", 1), ("fall", -1)):
        if sign > 0 or not math.isinf(most[side]):  # else a fall is found as a rise is
            asked = partial(_signed, given, sign)
            size = power.smallest_effect(
                design, asked, pair, most=most[side], wanted=wanted, share=share
            )
        relative = sign * size / abs(baseline) if size and baseline else None
        found[side] = {"absolute": sign * size, "relative": relative} if size else None
    days = _days(given, total)
    pace = "" if days is None else f", about {plural(days, 'day')},"
    return {
        "headline": f"{total} units in all{pace} find {_sizes(given, found)} with a power of "
        f"{wanted:.0%}.",
        "control_units": math.floor(pair * (1 - share)),
        "treatment_units": math.floor(pair * share),
        "total_units": total,
        "days": days,
        "power": wanted,
        "smallest_effect": found,
        "test": {**asdict(design), "tuning": design.tuning or pair},
    }


def _signed(given: Mapping[str, Any], sign: int, size: float) -> power.Question:
    return _question(given, sign * size)


def _reach(given: Mapping[str, Any]) -> tuple[float, dict[str, float]]:
    """The baseline, and up to where it may rise and fall; 0 where it can't."""
    _, kind, baseline = _metric(given)
    if kind == "proportion":
        if not 0 < baseline < 1:
            raise InvalidInput("metric.baseline", baseline, "above 0 and below 1")
        return baseline, {"rise": 1 - baseline, "fall": baseline}
    asked = _question(given, 1e-9 * max(1.0, abs(baseline)))
    is_poisson = asked.treatment_variance != asked.control_variance
    return baseline, {"rise": math.inf, "fall": baseline if is_poisson else math.inf}


def _sizes(given: Mapping[str, Any], found: Mapping[str, Mapping[str, float | None] | None]) -> str:
    is_share = _metric(given)[1] == "proportion"
    told = []
    for side, one in found.items():
        if one is None or one["absolute"] is None:
            continue
        size = abs(one["absolute"])
        part = "" if one["relative"] is None else f" ({one['relative']:+.2%} of the baseline)"
        told.append(
            f"a {side} of {f'{100 * size:.3g} points' if is_share else f'{size:.4g}'}{part}"
        )
    return " or ".join(told) or "nothing"


def _days(given: Mapping[str, Any], total: int) -> int | None:
    least = values.number(given, ("minimum_days",), "document", default=14, least=0, most=MOST_DAYS)
    if values.find(given, ("units_per_day",)) is values.MISSING:
        return None
    pace = values.number(given, ("units_per_day",), "document", above=0)
    return max(math.ceil(total / pace), math.ceil(least))


def _design(given: Mapping[str, Any], treatments: int) -> power.Design:
    raw = given.get("test", "sequential")
    path = "test"
    test: dict[str, Any] = (
        {"kind": raw} if isinstance(raw, str) else dict(values.mapping(raw, path))
    )
    values.known(test, TEST_FIELDS, path)
    kind = values.choice(test, ("kind", "type"), path, KINDS, "sequential")
    if kind == "bandit":
        raise InvalidInput("test.kind", kind, "a bandit has no planned size; plan it as fixed")
    fallback = values.number(given, ("alpha",), "document", default=0.05, least=1e-9, below=1)
    alpha = values.number(test, ("alpha",), path, default=fallback, least=1e-9, below=1)
    tuning = None
    if values.find(test, ("tuning",)) is not values.MISSING:
        tuning = values.number(test, ("tuning",), path, least=1, most=1e12)
    looks = values.count(test, ("looks",), path, default=14, least=1)
    if looks > 366:
        raise InvalidInput("test.looks", looks, "at most 366")
    return power.Design(
        cast("power.Kind", kind),
        alpha / treatments,
        looks,
        tuning,
        cast("Any", values.choice(test, ("spending",), path, SPENDINGS, "obrien_fleming")),
    )


def _metric(given: Mapping[str, Any]) -> tuple[Mapping[str, Any], str, float]:
    """What is planned for, its type and its baseline."""
    metric = values.mapping(given.get("metric", {}), "metric")
    values.known(metric, METRIC_FIELDS, "metric")
    kind = values.choice(metric, ("type",), "metric", TYPES)
    return metric, kind, values.number(metric, ("baseline", "mean"), "metric")


def _effect(given: Mapping[str, Any]) -> float:
    """The absolute change that is asked for."""
    baseline = _metric(given)[2]
    effect = values.number(given, ("effect",), "document")
    if effect == 0:
        raise InvalidInput("effect", effect, "another change than none")
    if values.choice(given, ("effect_type",), "document", SCALES, "relative") == "relative":
        effect *= baseline
    if effect == 0:
        raise InvalidInput("metric.baseline", baseline, "other than 0 for a relative effect")
    return effect


def _question(given: Mapping[str, Any], effect: float) -> power.Question:
    """What is asked of the metric, about an absolute ``effect``."""
    metric, kind, baseline = _metric(given)
    try:
        if kind == "proportion":
            return power.proportion(baseline, effect)
        if values.find(metric, ("variance",)) is not values.MISSING:
            variance = values.number(metric, ("variance",), "metric", above=0)
        elif kind == "count" and values.find(metric, ("stddev",)) is values.MISSING:
            return power.Question(effect, baseline, baseline + effect)  # Poisson
        else:
            variance = values.number(metric, ("stddev",), "metric", above=0) ** 2
        # A covariate that correlates by r leaves 1 - r**2 of the variance (CUPED).
        related = values.number(metric, ("correlation",), "metric", default=0.0, below=1, above=-1)
        left = variance * (1 - related**2)
        return power.Question(effect, left, left)
    except ValueError as error:
        raise InvalidInput("metric", kind, str(error)) from error
