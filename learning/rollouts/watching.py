"""What every rollout watches for harm: how right its answers are, and what people say of them.

Whatever its own metrics are, a version that answers worse than its control goes back. Both arms
are those of the same stage and time, and harm is read by the sequential test, at any look. A metric
that only watches proves nothing and holds nothing up: it has no margin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from learning.domain.statistics.samples import UNMEASURED

WATCHED = ("score:accuracy", "rating")
# Scores or ratings of an arm in a stage, under which the stage says nothing of them: of fewer the
# test's normal approximation errs. How many there are does not tell how good they are.
LEAST = 20


def with_watched(metrics: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``metrics``, and what is watched beside them; one that only told of it guards, too."""
    primary = next((one for one in metrics if one.get("role") == "primary"), None)
    if primary is None:  # the first without a role
        primary = next((one for one in metrics if "role" not in one), None)
    own = [
        {**one, "role": "guardrail"}
        if _measure(one) in WATCHED and one is not primary and one.get("role") != "guardrail"
        else dict(one)
        for one in metrics
    ]
    named = {_measure(one) for one in own}
    return [*own, *({"key": key, "role": "guardrail"} for key in WATCHED if key not in named)]


def _measure(metric: Mapping[str, Any]) -> str:
    return str(metric.get("measure") or metric.get("key", ""))


def readable(
    stages: Iterable[dict[str, Any]], metrics: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The stages, without the sums of what is watched where an arm has too few of it."""
    found = list(stages)
    for key in _watched(metrics):
        for stage in found:
            if min(_counts(stage, key), default=0) < LEAST:
                for sums in _sums(stage, key):
                    sums |= {name: 0 for name in sums if name != "n"}
    return found


def say_too_few(found: Mapping[str, Any]) -> None:
    """Say of a watched metric that nothing is read of it yet, for no reason to worry."""
    for metric in found["metrics"]:
        if metric["key"] in WATCHED and metric["role"] == "guardrail" and metric["margin"] is None:
            for row in metric["comparisons"]:
                if UNMEASURED in row["note"]:
                    row["note"] = f"watched from {LEAST} in each arm of a stage"


def _watched(metrics: Iterable[Mapping[str, Any]]) -> list[str]:
    return [
        str(one["key"]) for one in metrics
        if _measure(one) in WATCHED
        and one.get("role") == "guardrail" and one.get("margin") is None
    ]  # fmt: skip


def _counts(stage: Mapping[str, Any], key: str) -> list[float]:
    """How many each arm of the stage has, over all its days."""
    found: dict[str, float] = {}
    for day in stage["days"]:
        for arm in day["arms"]:
            count = arm["metrics"][key].get("denominator_sum", 0)
            found[arm["key"]] = found.get(arm["key"], 0) + count
    return list(found.values())


def _sums(stage: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The metric's sums, each a copy in the stage's own place."""
    found = []
    for day in stage["days"]:
        for arm in day["arms"]:
            arm["metrics"][key] = {**arm["metrics"][key]}
            found.append(arm["metrics"][key])
    return found
