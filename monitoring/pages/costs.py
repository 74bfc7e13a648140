"""Costs: what it came to, who caused it, what was saved, and what the month will be."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from config import readable
from config.access.callers import Caller
from config.access.models import Client, User
from config.pages import page
from config.spreadsheets import table
from monitoring import addresses, charts, costs, figures, spending
from monitoring.asked import Asked, asked, link, offered, seen_in
from monitoring.domain.metrics import OF_ONE_CLIENT
from monitoring.domain.spending import Projection, unusual_days
from monitoring.figures import Figure
from monitoring.queries import Grid

TITLES = {"agent": "Agent", "version": "Version", "domain": "Domain", "user": "User",
          "client": "Client", "workflow": "Workflow", "experiment": "Traffic split",
          "model": "Model", "endpoint": "Endpoint", "learning": "Learning, by agent"}  # fmt: skip
SHOWN = 60


@require_GET
@page("monitoring:read")
def overview(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/costs?by=agent``: the whole, savings, projection, and who caused it."""
    found = asked(request, caller, "30d")
    by = request.GET.get("by") or "agent"
    told = _rows(by, caller, found)
    grid = found.sight.grid(("cost_usd", "learning_cost_usd"), found.when, ranked=())
    past = found.sight.grid(("cost_usd",), found.when.before, ranked=())
    now = timezone.now()
    month = spending.projection(found.sight, now=now)
    saved = spending.savings(found.sight, found.when)
    daily, seen = charts.totals_of(_sum(grid, "cost_usd")), seen_in(found)
    context = {
        **offered(caller, found), "by": by, "titles": _offered_titles(found), "rows": told[:SHOWN],
        "left_out": max(0, len(told) - SHOWN), "title": TITLES.get(by, by),
        "words": _words(grid, found, month),
        "figures": _figures(grid, past, month, saved, found),
        "plots": [p for p in (
            charts.bars("Cost, USD", grid.starts, daily, unit="USD", marks=seen,
                        rows=addresses.rows_of("all", "", client=found.client, sort="dearest")),
            charts.bars("Cost of learning, USD", grid.starts,
                        charts.totals_of(_sum(grid, "learning_cost_usd")), unit="USD",
                        marks=seen),
        ) if charts.has_values(p) and any(p["values"])],
        "saved": [
            (name, saved[name], addresses.rows_of("all", "", client=found.client,
                                                  range=found.when.name, cached=cached))
            for name, cached in zip(spending.SAVINGS, "100", strict=True)
        ],
        "unusual": [
            (grid.starts[n], daily[n]) for n in unusual_days([usd or 0.0 for usd in daily])
        ] if found.when.step == timedelta(days=1) else [],
        "changes": spending.changes(now=now) if found.sight.clients is None else [],
        "csv": link("/dashboard/costs.csv", found, by=by),
    }  # fmt: skip
    return render(request, "dashboard/costs.html", context)


@require_GET
@page("monitoring:read")
def export(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/costs.csv``: every row, with exact sums."""
    found = asked(request, caller, "30d")
    by = request.GET.get("by") or "agent"
    columns = (by, "name", "cost_usd", "saved_usd", "calls", "share", "since", "until")
    rows = (
        (row["key"], row["name"], row["cost_usd"], row["saved_usd"], row["calls"],
         f"{row['share']:.6f}", found.when.since.isoformat(), found.when.until.isoformat())
        for row in _rows(by, caller, found)
    )  # fmt: skip
    return table(columns, rows, f"costs-by-{by}.csv")


def _offered_titles(found: Asked) -> list[tuple[str, str]]:
    if found.sight.clients is None:
        return list(TITLES.items())
    return [(name, TITLES[name]) for name in TITLES if name in OF_ONE_CLIENT or name == "learning"]


def _sum(grid: Grid, metric: str) -> list[Any]:
    """Steps of all keys (one for everything, several for several clients)."""
    keys = list(grid.cells)
    if len(keys) == 1:
        return grid.values(keys[0], metric)
    return grid.values("", metric)


def _rows(by: str, caller: Caller, found: Asked) -> list[dict[str, Any]]:
    rows = costs.attributed(found.sight, by, found.when)
    names = _names(by, [str(row["key"]) for row in rows], caller)
    for row in rows:
        row["name"] = names.get(row["key"], row["key"])
        scope = "agent" if by == "learning" else by
        row["page"] = addresses.page_of(scope, row["key"])
        more = {"replays": "only"} if by == "learning" else {}
        ordered = {} if by == "workflow" else {"sort": "dearest"}
        rows_of = partial(addresses.rows_of, scope, row["key"], client=found.client,
                          range=found.when.name, **more)  # fmt: skip
        row["rows"], row["rows_cached"] = rows_of(**ordered), rows_of(cached="1")
        row["saves"] = by not in ("workflow", "learning")
    return rows


def _names(by: str, keys: list[str], caller: Caller) -> dict[str, str]:
    """Names of people and clients by the ids that the numbers are kept under."""
    if by not in ("client", "user"):
        return {key: key.replace("|", " v") for key in keys} if by == "version" else {}
    ids = [UUID(key) for key in keys if len(key) == 36]
    if by == "client":
        rows = caller.only_visible(Client.objects.filter(pk__in=ids), "id")
        return {str(pk): name for pk, name in rows.values_list("id", "name")}
    return {str(user.pk): str(user) for user in User.objects.filter(pk__in=ids)}


def _words(grid: Grid, found: Asked, month: Projection | None) -> str:
    stat = grid.everything("cost_usd")
    if not stat.count:
        return f"Nothing was spent in the last {found.when.words}."
    said = f"{readable.money(stat.total)} went to {readable.count(stat.count)} calls in "
    said += found.when.words
    if month is None:
        return said + "; the month's end can be told after three days."
    return said + f"; this month comes to {readable.money(month.whole_usd)}."


def _figures(
    grid: Grid, past: Grid, month: Projection | None, saved: dict[str, float], found: Asked
) -> list[Figure]:
    whole, before = grid.everything("cost_usd"), past.everything("cost_usd")
    rows = addresses.rows_of("all", "", client=found.client, range=found.when.name, sort="dearest")
    compared = figures.change(whole.total, before.total, found.when.words)
    shown = [figures.paid("Spent", whole, href=rows, note=compared)]
    if month is not None:
        between = f"{readable.money(month.low_usd)} to {readable.money(month.high_usd)}"
        shown += [
            Figure("This month so far", readable.money(month.spent_usd),
                   f"{month.spent_usd:.9f} USD", f"{readable.plural(month.days_left, 'day')} left",
                   addresses.rows_of("all", "", client=found.client, sort="dearest",
                                     since=f"{found.when.until:%Y-%m}-01T00:00:00Z")),
            Figure("To its end", readable.money(month.whole_usd), f"{month.whole_usd:.9f} USD",
                   f"{between}, 9 in 10", link("", found, range="90d")),
        ]  # fmt: skip
    all_saved = sum(saved.values())
    share = all_saved / (whole.total + all_saved) if whole.total + all_saved else None
    shown += [
        Figure("Saved", readable.money(all_saved), f"{all_saved:.9f} USD",
               f"{readable.percent(share)} of what it would have cost", "#saved"),
        figures.paid("Learning", grid.everything("learning_cost_usd"), href="?by=learning"),
        Figure("A call", readable.money(whole.mean), f"{whole.mean or 0:.9f} USD", "mean", rows),
    ]  # fmt: skip
    return shown
