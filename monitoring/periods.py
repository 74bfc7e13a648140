"""When something was wrong: spans that others leave out of what they compare."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q

from monitoring.models import Incident


def incident_periods(since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """(opened, resolved) of incidents that touch [since, until), oldest first.

    One that is open still lasts until ``until``.
    """
    rows = Incident.objects.filter(
        Q(resolved_at=None) | Q(resolved_at__gt=since), opened_at__lt=until
    ).order_by("opened_at")
    return [
        (opened, resolved or until)
        for opened, resolved in rows.values_list("opened_at", "resolved_at")
    ]
