"""Conversations: how many, how they end, and how well they go by what they are about."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from config import readable
from config.access.callers import Caller
from config.errors import InvalidInput
from config.pages import page
from monitoring import charts, figures
from monitoring.asked import Asked, asked, link, offered, seen_in
from monitoring.domain.rollups import Stat
from monitoring.figures import Figure
from monitoring.marking import Seen
from monitoring.queries import Grid

METRICS = ("conversations", "conversation_turns", "conversations_ended",
           "conversations_handed_over", "conversations_abandoned",
           "conversation_quality_ratio")  # fmt: skip
ROWS = "/dashboard/_talks"
# What of them the list can show, as ``agents.listing`` tells them apart.
LISTED = ("begun", "asked", "handed_over", "ended", "abandoned", "rated")
# Whose conversations the list shows when a figure of another page led here.
NARROWED = ("talks", "intent", "channel", "agent", "domain", "audience", "since")


@dataclass(frozen=True, slots=True)
class Row:
    """Conversations about one intent, or through one channel."""

    name: str
    begun: float
    turns: float | None
    handed_over: float | None
    abandoned: float | None
    abandoned_words: str
    quality: float | None
    by_step: list[float | None]
    rows: str
    rows_handed_over: str
    rows_abandoned: str
    rows_rated: str


@require_GET
@page("monitoring:read")
def overview(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/conversations``: volume, turns, hand-over, abandonment, quality by intent."""
    found = asked(request, caller, "30d")
    grid = found.sight.grid(METRICS, found.when, ranked=())
    context = {
        **offered(caller, found),
        "words": _words(grid, found),
        "is_empty": not grid.total("", "conversation_turns").count,
        "figures": _figures(grid, found),
        "plots": _plots(grid, seen_in(found)),
        "intents": _by(found, "intent"),
        "channels": _by(found, "channel"),
        "talks": link(ROWS, found, **_narrowed(request)),
        "is_narrowed": bool(_narrowed(request)),
    }
    return render(request, "dashboard/conversations.html", context)


def _narrowed(request: HttpRequest) -> dict[str, str]:
    """Which conversations a figure has led to. Raises InvalidInput."""
    if (talks := request.GET.get("talks", "")) not in ("", *LISTED):
        raise InvalidInput("talks", talks, f"one of {', '.join(LISTED)}")
    return {name: request.GET[name] for name in NARROWED if request.GET.get(name)}


def _rows_of(found: Asked, talks: str, **more: str) -> str:
    """The conversations that a figure counts, below it."""
    return link("", found, talks=talks, **more) + "#talks"


def _words(grid: Grid, found: Asked) -> str:
    begun, ended = grid.total("", "conversations"), grid.total("", "conversations_ended")
    if not begun.total and not grid.total("", "conversation_turns").count:
        return f"Nobody talked with an agent in the last {found.when.words}."
    said = f"{readable.plural(int(begun.total), 'conversation')} began in {found.when.words}"
    if not ended.total:
        return said + "; none has fallen silent yet."
    left = grid.total("", "conversations_abandoned").total / ended.total
    return said + f"; {readable.percent(left)} of those that ended were abandoned."


def _figures(grid: Grid, found: Asked) -> list[Figure]:
    def total(name: str) -> Stat:
        return grid.total("", name)

    begun, turns, ended = total(METRICS[0]), total(METRICS[1]), total(METRICS[2])
    mean = turns.total / begun.total if begun.total else None
    here = _rows_of(found, "begun")
    return [
        figures.counted("Begun", begun, href=here),
        Figure("Turns", "–" if mean is None else readable.significant(mean),
               "" if mean is None else f"{turns.total:,.0f} turns", "a conversation", here),
        figures.shared("Handed over", total(METRICS[3]), begun,
                       href=_rows_of(found, "handed_over")),
        figures.shared("Abandoned", total(METRICS[4]), ended,
                       href=_rows_of(found, "abandoned"), note="of those that fell silent"),
        figures.averaged("Quality", total(METRICS[5]), readable.percent,
                         href=_rows_of(found, "rated")),
    ]  # fmt: skip


def _plots(grid: Grid, seen: list[Seen]) -> list[charts.Document]:
    def values(name: str) -> list[Stat]:
        return grid.values("", name)

    plots = [
        charts.bars("Conversations begun", grid.starts, charts.totals_of(values(METRICS[0])),
                    marks=seen),
        charts.lines(
            "How they end, share", grid.starts,
            [("handed over", charts.shares_of(values(METRICS[3]), values(METRICS[0]))),
             ("abandoned", charts.shares_of(values(METRICS[4]), values(METRICS[2])))],
            unit="ratio", marks=seen,
        ),
        charts.lines("Quality, mean", grid.starts,
                     [("quality", charts.means_of(values(METRICS[5])))], unit="ratio", marks=seen),
    ]  # fmt: skip
    return [plot for plot in plots if charts.has_values(plot)]


def _by(found: Asked, scope: str) -> list[Row]:
    grid = found.sight.grid(METRICS, found.when, scope=scope, ranked=())
    rows = []
    for key in grid.cells:
        begun, ended = grid.total(key, METRICS[0]), grid.total(key, METRICS[2])
        turns, left = grid.total(key, METRICS[1]), grid.total(key, METRICS[4]).total
        rows.append(Row(
            key, begun.total, turns.total / begun.total if begun.total else None,
            grid.total(key, METRICS[3]).total / begun.total if begun.total else None,
            left / ended.total if ended.total else None,
            f"{left:,.0f} of {ended.total:,.0f} that fell silent" if ended.total else "",
            grid.total(key, METRICS[5]).mean, charts.totals_of(grid.values(key, METRICS[0])),
            *(_rows_of(found, talks, **{scope: key})
              for talks in ("begun", "handed_over", "abandoned", "rated")),
        ))  # fmt: skip
    return sorted(rows, key=lambda row: -row.begun)[:50]
