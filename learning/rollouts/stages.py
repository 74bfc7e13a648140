"""The stages of a rollout: the strategies that are shipped, and what a custom one may ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from config.access.audiences import check_audiences
from config.errors import InvalidInput
from learning.domain.analysis import values
from learning.domain.analysis.settings import comparison as read_test
from learning.models import Rollout

# What the sequential test of a rollout takes from an experiment's test of any kind.
_KEPT = frozenset({
    "alpha", "difference_type", "difference", "alternative", "tuning",
    "sequential_tuning_parameter",
})  # fmt: skip
# Longer than a year is a slip.
MOST_HOURS = 366 * 24.0
STAGE_FIELDS = frozenset({"share", "minimum_hours", "minimum_units", "gate", "audience"})


def _stage(share: float, hours: float, units: int = 100, gate: bool = False) -> dict[str, Any]:
    return {"share": share, "minimum_hours": hours, "minimum_units": units, "gate": gate}


_GRADUAL = [_stage(0.10, 24), _stage(0.25, 24), _stage(0.50, 24), _stage(1.0, 24)]
STRATEGIES: dict[str, list[dict[str, Any]]] = {
    Rollout.Strategy.IMMEDIATE: [_stage(1.0, 1)],
    Rollout.Strategy.GRADUAL: _GRADUAL,
    Rollout.Strategy.CANARY: [_stage(0.05, 24), *_GRADUAL],
}


def check_test(test: Mapping[str, Any] | None) -> None:
    """Refuse a test that may not be looked at at each sweep; raises InvalidInput."""
    kind = read_test({"test": dict(test) if test else "sequential"}).kind
    if kind != "sequential":
        raise InvalidInput("test.kind", kind, "sequential: a rollout is judged every minute, and "
                           "any other test would take sound versions back")  # fmt: skip


def inherited_test(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """The test of a winner's rollout: sequential, with its experiment's level and direction."""
    kept = {name: value for name, value in experiment.items() if name in _KEPT}
    return {**kept, "kind": "sequential"}


def checked_plan(plan: Mapping[str, Any]) -> dict[str, Any]:
    """How a winner will be rolled out: ``strategy`` and ``stages``; raises InvalidInput."""
    if not plan:
        return {}
    wrong = sorted(set(plan) - {"strategy", "stages"})
    if wrong:
        raise InvalidInput(f"rollout_plan.{wrong[0]}", plan[wrong[0]], "strategy or stages")
    strategy = str(plan.get("strategy", Rollout.Strategy.GRADUAL))
    stages = list(plan.get("stages") or ())
    checked_stages(strategy, stages)
    return {"strategy": strategy, "stages": stages or None}


def checked_stages(
    strategy: str, stages: list[dict[str, Any]] | None, audience: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The stages of a strategy; with an ``audience`` a shipped one begins with these alone.

    Raises InvalidInput for custom stages that make no sense, an audience beside them, or stages
    beside a shipped strategy.
    """
    if strategy != Rollout.Strategy.CUSTOM:
        if strategy not in STRATEGIES:
            raise InvalidInput("strategy", strategy, f"one of {', '.join(Rollout.Strategy.values)}")
        if stages:
            raise InvalidInput("stages", stages, "none: only a custom rollout names its stages")
        check_audiences(list(audience), "audience")
        shipped = STRATEGIES[strategy]
        return [{**shipped[0], "audience": list(audience)}, *shipped] if audience else shipped
    if audience:
        raise InvalidInput("audience", list(audience), "none: custom stages name their own")
    if not stages:
        raise InvalidInput("stages", stages, "at least one stage for a custom rollout")
    found, before = [], 0.0
    waves: list[list[str]] = []
    for index, raw in enumerate(stages):
        wrong = sorted(set(raw) - STAGE_FIELDS)
        if wrong:
            raise InvalidInput(f"stages[{index}].{wrong[0]}", raw[wrong[0]], "no such field")
        place = f"stages[{index}]"
        share = values.number(raw, ("share",), place, above=0, most=1)
        wave = _checked_wave(raw.get("audience"), waves, index)
        widens = bool(waves) and wave != waves[-1]
        if round(10_000 * share) < 1:
            raise InvalidInput(f"{place}.share", share, "at least 0.0001, one bucket of 10,000")
        if not (before < share or (widens and before == share)):
            raise InvalidInput(f"stages[{index}].share", share, f"above {before:g}, at most 1")
        waves.append(wave)
        hours = values.number(
            raw, ("minimum_hours",), place, default=24.0, least=0, most=MOST_HOURS
        )
        units = values.count(raw, ("minimum_units",), place, default=100, least=2)
        stage = _stage(share, hours, units, values.flag(raw, "gate", place))
        found.append({**stage, "audience": wave} if wave else stage)
        before = share
    if before < 1 or waves[-1]:
        raise InvalidInput("stages", before, "a last stage with share 1, for everybody")
    return found


def _checked_wave(given: Any, earlier: list[list[str]], index: int) -> list[str]:
    """The stage's audience; a later one holds all of an earlier one, so that nobody leaves."""
    field = f"stages[{index}].audience"
    wave = [str(name) for name in values.sequence(given or [], field, least=0)]
    check_audiences(wave, field)
    if earlier and wave and (not earlier[-1] or not set(earlier[-1]) <= set(wave)):
        held = ", ".join(earlier[-1]) or "everybody"
        raise InvalidInput(field, wave, f"all of the stage before ({held}) and more")
    return wave
