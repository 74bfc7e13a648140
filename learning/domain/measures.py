"""From what each unit met to sufficient statistics per arm and day. Pure.

A measure is what an experiment on live traffic may use as a metric. A unit counts on the day
that it first met its arm, whole: requests of one unit never count as several.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from config.errors import InvalidInput
from learning.domain import quantiles
from learning.domain.analysis import settings as of_analysis
from learning.domain.analysis.values import number
from learning.domain.statistics.samples import upper_limit

Ranges = Sequence[Sequence[int]]
# Metric → the most that each part of its value counts for.
Caps = Mapping[str, Sequence[float]]
SCORE = "score:"
SCORE_NAME = r"[a-z][a-z0-9_.-]{0,59}"
SCORE_MEASURE = re.compile(SCORE + SCORE_NAME)


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of a unit: ratings, complaints, and scores as name → (sum, count)."""

    rating_sum: float = 0.0
    ratings: int = 0
    complaints: int = 0
    scores: Mapping[str, tuple[float, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnitSeen:
    """One unit's outcome, all calls together. Money in USD, time in seconds."""

    bucket: int
    day: date
    calls: int
    failures: int
    cost_usd: float
    seconds: float
    tokens: float
    said: Said = Said()
    version: str = ""
    unit: str = ""


# Each gives (value,) for one number a unit, or (numerator, denominator).
_MEASURES: dict[str, tuple[str, str, Callable[[UnitSeen], tuple[float, ...]]]] = {
    "success": ("proportion", "increase", lambda u: (float(u.failures == 0),)),
    "failure_ratio": ("ratio", "decrease", lambda u: (u.failures, u.calls)),
    "cost_usd": ("mean", "decrease", lambda u: (u.cost_usd,)),
    "cost_usd_per_call": ("ratio", "decrease", lambda u: (u.cost_usd, u.calls)),
    "seconds": ("mean", "decrease", lambda u: (u.seconds,)),
    "seconds_per_call": ("ratio", "decrease", lambda u: (u.seconds, u.calls)),
    "tokens": ("mean", "decrease", lambda u: (u.tokens,)),
    "calls": ("count", "decrease", lambda u: (u.calls,)),
    "rating": ("ratio", "increase", lambda u: (u.said.rating_sum, u.said.ratings)),
    "complaint": ("proportion", "decrease", lambda u: (float(u.said.complaints > 0),)),
    "feedback": ("proportion", "increase", lambda u: (float(u.said.ratings > 0),)),
}


# What a unit has also had before the experiment, so that CUPED may take it into account.
_WITH_A_PAST = ("success", "cost_usd", "seconds", "tokens", "calls")
MOST_CUPED_DAYS = 90
# Settings of a live metric that the analysis of its sums does not know.
OF_FOLDING = ("cap", "cap_percentile", "measure", "cuped_days")
# Units of an arm with a score or a rating, under which nothing is read of it: two that agree have
# no variance, and of fewer the tests' normal approximation errs.
LEAST_SAID = 20


def measures() -> dict[str, dict[str, str]]:
    """Every measure with its type and direction; scores come as ``score:<name>``."""
    return {key: {"type": kind, "direction": way} for key, (kind, way, _) in _MEASURES.items()}


def metric(raw: Mapping[str, Any], index: int) -> dict[str, Any]:
    """A metric of a live experiment, completed from its measure; raises InvalidInput."""
    key = str(raw.get("key", ""))
    measure = str(raw.get("measure") or key)
    if SCORE_MEASURE.fullmatch(measure):
        kind, way = "ratio", "increase"
    elif measure in _MEASURES:
        kind, way, _ = _MEASURES[measure]
    else:
        known = ", ".join([*sorted(_MEASURES), f"{SCORE}<name>"])
        raise InvalidInput(f"metrics[{index}].{'measure' if raw.get('measure') else 'key'}",
                           measure, f"one of {known}")  # fmt: skip
    place = f"metrics[{index}]"
    if raw.get("cap") is not None:
        number(raw, ("cap",), place, above=0)
        if kind not in ("mean", "count"):
            raise InvalidInput(f"{place}.cap", measure, "a measure with one number a unit: "
                               "cost_usd, seconds, tokens or calls")  # fmt: skip
    if raw.get("cap_percentile") is not None:
        number(raw, ("cap_percentile",), place, least=0.5, below=1)
        both = next((name for name in ("cap", "quantile") if raw.get(name) is not None), None)
        if kind == "proportion" or both:
            raise InvalidInput(f"{place}.cap_percentile", both or measure,
                               "a mean, a count or a ratio without cap and quantile")  # fmt: skip
    if raw.get("quantile") is not None:
        number(raw, ("quantile",), place, above=0, below=1)
        if kind not in ("mean", "count"):
            raise InvalidInput(f"metrics[{index}].quantile", measure, "a measure with one number "
                               "a unit: cost_usd, seconds, tokens or calls")  # fmt: skip
        kind = "quantile"
    if raw.get("cuped_days") is not None:
        _check_past(raw["cuped_days"], measure, kind, index)
    return {**raw, "key": key, "type": kind, "direction": raw.get("direction", way)}


def check(specs: Sequence[Mapping[str, Any]]) -> None:
    """Refuse what no look could analyse: nobody would be told, and nothing would go back."""
    of_analysis.metrics({"metrics": for_analysis(specs)})


def _check_past(days: Any, measure: str, kind: str, index: int) -> None:
    place = f"metrics[{index}].cuped_days"
    if isinstance(days, bool) or not isinstance(days, int | float) or not 0 < days <= (
        MOST_CUPED_DAYS
    ):  # fmt: skip
        raise InvalidInput(place, days, f"above 0, at most {MOST_CUPED_DAYS} days")
    if measure not in _WITH_A_PAST or kind == "quantile":
        raise InvalidInput(place, measure, f"a mean of {', '.join(_WITH_A_PAST)}")


def has_past(metrics: Iterable[Mapping[str, Any]]) -> set[float]:
    """How many days before the start CUPED looks at, of all metrics that use it."""
    return {float(one["cuped_days"]) for one in metrics if one.get("cuped_days")}


def for_analysis(metrics: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Metrics as a statistics document names them."""
    return [
        {k: v for k, v in one.items() if k not in OF_FOLDING}
        | ({"minimum_measured": LEAST_SAID} if _is_said(one) else {})
        for one in metrics
    ]


def _is_said(metric: Mapping[str, Any]) -> bool:
    measure = str(metric.get("measure") or metric["key"])
    return measure == "rating" or measure.startswith(SCORE)


def without_past(metrics: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same metrics without CUPED: what a rollout compares."""
    return [{k: v for k, v in one.items() if k != "cuped_days"} for one in metrics]


def read(key: str, unit: UnitSeen) -> tuple[float, ...]:
    """The unit's value, or its numerator and denominator."""
    if key.startswith(SCORE):
        total, count = unit.said.scores.get(key.removeprefix(SCORE), (0.0, 0))
        return total, float(count)
    return _MEASURES[key][2](unit)


def arm_of(arms: Mapping[str, Ranges], bucket: int) -> str | None:
    """The arm whose ranges hold ``bucket``; two arms may have one version (A/A)."""
    for arm, ranges in arms.items():
        if any(start <= bucket < end for start, end in ranges):
            return arm
    return None


def fold(
    units: Iterable[UnitSeen],
    *,
    arms: Mapping[str, Ranges],
    metrics: Sequence[Mapping[str, Any]],
    caps: Caps | None = None,
    parked: Mapping[str, str] | None = None,
    before: Mapping[float, Mapping[str, UnitSeen]] | None = None,
) -> dict[tuple[str, date], dict[str, Any]]:
    """(arm, day) → ``{"units", "statistics": {metric: sums}}``; others' units are left out.

    ``caps`` winsorise from above, as ``caps_of`` finds them. ``parked``:
    version → arm of no range; a unit that met one counts there, for the sample ratio to see.
    ``before``: days → unit → what it had in so many days before the start, for CUPED.
    """
    limits = caps or {}
    strays = parked or {}
    found: dict[tuple[str, date], dict[str, Any]] = {}
    for unit in units:
        arm = arm_of(arms, unit.bucket) or strays.get(unit.version)
        if arm is None:
            continue
        cell = found.setdefault((arm, unit.day), {"units": 0, "statistics": {}})
        cell["units"] += 1
        for spec in metrics:
            key = str(spec["key"])
            sums = cell["statistics"].setdefault(key, {"n": 0})
            measure = str(spec.get("measure") or key)
            values = read(measure, unit)
            if key in limits:
                values = tuple(min(*pair) for pair in zip(values, limits[key], strict=True))
            if spec["type"] == "quantile":
                sums["n"] += 1
                sums.setdefault("values", []).append(values[0])
                continue
            _add(sums, str(spec["type"]), values)
            if spec.get("cuped_days"):
                past = (before or {}).get(float(spec["cuped_days"]), {}).get(unit.unit)
                earlier = read(measure, past)[0] if past else 0.0
                if key in limits:
                    earlier = min(earlier, limits[key][0])
                _add_past(sums, values[0], earlier)
    for cell in found.values():
        for sums in cell["statistics"].values():
            if "values" in sums:
                sums["sketch"] = quantiles.packed(sums.pop("values"))
    return found


def caps_of(
    units: Iterable[UnitSeen], *, arms: Mapping[str, Ranges], metrics: Sequence[Mapping[str, Any]]
) -> Caps:
    """Metric → the most that a unit counts for: its ``cap``, or the value at ``cap_percentile``.

    The percentile is that of all arms together, so it favours none; a ratio's numerator and
    denominator have each their own, as in GrowthBook. ``units`` are gone through once.
    """
    found: dict[str, Sequence[float]] = {
        str(one["key"]): (float(one["cap"]),) for one in metrics if one.get("cap") is not None
    }
    asked = [one for one in metrics if one.get("cap_percentile") is not None]
    values: dict[str, list[array[float]]] = {
        str(one["key"]): [array("d") for _ in range(1 + (one["type"] == "ratio"))] for one in asked
    }
    for unit in units if asked else ():
        if arm_of(arms, unit.bucket) is None:
            continue
        for one in asked:
            parts = read(str(one.get("measure") or one["key"]), unit)
            for kept, value in zip(values[str(one["key"])], parts, strict=True):
                kept.append(value)
    for one in asked:
        if columns := [part for part in values[str(one["key"])] if part]:
            share = float(one["cap_percentile"])
            found[str(one["key"])] = tuple(upper_limit(part, share) for part in columns)
    return found


def _add_past(sums: dict[str, Any], value: float, earlier: float) -> None:
    parts = {
        "covariate_sum": earlier, "covariate_sum_squares": earlier * earlier,
        "covariate_sum_product": value * earlier,
    }  # fmt: skip
    for name, part in parts.items():
        sums[name] = sums.get(name, 0.0) + part


def _add(sums: dict[str, float], kind: str, values: tuple[float, ...]) -> None:
    sums["n"] += 1
    if kind == "proportion":
        sums["successes"] = sums.get("successes", 0.0) + values[0]
        return
    if kind == "ratio":
        above, below = values
        parts = {
            "numerator_sum": above,
            "numerator_sum_squares": above * above,
            "denominator_sum": below,
            "denominator_sum_squares": below * below,
            "numerator_denominator_sum_product": above * below,
        }
    else:
        parts = {"sum": values[0], "sum_squares": values[0] ** 2}
    for name, value in parts.items():
        sums[name] = sums.get(name, 0.0) + value


def layout(
    weights: Mapping[str, float], control: str, coverage: float
) -> dict[str, list[list[int]]]:
    """Disjoint bucket ranges: treatments from the bottom, control from the top.

    Each arm gets its weight's share of ``coverage``; one of weight 0 gets no range. Raises
    InvalidInput for an arm whose share is less than a bucket.
    """
    total = sum(weights.values())
    sizes = {arm: int(10_000 * coverage * weight / total) for arm, weight in weights.items()}
    for arm, size in sizes.items():
        if size < 1 and weights[arm] > 0:
            raise InvalidInput(f"variants.{arm}.weight", weights[arm], "0, or a share of 0.0001")
    found: dict[str, list[list[int]]] = {}
    start = 0
    for arm, size in sizes.items():
        if not size:
            found[arm] = []
        elif arm == control:
            found[arm] = [[10_000 - size, 10_000]]
        else:
            found[arm] = [[start, start + size]]
            start += size
    return found


# The control of a stage above half: a holdback that stays until the post-check.
HOLDBACK = 0.05


def stage_layout(share: float) -> dict[str, list[list[int]]]:
    """Treatment and control of one rollout stage; treatment only widens from stage to stage.

    Up to half, control is as large as treatment; above, a holdback remains, also at 1.0.
    """
    treated = round(10_000 * min(share, 1 - HOLDBACK))
    control = int(10_000 * HOLDBACK) if is_held_back(share) else treated
    return {"control": [[10_000 - control, 10_000]], "treatment": [[0, treated]]}


def is_held_back(share: float) -> bool:
    """Whether the control of a stage is the holdback, smaller than its treatment."""
    return share > 0.5


def newcomers_layout(shares: Sequence[float], index: int, *, unit: str) -> dict[str, Ranges]:
    """The arms whose new units a stage compares, ``shares`` being those of all stages.

    Units that come back are new in their first stage alone. Beside a holdback that is small the
    buckets of the treatment were met for other times than the control's, so who is new in them is
    another kind of unit: only the treatment's buckets that mirror the control's are like those.
    """
    whole: dict[str, Ranges] = dict(stage_layout(shares[index]))
    if unit == "run" or index == 0 or not is_held_back(shares[index]):
        return whole
    return {**whole, "treatment": [[0, int(10_000 * HOLDBACK)]]}
