"""Costs for people: savings by cause, the month to come, days that stand out, what paid back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from monitoring import queries
from monitoring.domain import spending as deciding
from monitoring.domain.spending import Payback, Projection
from monitoring.models import Mark
from monitoring.sight import Sight
from monitoring.stretch import Stretch

DAY = timedelta(days=1)
# Cause → the counter that holds what it saved.
SAVINGS = {"cache": "saved_usd", "routing": "saved_by_routing_usd", "tokens": "saved_by_tokens_usd"}
# Days that teach what a weekday costs, and the longest that a change is looked at on each side.
TAUGHT_DAYS, WATCHED = 35, 14 * DAY
MOST_CHANGES = 20


@dataclass(frozen=True, slots=True)
class Change:
    """One deployment and what it brought, where both sides have calls."""

    agent: str
    text: str
    href: str
    at: datetime
    found: Payback | None


def savings(sight: Sight, when: Stretch) -> dict[str, float]:
    """USD saved by cause: answers from the cache, cheaper models, fewer tokens."""
    grid = sight.grid(tuple(SAVINGS.values()), when)
    return {cause: grid.everything(name).total for cause, name in SAVINGS.items()}


def projection(sight: Sight, *, now: datetime) -> Projection | None:
    """This month to its end, from days of the last ``TAUGHT_DAYS``."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    when = Stretch("90d", midnight - TAUGHT_DAYS * DAY, now + timedelta(minutes=1), DAY, "")
    grid = sight.grid(("cost_usd",), when, ranked=())
    days: dict[Any, float] = {}
    first = None
    for place, start in enumerate(grid.starts):
        stats = [row[place].get("cost_usd", queries.EMPTY) for row in grid.cells.values()]
        usd, count = sum(stat.total for stat in stats), sum(stat.count for stat in stats)
        if count and first is None:
            first = start  # days before the first call were not cheap, they were not at all
        if first is not None:
            days[start.date()] = usd
    if not days:
        return None
    share = min((now - midnight) / DAY, 1.0)
    return deciding.project_month(days, today=now.date(), share_of_today=share)


def changes(*, now: datetime) -> list[Change]:
    """The latest deployments and what each brought in cost, newest first.

    As many days before as since, at most ``WATCHED``; the agent's own learning in both counts
    as what it cost. A first version is left out: nothing was there before it.
    """
    rows = (
        Mark.objects.filter(scope="agent", kind=Mark.Kind.DEPLOYMENT)
        .exclude(text="v1 deployed")
        .order_by("-at")
    )
    return [
        Change(row.key, row.text, row.href, row.at, _found(row, now))
        for row in rows[:MOST_CHANGES]
    ]  # fmt: skip


def _found(row: Mark, now: datetime) -> Payback | None:
    span = min(now - row.at, WATCHED)
    if span < timedelta(hours=1):
        return None
    names = ["cost_usd", "invocations", "learning_cost_usd"]

    def read(since: datetime, until: datetime) -> dict[str, Any]:
        found = queries.totals(
            names, scope="agent", keys=[row.key], since=since, until=until, ranked=()
        )
        stats = found.get(row.key, {})
        return {name: stats.get(name, queries.EMPTY).total for name in names}

    before, after = read(row.at - span, row.at), read(row.at, row.at + span)

    def live(side: dict[str, Any]) -> tuple[float, int]:
        return side["cost_usd"] - side["learning_cost_usd"], int(side["invocations"])

    return deciding.payback(
        before=live(before), after=live(after),
        spent_usd=before["learning_cost_usd"] + after["learning_cost_usd"],
    )  # fmt: skip
