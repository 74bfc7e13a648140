"""Day after day: calls, scores, sweeps, until every candidate is decided or the days are over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from django.utils import timezone

from agents import services as agents
from config.access import callers
from config.access.callers import Caller
from config.access.models import Client, Membership, User
from learning import experiments, improvements, rollouts, trials
from learning.models import Improvement, TrialPolicy
from learning.simulation import contest, report, traffic
from learning.simulation.acting import acting
from learning.simulation.scenario import Scenario

ENDPOINT, MODEL = "simulation", "offline-standard"
BASE_PROMPT = "State the total of the case that is given."
CANDIDATE_PROMPT = BASE_PROMPT + " Check it once more before you answer. Revision {name}."
Say = Callable[[str], None]


@dataclass(slots=True)
class World:
    """What the days share."""

    scenario: Scenario
    caller: Caller
    start: datetime
    policy: TrialPolicy
    candidates: dict[str, UUID] = field(default_factory=dict)
    improvements: dict[str, UUID] = field(default_factory=dict)
    calls: int = 0
    days: int = 0

    def slug(self, name: str) -> str:
        return f"sim-{name}"

    def now(self, day: int) -> datetime:
        """The end of a simulated day; the first is day 1."""
        return self.start + timedelta(days=day)


def run(scenario: Scenario, path: Path, *, say: Say = lambda _: None) -> dict[str, Any]:
    """Simulate, and report as a document. Needs a database of its own: agents are made in it.

    ``path`` is the scenario's file, for the offline model alone. Raises InvalidDocument.
    """
    began = time.monotonic()
    with acting(path, seed=scenario.seed, candidates=scenario.candidates) as actor:
        agents.load_prices()
        agents.add_endpoint(ENDPOINT, actor.url, {MODEL: "standard"})
        world = _world(scenario)
        for name in scenario.names:
            _propose(world, name)
        trials.sweep(world.start, lambda row: _seed(scenario, row.agent_slug))
        say(f"{scenario.candidates} candidates are on trial; {trials.describe(world.policy)}")
        for day in range(1, scenario.days + 1):
            if not _one_day(world, day, began, say):
                break
        seconds = time.monotonic() - began
        bandit = contest.epsilon_greedy(world, say=say)
        told = actor.tell()
    return report.document(world, told, bandit, seconds=seconds)


def _world(scenario: Scenario) -> World:
    firm, _ = Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The simulated firm"}
    )
    user, _ = User.objects.get_or_create(username="simulated-reviewer")
    Membership.objects.get_or_create(user=user, client=firm, role="reviewer")
    experiment, rollout = scenario.experiment, scenario.rollout
    guards = []
    if experiment["cost_margin"] is not None:
        guards = [
            {"key": "cost_usd_per_call", "role": "guardrail", "margin": experiment["cost_margin"]}
        ]
    policy, _ = TrialPolicy.objects.update_or_create(
        agent_slug="",
        defaults={
            "coverage_ratio": experiment["coverage_ratio"], "effect": experiment["effect"],
            "baseline": experiment["baseline"], "minimum_units": experiment["minimum_units"],
            "minimum_days": experiment["minimum_days"],
            "most_size_ratio": experiment["most_size_ratio"],
            "metrics": [{"key": f"score:{traffic.METRIC}", "role": "primary"}, *guards],
            "strategy": rollout["strategy"], "stages": rollout["stages"],
        },
    )  # fmt: skip
    # Rows of the simulation end today: what is dated later would lie in nobody's window.
    start = timezone.now() - timedelta(days=scenario.days)
    return World(scenario, callers.of_user(user), start, policy)


def _propose(world: World, name: str) -> None:
    """The agent, the changed version, the proposal, and a reviewer's consent.

    Nothing is on record that could be replayed: what is simulated is the comparison on live
    traffic, harmful candidates among them, so the reviewer lets each go by name.
    """
    slug = world.slug(name)
    agents.open_agent(slug, prompt=BASE_PROMPT)
    version = agents.publish_prompt(slug, CANDIDATE_PROMPT.format(name=name), by="simulation")
    row, _ = improvements.propose(
        client_id=world.caller.home_client_id, agent_slug=slug, kind="prompt",
        title=f"Candidate {name}", proposal={"prompt": name}, evidence={},
        expected={"metric": traffic.METRIC}, impact=1.0, confidence=0.5,
        risk=Improvement.Risk.LOW, candidate_version_id=version, proposed_by="simulation",
    )  # fmt: skip
    improvements.approve(
        caller=world.caller, improvement_id=row.pk, override=True,
        reason="simulated consent: nothing is on record to replay",
    )  # fmt: skip
    world.candidates[name], world.improvements[name] = version, row.pk


def _seed(scenario: Scenario, slug: str) -> str:
    return f"{scenario.name}/{scenario.seed}/{slug}"


def _one_day(world: World, day: int, began: float, say: Say) -> bool:
    """All calls of a day, then the sweeps; False when nothing is on trial any more."""
    busy = experiments.busy_agents()
    active = [name for name in world.scenario.names if world.slug(name) in busy]
    if not active:
        return False
    asked = [
        one
        for name in active
        for one in traffic.units_of_day(
            world.slug(name), name, day, world.scenario.units_per_day, world.now(day - 1)
        )
    ]
    traffic.meet(world.caller, asked)
    world.calls, world.days = world.calls + len(asked), day
    if day % world.scenario.look_every_days == 0 or day == world.scenario.days:
        now = world.now(day)
        back = rollouts.sweep(now)
        experiments.sweep(now)
        trials.sweep(now, lambda row: _seed(world.scenario, row.agent_slug))
        pace = world.calls / (time.monotonic() - began)
        say(
            f"day {day}: {len(active)} open, {back['advanced']} stages on, "
            f"{world.calls} calls, {pace:.0f} a second"
        )
    return True


def cost_of(rows: list[dict[str, Any]]) -> Decimal:
    """What these exposures cost, USD."""
    return sum((row["cost_usd"] for row in rows), Decimal(0))
