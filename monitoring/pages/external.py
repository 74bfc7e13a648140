"""Traces of agents that run elsewhere: the rows behind their figures."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from config import readable
from config.access.callers import Caller
from config.errors import InvalidInput
from config.pages import page
from config.partitions import first_id
from config.spreadsheets import table
from monitoring.addresses import TRACES
from monitoring.asked import asked, chips, filters_of, identifier, moment
from monitoring.domain.otlp import AHEAD
from monitoring.models import ExternalTrace
from monitoring.stretch import RANGES

SHOWN, CSV_ROWS = 50, 10_000
NAMES = ("agent", "client", "state", "range", "since", "until")
SAID = {("state", "failed"): "failed",
        **{("range", name): f"last {words}" for name, (_, _, words) in RANGES.items()}}  # fmt: skip
COLUMNS = ("trace_id", "agent", "client_id", "ended_at", "duration_seconds", "is_error", "weight")


@require_GET
@page("monitoring:read")
def all_traces(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/traces``: what was kept of agents that run elsewhere, the newest first.

    Every failed and slow one is kept; each of the others stands for ``weight`` like it.
    """
    given, rows = filters_of(request, NAMES), _chosen(request, caller)
    if before := request.GET.get("before"):
        rows = rows.filter(id__lt=identifier("before", before))
    found, older = list(rows.defer("spans")[: SHOWN + 1]), ""
    if len(found) > SHOWN:
        found = found[:SHOWN]
        older = f"?{urlencode({**given, 'before': str(found[-1].pk)})}"
    context = {
        "rows": [{"trace": one, "seconds": (one.ended_at - one.started_at).total_seconds()}
                 for one in found],
        "older": older, "words": _words(found, bool(older)),
        "filters": chips(given, SAID),
        "csv": f"{TRACES}.csv?{urlencode(given)}",
    }  # fmt: skip
    return render(request, "dashboard/traces.html", context)


@require_GET
@page("monitoring:read")
def as_csv(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/traces.csv``: the newest ``CSV_ROWS`` that match, exact."""
    rows = (
        (one.trace_id, one.agent, one.client_id, one.ended_at,
         (one.ended_at - one.started_at).total_seconds(), one.is_error, one.weight)
        for one in _chosen(request, caller).defer("spans")[:CSV_ROWS].iterator()
    )  # fmt: skip
    return table(COLUMNS, rows, "traces.csv")


def _chosen(request: HttpRequest, caller: Caller) -> QuerySet[Any]:
    given = filters_of(request, NAMES)
    rows = caller.only_visible(ExternalTrace.objects.exclude(state=ExternalTrace.State.DROPPED))
    if agent := given.get("agent"):
        rows = rows.filter(agent=agent)
    if client := given.get("client"):
        rows = rows.filter(client_id=identifier("client", client))
    if state := given.get("state"):
        if state != "failed":
            raise InvalidInput("state", state, "failed")
        rows = rows.filter(is_error=True)
    since = moment("since", given["since"]) if given.get("since") else None
    if since is None and given.get("range"):
        since = asked(request, caller).when.since
    if since is not None:  # it came when it had ended, by another's clock
        rows = rows.filter(id__gte=first_id(since - AHEAD), ended_at__gte=since)
    if until := given.get("until"):
        rows = rows.filter(ended_at__lt=moment("until", until))
    return rows.order_by("-id")


def _words(found: list[Any], more: bool) -> str:
    if not found:
        return "No trace matches."
    if more:
        return f"The newest {len(found)} traces that match."
    stands = sum(one.weight for one in found)
    said = f"{readable.plural(len(found), 'trace')} match{'es' if len(found) == 1 else ''}"
    return said + (f", for {readable.count(stands)} calls." if stands > len(found) else ".")
