"""Pieces about one key, which any page fetches by address: figures with plots, alerts, CSV."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from config.access.callers import Caller
from config.errors import InvalidInput
from config.pages import page
from config.spreadsheets import table
from monitoring import panel, watchlist
from monitoring.asked import asked
from monitoring.domain.metrics import METRICS, SCOPES
from monitoring.queries import statistic

RUN_SCOPES = ("workflow", "step")
# Columns of an export, beside count and sum.
STATISTICS = ("mean", "p50", "p95", "p99")


@require_GET
@page("agents:read")
def one(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/_panel?scope=&key=``: the figures and plots of one key."""
    found = asked(request, caller)
    scope, key = request.GET.get("scope", "all"), request.GET.get("key", "")
    if scope not in SCOPES:
        raise InvalidInput("scope", scope, f"one of {', '.join(SCOPES)}")
    is_full = request.GET.get("full") != "0"
    if scope in RUN_SCOPES:
        shown = panel.of_runs(found.sight, scope, key, found.when, client=found.client)
    else:
        shown = panel.of_calls(
            found.sight, scope, key, found.when, client=found.client, is_full=is_full
        )
    context = {
        "panel": shown, "when": found.when,
        "longer": request.headers.get("HX-Current-URL", "").partition("?")[0] + "?range=90d",
        "empty": "Each call will be counted here within seconds of its end."
        if scope not in RUN_SCOPES else "Each run will be counted here once it has ended.",
    }  # fmt: skip
    return render(request, "dashboard/_panel.html", context)


@require_GET
@page("agents:read")
def alerts(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/_alerts?scope=&key=``: what fires about one key, for those who see it all."""
    scope, key = request.GET.get("scope", ""), request.GET.get("key", "")
    rows = watchlist.firing(scope, [key]) if caller.client_ids is None else []
    return render(request, "dashboard/_attention.html", {"rows": rows, "all": len(rows)})


@require_GET
@page("monitoring:read")
def export(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/export.csv?metric=&scope=&key=&range=``: exact numbers, a row a key and step."""
    found = asked(request, caller)
    metric, scope = request.GET.get("metric", ""), request.GET.get("scope", "all")
    key = request.GET.get("key")
    if metric not in METRICS:
        raise InvalidInput("metric", metric, f"one of {', '.join(METRICS)}")
    if scope not in SCOPES:
        raise InvalidInput("scope", scope, f"one of {', '.join(SCOPES)}")
    keys = None if key is None and scope != "all" else [key or ""]
    grid = found.sight.grid((metric,), found.when, scope=scope, keys=keys)
    rows = (
        (name, start.isoformat(), stat.count, stat.total,
         *(statistic(stat, word) for word in STATISTICS))
        for name in sorted(grid.cells)
        for start, stat in zip(grid.starts, grid.values(name, metric), strict=True)
        if stat.count
    )  # fmt: skip
    return table((scope, "start", "count", "total", *STATISTICS), rows, f"{metric}-{scope}.csv")
