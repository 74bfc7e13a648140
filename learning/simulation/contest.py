"""An epsilon-greedy bandit over the same candidates: as many units, its own allocation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from agents import services as agents
from learning import trials
from learning.domain.peers import EpsilonGreedy
from learning.simulation import traffic
from learning.simulation.traffic import Asked

if TYPE_CHECKING:
    from learning.simulation.running import World


@dataclass(frozen=True, slots=True)
class Fought:
    """Whether the bandit ended with the candidate, how many of its units met it, and the cost."""

    shipped: bool
    seen_ratio: float
    cost_usd: Decimal


def epsilon_greedy(world: World, *, say: Callable[[str], None]) -> dict[str, Fought]:
    """Each candidate's bandit, its shares set anew each day, over the planned number of units."""
    scenario = world.scenario
    rng = Random(f"{scenario.seed}/bandit")
    total = 2 * int(trials.sizes(world.policy)[0]["planned_units"])
    a_day = max(2, round(scenario.units_per_day * scenario.experiment["coverage_ratio"]))
    bandits = {name: EpsilonGreedy(scenario.epsilon) for name in scenario.names}
    costs = dict.fromkeys(scenario.names, Decimal(0))
    base: dict[str, UUID] = {
        name: agents.version_values(world.slug(name), 1)["id"] for name in scenario.names
    }
    met, day = 0, 0
    while met < total:
        day, size = day + 1, min(a_day, total - met)
        plans = [
            (name, bandits[name].choose(rng.random(), rng.random()), number)
            for name in scenario.names
            for number in range(size)
        ]
        asked = [
            Asked(world.slug(name), f"{name}-e{day}-{number}", world.now(day),
                  world.candidates[name] if arm else base[name])
            for name, arm, number in plans
        ]  # fmt: skip
        for (name, arm, _), graded in zip(
            plans, traffic.ask_pinned(world.caller, asked), strict=True
        ):
            bandits[name].learn(arm, bool(graded.is_right))
            costs[name] += graded.cost_usd
        met += size
    say(f"the bandit has met {total} units of each candidate")
    return {
        name: Fought(bool(one.best), one.treatment[0] / total, costs[name])
        for name, one in bandits.items()
    }
