"""Quantiles of live experiments: a sketch an arm and day, which merge where quantiles would not.

A sketch's values are within 1 % of the exact ones. So that this rounding is never taken for an
effect, the bounds that are read from it are at least two of its errors wide on each side.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

from config.errors import InvalidInput
from learning.domain.statistics.samples import QUANTILE_Z
from monitoring.domain.sketches import RELATIVE_ERROR, Sketch, merged

ROUNDING = 2 * RELATIVE_ERROR
NOTHING: dict[str, float] = {"n": 0, "value": 0.0, "lower": 0.0, "upper": 0.0, "n_star": 0}


def packed(values: Sequence[float]) -> str:
    """The sketch of ``values`` as text."""
    return base64.b64encode(Sketch.of(values).to_bytes()).decode("ascii")


def added(one: str, other: str, sign: int = 1) -> str:
    """The sketch of both, or with ``sign`` -1 of what is in ``one`` and not in ``other``.

    Raises ValueError where there is something to take off that was never in it.
    """
    mine, theirs = (Sketch.from_bytes(base64.b64decode(text)) for text in (one, other))
    whole = mine.merge(theirs) if sign > 0 else mine.without(theirs)
    return base64.b64encode(whole.to_bytes()).decode("ascii")


def read(sketches: Sequence[str], level: float) -> dict[str, float]:
    """A quantile of all values in ``sketches`` with its 95 % bounds, for a statistics document.

    The bounds are the order statistics at ``level`` plus and minus two standard errors of a share.
    """
    whole = merged([Sketch.from_bytes(base64.b64decode(one)) for one in sketches])
    n = whole.count
    if not n:
        return dict(NOTHING)
    reach = QUANTILE_Z * math.sqrt(level * (1 - level) / n)
    value, lower, upper = whole.quantiles([level, max(level - reach, 0), min(level + reach, 1)])
    slack = ROUNDING * abs(value)
    return {
        "n": n, "value": value, "lower": min(lower, value - slack),
        "upper": max(upper, value + slack), "n_star": n,
    }  # fmt: skip


def check_looks(kind: str, metrics: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a quantile in a group-sequential test, for any metric of it; raises InvalidInput.

    Without days no look but the present one is known, and each would spend the whole error anew.
    """
    if kind != "group_sequential":
        return
    for index, one in enumerate(metrics):
        if one["type"] == "quantile":
            raise InvalidInput(
                f"metrics[{index}].quantile", one.get("quantile"), "none in a group_sequential "
                "test, which needs each day's sums; compare it with a sequential or fixed test",
            )  # fmt: skip


def whole_stages(
    stages: Sequence[Mapping[str, Any]], metrics: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Stages without days: sums of each arm added up, its sketches read.

    Where no metric is a quantile the stages are as they were.
    """
    levels = {str(m["key"]): float(m["quantile"]) for m in metrics if m["type"] == "quantile"}
    if not levels:
        return [dict(stage) for stage in stages]
    return [
        {**{k: v for k, v in stage.items() if k != "days"}, "arms": _arms(stage["days"], levels)}
        for stage in stages
    ]


def _arms(days: Sequence[Mapping[str, Any]], levels: Mapping[str, float]) -> list[dict[str, Any]]:
    arms: dict[str, dict[str, Any]] = {}
    sketches: dict[tuple[str, str], list[str]] = {}
    for day in days:
        for arm in day["arms"]:
            found = arms.setdefault(arm["key"], {"key": arm["key"], "units": 0, "metrics": {}})
            found["units"] += arm["units"]
            for key, sums in arm["metrics"].items():
                if key in levels:
                    if "sketch" in sums:
                        sketches.setdefault((arm["key"], key), []).append(sums["sketch"])
                    continue
                own = found["metrics"].setdefault(key, {})
                for name, value in sums.items():
                    own[name] = own.get(name, 0) + value
    for name, arm in arms.items():
        for key, level in levels.items():
            arm["metrics"][key] = read(sketches.get((name, key), []), level)
    return list(arms.values())
