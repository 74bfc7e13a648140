"""Domains: how each department's agents do, and one domain with all that is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from config import readable
from config.access.callers import Caller
from config.pages import page
from monitoring import addresses, charts, objectives
from monitoring.asked import asked, link, offered
from monitoring.pages.objectives import row_of as objective_row
from monitoring.sight import Sight
from monitoring.stretch import Stretch

METRICS = ("invocations", "invocation_errors", "invocation_duration_seconds", "cost_usd",
           "accuracy_ratio")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One domain over the stretch."""

    name: str
    calls: float
    error_ratio: float | None
    p50_seconds: float | None
    p95_seconds: float | None
    cost_usd: float
    accuracy: float | None
    by_step: list[float | None]
    page: str
    rows: str
    scores: str


@require_GET
@page("monitoring:read")
def all_domains(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/domains``: every domain that was called, busiest first."""
    found = asked(request, caller, "7d")
    rows = _rows(found.sight, found.when, found.client)
    context = {**offered(caller, found), "rows": rows, "words": _words(rows, found.when)}
    return render(request, "dashboard/domains.html", context)


def _rows(sight: Sight, when: Stretch, client: str) -> list[Row]:
    grid = sight.grid(METRICS, when, scope="domain")
    rows = []
    for key in grid.cells:
        calls, seconds = grid.total(key, "invocations"), grid.total(key, METRICS[2])
        errors = grid.total(key, "invocation_errors")
        rows.append(Row(
            key, calls.total, errors.total / calls.total if calls.total else None,
            seconds.percentile(0.5), seconds.percentile(0.95),
            grid.total(key, "cost_usd").total, grid.total(key, "accuracy_ratio").mean,
            charts.totals_of(grid.values(key, "invocations")), addresses.page_of("domain", key),
            f"{addresses.rows_of('domain', key, client=client)}&range={when.name}",
            addresses.rows_behind("accuracy_ratio", "domain", key, client=client, range=when.name),
        ))  # fmt: skip
    return sorted(rows, key=lambda row: -row.calls)


def _words(rows: list[Row], when: Stretch) -> str:
    if not rows:
        return f"No domain was called in the last {when.words}."
    poor = [row.name for row in rows if (row.error_ratio or 0) > 0.05]
    said = f"{readable.plural(len(rows), 'domain')} took "
    said += f"{readable.count(sum(row.calls for row in rows))} calls in {when.words}; "
    if poor:
        return said + f"more than 5 % failed in {readable.listed(poor)}."
    return said + "fewer than 5 % failed in each."


@require_GET
@page("monitoring:read")
def one(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    """``/dashboard/domains/{name}``: figures, plots, objectives, and its agents' page."""
    found = asked(request, caller, "7d")
    cards = []
    if found.sight.clients is None:
        cards = objectives.scorecard(now=found.when.until, scope="domain", key=name)
    cards = [card for card in cards if card.score.value is not None]
    missed = [card.objective.title for card in cards if card.score.state == "missed"]
    context = {
        **offered(caller, found), "name": name, "missed": missed,
        "cards": [
            objective_row(card, found.when.until, "domain", name) for card in cards
        ],
        "panel": link("/dashboard/_panel", found, scope="domain", key=name),
        "alerts": link("/dashboard/_alerts", found, scope="domain", key=name),
        "stream": link("/dashboard/_stream", found, scope="domain", key=name),
        "agents": f"/dashboard/agents?domain={quote(name)}",
        "report": f"/dashboard/sla?domain={quote(name)}",
    }  # fmt: skip
    return render(request, "dashboard/domain.html", context)
