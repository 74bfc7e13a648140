"""Traces of agents that run elsewhere: the rows behind their figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import DurationField, ExpressionWrapper, F
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_GET

from config import readable
from config.access.callers import Caller
from config.errors import InvalidInput
from config.pages import page
from config.partitions import first_id
from monitoring import lists
from monitoring.addresses import TRACES
from monitoring.asked import filters_of, identifier
from monitoring.domain.otlp import AHEAD
from monitoring.lists import Listing
from monitoring.models import ExternalTrace

NAMES = ("agent", "endpoint", "model", "client", "state", "range", "since", "until")
COLUMNS = ("trace_id", "agent", "client_id", "ended_at", "duration_seconds", "is_error", "weight")


@require_GET
@page("monitoring:read")
def all_traces(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """``/dashboard/traces``: what was kept of agents that run elsewhere, the newest first.

    Every failed and slow one is kept; each of the others stands for ``weight`` like it.
    """
    return LIST.page(request, caller)


@require_GET
@page("monitoring:read")
def as_csv(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """``/dashboard/traces.csv``: the newest that match, exact."""
    return LIST.file(request, caller)


def _read(request: HttpRequest, caller: Caller, limit: int, before: str) -> list[Any]:
    given = filters_of(request, NAMES)
    rows = caller.only_visible(ExternalTrace.objects.exclude(state=ExternalTrace.State.DROPPED))
    if agent := given.get("agent"):
        rows = rows.filter(agent=agent)
    for name in ("endpoint", "model"):
        if value := given.get(name):
            rows = rows.filter(asked__contains=[value])
    if client := given.get("client"):
        rows = rows.filter(client_id=identifier("client", client))
    if state := given.get("state"):
        if state != "failed":
            raise InvalidInput("state", state, "failed")
        rows = rows.filter(is_error=True)
    since, until = lists.times_of(request, caller, given)
    if since is not None:  # it came when it had ended, by another's clock
        rows = rows.filter(id__gte=first_id(since - AHEAD))
    rows = lists.in_time(rows, "ended_at", (since, until))
    if before:
        rows = rows.filter(id__lt=identifier("before", before))
    took = ExpressionWrapper(F("ended_at") - F("started_at"), output_field=DurationField())
    return list(rows.defer("spans").annotate(took=took).order_by("-id")[:limit])


def _cells(row: Any) -> Sequence[object]:
    return (row.trace_id, row.agent, row.client_id, row.ended_at, row.took.total_seconds(),
            row.is_error, row.weight)  # fmt: skip


def _tell(rows: list[Any], more: bool) -> str:
    said = LIST.words(rows, more)
    stands = sum(one.weight for one in rows)
    if more or stands <= len(rows):
        return said
    return f"{said.rstrip('.')}, for {readable.count(stands)} calls."


LIST: Listing[Any] = Listing(
    place=TRACES, template="dashboard/traces.html", names=NAMES, columns=COLUMNS, one="trace",
    many="traces", read=_read, place_of=lambda row: str(row.pk), cells=_cells,
    said={("state", "failed"): "failed"}, tell=_tell,
)  # fmt: skip
