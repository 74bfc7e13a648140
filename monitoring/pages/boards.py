"""People's own dashboards: put together from any metric of any key that they may see."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from config import readable
from config.access.callers import Caller
from config.errors import AppError, Forbidden, InvalidInput
from config.pages import page
from monitoring import addresses, boards, charts
from monitoring.asked import Asked, asked, offered
from monitoring.domain.metrics import METRICS, SCOPES
from monitoring.marking import marks
from monitoring.models import Board
from monitoring.queries import statistic

UNITS = {"s": "s", "USD": "USD", "ratio": "ratio"}


@require_http_methods(["GET", "POST"])
@page("monitoring:read")
def all_boards(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/boards``: one's own; a POST makes a new one."""
    if request.method == "POST":
        try:
            made = boards.create(user_id=_person(caller), name=request.POST.get("name", ""))
            return redirect(f"/dashboard/boards/{made.pk}")
        except AppError as error:
            messages.error(request, str(error), "bad")
            return redirect("/dashboard/boards")
    rows = Board.objects.filter(user_id=_person(caller))
    return render(request, "dashboard/boards.html", {"rows": rows})


@require_http_methods(["GET", "POST"])
@page("monitoring:read")
def one(request: HttpRequest, caller: Caller, board_id: UUID) -> HttpResponse:
    """``/dashboard/boards/{id}``; a POST adds or removes a panel, or deletes the board."""
    if request.method == "POST":
        return _change(request, caller, board_id)
    board = boards.find(user_id=_person(caller), board_id=board_id)
    found = asked(request, caller, "7d")
    panels = [_shown(panel, n, found) for n, panel in enumerate(board.panels)]
    context = {
        **offered(caller, found), "board": board, "panels": panels,
        "metrics": list(METRICS.values()), "scopes": list(SCOPES),
        "statistics": boards.STATISTICS,
        "words": f"{readable.plural(len(panels), 'panel')} over {found.when.words}."
        if panels else "It is empty yet: add the numbers that you look at every day.",
    }  # fmt: skip
    return render(request, "dashboard/board.html", context)


def _person(caller: Caller) -> UUID:
    if caller.user_id is None:
        raise Forbidden("keep a dashboard", "a person's session")
    return caller.user_id


def _change(request: HttpRequest, caller: Caller, board_id: UUID) -> HttpResponse:
    here, given = f"/dashboard/boards/{board_id}", request.POST
    mine: dict[str, Any] = {"user_id": _person(caller), "board_id": board_id}
    try:
        action = given.get("action", "add")
        if action == "delete":
            boards.delete(**mine)
            return redirect("/dashboard/boards")
        if action == "remove":
            boards.remove_panel(**mine, place=int(given.get("place", "-1")))
        else:
            boards.add_panel(**mine, panel=dict(given.items()))
    except ValueError:
        messages.error(request, "That panel can't be removed: it has no number.", "bad")
    except InvalidInput as error:
        messages.error(request, str(error), "bad")
    return redirect(here)


def _shown(panel: dict[str, str], place: int, found: Asked) -> dict[str, Any]:
    """A panel with its plot and its figure over the whole stretch, or why it can't be shown."""
    metric, scope, key = panel["metric"], panel["scope"], panel["key"]
    kind = panel["statistic"]
    about = f" of {key}" if key else ""
    title = f"{METRICS[metric].title}{about}, {kind}"
    rows = addresses.rows_behind(metric, scope, key, client=found.client, range=found.when.name)
    shown: dict[str, Any] = {
        "place": place, "title": title, "plot": None, "value": "–", "href": rows,
    }  # fmt: skip
    names = (metric, panel["of"]) if kind == "ratio" else (metric,)
    try:
        grid = found.sight.grid(names, found.when, scope=scope, keys=[key])
    except AppError as error:
        return {**shown, "fault": str(error)}
    stats, whole = grid.values(key, metric), grid.total(key, metric)
    seen = marks(scope=scope, key=key, since=found.when.since, until=found.when.until)
    unit = "ratio" if kind == "ratio" else UNITS.get(METRICS[metric].unit, "")
    if kind == "band":
        plot = charts.band(title, grid.starts, stats, unit=unit, marks=seen, rows=shown["href"])
        value = whole.percentile(0.95)
    elif kind == "total":
        plot = charts.bars(title, grid.starts, charts.totals_of(stats), unit=unit, marks=seen,
                           rows=shown["href"])  # fmt: skip
        value = whole.total if whole.count else None
    elif kind == "ratio":
        wholes = grid.values(key, panel["of"])
        plot = charts.lines(title, grid.starts, [(kind, charts.shares_of(stats, wholes))],
                            unit=unit, marks=seen, rows=shown["href"])  # fmt: skip
        of = grid.total(key, panel["of"]).total
        value = whole.total / of if of else None
    else:
        values = [statistic(stat, kind) for stat in stats]
        plot = charts.lines(title, grid.starts, [(kind, values)], unit=unit, marks=seen,
                            rows=shown["href"])  # fmt: skip
        value = statistic(whole, kind)
    return {**shown, "plot": plot if charts.has_values(plot) else None, "value": _said(value, unit)}


def _said(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    say = {"s": readable.duration, "USD": readable.money, "ratio": readable.percent}
    return say.get(unit, readable.count)(value)
