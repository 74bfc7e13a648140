"""Marks on the time axis: what was changed when, so that a bend in a line has its reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q

from config.errors import InvalidInput
from monitoring.models import Alert, Incident, Mark

MOST_MARKS = 40


@dataclass(frozen=True, slots=True)
class Seen:
    """One mark as a plot takes it; ``kind`` of an incident is ``incident``."""

    at: datetime
    kind: str
    text: str
    href: str
    until: datetime | None = None


def mark(
    *, kind: str, scope: str, key: str, text: str, href: str = "", begins: bool | None = None
) -> None:
    """Write down a change, in the caller's transaction. Raises InvalidInput for another kind.

    ``begins`` is for what lasts, by its ``href``: baselines leave out what lies between True and
    False.
    """
    if kind not in Mark.Kind.values:
        raise InvalidInput("kind", kind, f"one of {', '.join(Mark.Kind.values)}")
    Mark.objects.create(kind=kind, scope=scope, key=key[:200], text=text[:160], href=href[:200],
                        begins=begins)  # fmt: skip


def marks(*, scope: str, key: str, since: datetime, until: datetime) -> list[Seen]:
    """Changes of this key and incidents that touched it or everything, oldest first.

    For everything (``scope`` all) there are only incidents: marks of fifty agents say nothing.
    """
    rows = Mark.objects.filter(scope=scope, key=key, at__gte=since, at__lt=until)
    seen = [Seen(row.at, row.kind, row.text, row.href) for row in rows.order_by("-at")[:MOST_MARKS]]
    touched = Alert.objects.filter(incident=OuterRef("pk"), scope=scope, key=key)
    about: Any = Q(cause__in=["all", f"{scope}:{key}"]) | Q(Exists(touched))
    if scope == "all":
        about = Q(severity__in=["high", "critical"])
    open_ = Q(resolved_at=None) | Q(resolved_at__gt=since)
    incidents = Incident.objects.filter(about, open_, opened_at__lt=until).exclude(
        state=Incident.State.MERGED
    )
    seen += [
        Seen(max(one.opened_at, since), "incident", one.title,
             f"/dashboard/incidents/{one.pk}", one.resolved_at)
        for one in incidents.order_by("-opened_at")[:MOST_MARKS]
    ]  # fmt: skip
    return sorted(seen, key=lambda one: one.at)
