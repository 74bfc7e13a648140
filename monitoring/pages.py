"""The overview: one page put together from pieces that other apps serve."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from config.access.callers import Caller
from config.pages import page


@require_GET
@page("runs:read")
def overview(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard``: the frame; its pieces come by address, each from the app that knows."""
    return render(request, "dashboard/overview.html", {"sees_agents": caller.has("agents:read")})
