"""How the fleet does over a stretch of time, from rollups: each agent's calls, errors, latency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agents import queries
from agents.models import Agent, AgentVersion, Label
from monitoring import charts, watchlist
from monitoring.queries import EMPTY
from monitoring.sight import Sight
from monitoring.stretch import Stretch
from monitoring.watchlist import Firing

METRICS = ("invocations", "invocation_errors", "invocation_duration_seconds", "cost_usd",
           "accuracy_ratio")  # fmt: skip
RANKED = ("invocation_duration_seconds",)


@dataclass(frozen=True, slots=True)
class Row:
    """One agent with its numbers; ``alert`` is the worst that fires about it."""

    agent: dict[str, Any]
    production: int | None
    calls: float
    error_ratio: float | None
    p50_seconds: float | None
    p95_seconds: float | None
    cost_usd: float
    accuracy: float | None
    by_step: list[float | None]
    alert: Firing | None

    @property
    def health(self) -> str:
        """``paused``, ``retired``, an alert's severity, ``idle`` or ``healthy``."""
        if self.agent["state"] != Agent.State.ACTIVE:
            return str(self.agent["state"])
        if self.alert is not None:
            return self.alert.severity
        return "healthy" if self.calls else "idle"


def rows(sight: Sight, when: Stretch, *, domain: str = "") -> list[Row]:
    """Every agent, by domain and name. Alerts only for those who see every client."""
    totals, course = sight.with_course(METRICS, "invocations", when, scope="agent", ranked=RANKED)
    firing = watchlist.worst_by_key("agent") if sight.clients is None else {}
    production = dict(
        Label.objects.filter(name=Label.Name.PRODUCTION).values_list("agent_id", "version__number")
    )
    agents = Agent.objects.filter(domain=domain) if domain else Agent.objects.all()
    found = []
    for agent in agents.order_by("domain", "slug"):
        stats = totals.get(agent.slug, {})
        calls, errors, seconds, cost, accuracy = (stats.get(one, EMPTY) for one in METRICS)
        found.append(
            Row(
                queries.agent_values(agent), production.get(agent.pk), calls.total,
                errors.total / calls.total if calls.total else None,
                seconds.percentile(0.50), seconds.percentile(0.95), cost.total, accuracy.mean,
                course.get(agent.slug, []),
                firing.get(agent.slug),
            )
        )  # fmt: skip
    return found


@dataclass(frozen=True, slots=True)
class Standing:
    """How many agents there are, which ones need somebody, which are paused."""

    agents: int
    active: int
    needing: list[tuple[str, Firing]]
    paused: list[str]


def standing(sight: Sight) -> Standing:
    """The fleet as it stands now; needs no numbers."""
    states = list(Agent.objects.order_by("slug").values_list("state", "slug"))
    firing = watchlist.worst_by_key("agent") if sight.clients is None else {}
    active = [slug for state, slug in states if state == Agent.State.ACTIVE]
    return Standing(
        sum(state != Agent.State.RETIRED for state, _ in states),
        len(active),
        [(slug, firing[slug]) for slug in active if slug in firing],
        [slug for state, slug in states if state == Agent.State.PAUSED],
    )


def by_version(sight: Sight, when: Stretch, slug: str) -> dict[int, dict[str, Any]]:
    """Version number → calls, error share, p95, cost of a call, accuracy, satisfaction, rework.

    Empty for those who see only some clients: versions are not kept for each.
    """
    if not sight.sees("version"):
        return {}
    numbers = {str(n) for n in AgentVersion.objects.filter(agent__slug=slug).values_list(
        "number", flat=True)}  # fmt: skip
    keys = [f"{slug}|{number}" for number in sorted(numbers)]
    grid = sight.grid((*METRICS, "satisfaction_score", "rework"), when, scope="version",
                      keys=keys, ranked=RANKED)  # fmt: skip
    found = {}
    for key in grid.cells:
        calls = grid.total(key, "invocations").total
        errors, cost = grid.total(key, "invocation_errors").total, grid.total(key, "cost_usd")
        found[int(key.rpartition("|")[2])] = {
            "calls": calls, "error_ratio": errors / calls if calls else None,
            "p95_seconds": grid.total(key, "invocation_duration_seconds").percentile(0.95),
            "cost_usd": cost.mean, "accuracy": grid.total(key, "accuracy_ratio").mean,
            "satisfaction": grid.total(key, "satisfaction_score").mean,
            "rework": grid.total(key, "rework").total,
            "by_step": charts.totals_of(grid.values(key, "invocations")),
        }  # fmt: skip
    return found
