"""What needs a person now: alerts that fire, incidents that are open, objectives missed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

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
    """One alert that fires: what about, how bad, since when, and where to look.

    ``follows``: from that of the endpoint, which is told in its place.
    """

    severity: str
    title: str
    scope: str
    key: str
    why: str
    since: datetime | None
    href: str
    page: str
    follows: bool = False


def firing(scope: str = "", keys: list[str] | None = None) -> list[Firing]:
    """Alerts that fire and are not silenced, worst first."""
    rows = Alert.objects.select_related("rule").filter(state__in=FIRING, is_silenced=False)
    if scope:
        rows = rows.filter(scope=scope)
    if keys is not None:
        rows = rows.filter(key__in=keys)
    found = [
        Firing(
            row.severity, row.rule.title, row.scope, row.key,
            row.why or compared(row), row.fired_at or row.pending_since,
            f"/dashboard/alerts/{row.pk}", addresses.page_of(row.scope, row.key),
            row.inhibited_by_id is not None,
        )
        for row in rows[:MOST_ALERTS]
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
    return [one for one in firing() if not one.follows]


def open_incidents() -> int:
    """Incidents that are neither resolved nor merged."""
    return Incident.objects.filter(
        state__in=[Incident.State.OPEN, Incident.State.ACKNOWLEDGED]
    ).count()
