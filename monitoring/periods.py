"""When something was wrong: spans that others leave out of what they compare."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from monitoring.models import Alert, Incident

# What goes wrong under these keys goes wrong for everybody.
COMMON_SCOPES = ("all", "endpoint", "queue")


@dataclass(frozen=True, slots=True)
class Window:
    """One incident's span, from its first alert's cause to its end; ``is_open`` if it lasts."""

    id: UUID
    title: str
    since: datetime
    until: datetime
    is_open: bool


def incident_periods(since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """(opened, resolved) of incidents that touch [since, until), oldest first.

    One that is open still lasts until ``until``.
    """
    rows = _touching(since, until).order_by("opened_at")
    return [
        (opened, resolved or until)
        for opened, resolved in rows.values_list("opened_at", "resolved_at")
    ]


def incident_windows(since: datetime, until: datetime, *, scope: str, key: str) -> list[Window]:
    """Incidents of ``key`` (an agent, a workflow) or of everybody that touch [since, until).

    One of low severity is a hint, not an outage, and is left out. A window begins when the first
    of its alerts saw its condition, which is before the incident was opened.
    """
    own = Q(alerts__scope__startswith=scope) & (
        Q(alerts__key=key) | Q(alerts__key__startswith=f"{key}|")
    )
    rows = (
        _touching(since, until)
        .filter(own | Q(alerts__scope__in=COMMON_SCOPES))
        .exclude(severity="low")
        .distinct()
    )
    first: dict[UUID, datetime] = {}
    for incident_id, pending in Alert.objects.filter(incident__in=rows).values_list(
        "incident_id", "pending_since"
    ):
        if incident_id is not None:
            first[incident_id] = min(first.get(incident_id, pending), pending)
    found = [
        Window(
            row.pk, row.title, min(row.opened_at, first.get(row.pk, row.opened_at)),
            row.resolved_at or until, row.resolved_at is None,
        )
        for row in rows
    ]  # fmt: skip
    return sorted(found, key=lambda window: window.since)


def _touching(since: datetime, until: datetime) -> QuerySet[Incident]:
    return Incident.objects.filter(
        Q(resolved_at=None) | Q(resolved_at__gt=since), opened_at__lt=until
    ).exclude(state=Incident.State.MERGED)
