"""When something was wrong: spans that others leave out of what they compare."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from monitoring.domain.metrics import SCOPES
from monitoring.domain.periods import Span, joined
from monitoring.domain.rules import AlertState
from monitoring.models import Alert, Incident, Mark

# What goes wrong under these keys goes wrong for everybody.
COMMON_SCOPES = ("all", "endpoint", "provider_endpoint", "queue")
# But of these, as alerts name the queue of analyses: steps may travel there, calls never do.
OF_ANALYSES = ("analysis", "queue analysis")


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

    One of low severity is a hint, not an outage, and is left out; so is one of the queue of
    analyses where ``scope`` is an agent, for no call waits there. A window begins when the first
    of its alerts saw its condition, which is before the incident was opened.
    """
    common = Q(alerts__scope__in=COMMON_SCOPES)
    if scope == "agent":
        common &= ~Q(alerts__key__in=OF_ANALYSES)
    own = Q(alerts__scope__startswith=scope) & (
        Q(alerts__key=key) | Q(alerts__key__startswith=f"{key}|")
    )
    rows = _touching(since, until).filter(own | common).exclude(severity="low").distinct()
    first: dict[UUID, datetime] = {}
    ends: dict[UUID, list[datetime | None]] = defaultdict(list)
    about = Alert.objects.filter(incident__in=rows)
    for incident_id, pending, state, clear in about.values_list(
        "incident_id", "pending_since", "state", "clear_since"
    ):
        if incident_id is not None:
            first[incident_id] = min(first.get(incident_id, pending), pending)
            if state != AlertState.RESOLVED:
                ends[incident_id].append(_last_known(state, clear))
    found = []
    for row in rows:
        known = [at for at in ends[row.pk] if at is not None]
        is_known = bool(known) and len(known) == len(ends[row.pk])
        over = row.resolved_at or (max(known) if is_known else None)
        began = min(row.opened_at, first.get(row.pk, row.opened_at))
        found.append(Window(row.pk, row.title, began, over or until, over is None))
    return sorted(found, key=lambda window: window.since)


def _last_known(state: str, clear: datetime | None) -> datetime | None:
    """Until when a live alert is known to have held, where that is over: its data ended."""
    return clear if state == AlertState.NO_DATA else None


def _touching(since: datetime, until: datetime) -> QuerySet[Incident]:
    return Incident.objects.filter(
        Q(resolved_at=None) | Q(resolved_at__gt=since), opened_at__lt=until
    ).exclude(state=Incident.State.MERGED)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Spans that are no part of the usual, by the first part of a key; ``""``: of everybody's."""

    spans: dict[str, list[Span]]

    def of(self, key: str) -> list[Span]:
        """Those that concern ``key``, joined and oldest first."""
        own = self.spans.get(key.partition("|")[0], []) if key else []
        return joined([*self.spans.get("", []), *own])


def left_out(scope: str, *, since: datetime, until: datetime) -> LeftOut:
    """Incidents and experiments of the keys of ``scope`` that touch [since, until).

    An incident that is open lasts until ``until``, an experiment that runs too; an alert without
    data only as far as there was any.
    """
    label = SCOPES[scope][:1]
    found: dict[str, list[Span]] = {}
    rows = _touching(since, until).exclude(severity="low").order_by()
    about = rows.values_list("opened_at", "resolved_at", "alerts__scope", "alerts__key",
                             "alerts__pending_since", "alerts__state",
                             "alerts__clear_since")  # fmt: skip
    for opened, resolved, of_scope, key, pending, state, clear in about:
        if of_scope is None:
            continue
        span = (min(opened, pending), resolved or _last_known(state, clear) or until)
        if of_scope in COMMON_SCOPES:
            if label == ("agent",) and key in OF_ANALYSES:
                continue
            found.setdefault("", []).append(span)
        elif label and SCOPES.get(of_scope, ())[:1] == label:
            found.setdefault(key.partition("|")[0], []).append(span)
    if label:
        for key, span in _experiments(label[0], since, until):
            found.setdefault(key, []).append(span)
    return LeftOut(found)


def _experiments(scope: str, since: datetime, until: datetime) -> Iterator[tuple[str, Span]]:
    """By its marks: from where one went on to where it rested or ended."""
    rows = Mark.objects.filter(scope=scope, begins__isnull=False, at__lt=until).order_by("at", "id")
    running: dict[tuple[str, str], datetime] = {}
    for key, href, at, begins in rows.values_list("key", "href", "at", "begins"):
        if begins:
            running.setdefault((key, href), at)
        elif (began := running.pop((key, href), None)) is not None and at > since:
            yield key, (began, at)
    for (key, _), began in running.items():
        yield key, (began, until)
