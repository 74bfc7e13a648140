"""What needs a person now: alerts that fire, incidents that are open, objectives missed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, Value, When

from monitoring import addresses
from monitoring.domain.anomaly.severity import Severity
from monitoring.domain.rules import AlertState
from monitoring.models import Alert, Incident
from monitoring.telling import compared

RANK = {severity.value: place for place, severity in enumerate(Severity)}
FIRING = (AlertState.FIRING, AlertState.NO_DATA)
MOST_ALERTS = 500


@dataclass(frozen=True, slots=True)
class Firing:
    """One alert that fires: what about, how bad, since when, and where to look."""

    severity: str
    title: str
    scope: str
    key: str
    why: str
    since: datetime | None
    href: str
    page: str


_WORST_FIRST = Case(*(When(severity=name, then=Value(-rank)) for name, rank in RANK.items()))


def firing(
    scope: str = "", keys: list[str] | None = None, *, of_itself: bool = False
) -> list[Firing]:
    """Alerts that fire and are not silenced, worst first; ``of_itself``: without what follows."""
    rows = Alert.objects.select_related("rule").filter(state__in=FIRING, is_silenced=False)
    if of_itself:
        rows = rows.filter(inhibited_by=None)
    if scope:
        rows = rows.filter(scope=scope)
    if keys is not None:
        rows = rows.filter(key__in=keys)
    found = [
        Firing(
            row.severity, row.rule.title, row.scope, row.key,
            row.why or compared(row), row.fired_at or row.pending_since,
            f"/dashboard/alerts/{row.pk}", addresses.page_of(row.scope, row.key),
        )
        for row in rows.order_by(_WORST_FIRST, "-id")[:MOST_ALERTS]
    ]  # fmt: skip
    return sorted(found, key=lambda one: (-RANK[one.severity], one.title, one.key))


def worst_by_key(scope: str) -> dict[str, Firing]:
    """The worst alert that fires of each key of a scope."""
    worst: dict[str, Firing] = {}
    for one in firing(scope):
        worst.setdefault(one.key, one)
    return worst


def attention() -> list[Firing]:
    """Everything that fires anywhere of itself, worst first."""
    return firing(of_itself=True)


def open_incidents() -> int:
    """Incidents that are neither resolved nor merged."""
    return Incident.objects.filter(
        state__in=[Incident.State.OPEN, Incident.State.ACKNOWLEDGED]
    ).count()
