"""The overview: one page put together from pieces that the apps serve, each what it knows."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from config.access.callers import Caller
from config.pages import page
from monitoring import leaders, watchlist
from monitoring.asked import asked, link, offered


@require_GET
@page("runs:read")
def overview(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard``: the frame; its pieces come by address, each from the app that knows."""
    found = asked(request, caller)
    context = {
        **offered(caller, found),
        "sees_agents": caller.has("agents:read"),
        "sees_all": caller.client_ids is None and caller.has("monitoring:read"),
        "fleet": link("/dashboard/_fleet", found),
        "panel": link("/dashboard/_panel", found, scope="all"),
        "top": link("/dashboard/_top", found),
        "stream": link("/dashboard/_stream", found, scope="all"),
    }
    return render(request, "dashboard/overview.html", context)


@require_GET
@page("monitoring:read")
def attention(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The piece that says what needs a person: alerts that fire, objectives that are missed."""
    rows = watchlist.attention() if caller.client_ids is None else []
    return render(request, "dashboard/_attention.html", {"rows": rows[:6], "all": len(rows)})


@require_GET
@page("agents:read")
def top(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The piece about who does best, who does worst, and how learning goes."""
    found = asked(request, caller)
    context = {"when": found.when, "agents": link("/dashboard/agents", found),
               **leaders.of_agents(found.sight, found.when, found.client),
               "learning": leaders.of_learning(found.sight, found.when, found.client)}  # fmt: skip
    return render(request, "dashboard/_top.html", context)


@require_GET
@page("monitoring:read")
def open_count(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The badge of the navigation: incidents that nobody has ended."""
    count = watchlist.open_incidents() if caller.client_ids is None else 0
    return render(request, "dashboard/_open.html", {"count": count})
