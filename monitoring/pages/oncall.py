"""Who is on call now, who comes next, and who stands in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from config import readable
from config.access.callers import Caller
from config.errors import AppError, InvalidInput
from config.pages import page
from monitoring import rotas
from monitoring.asked import for_staff
from monitoring.models import Channel, Rota

AHEAD = timedelta(days=28)


@require_http_methods(["GET", "POST"])
@page("monitoring:read")
def overview(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/on-call``; a POST puts somebody in, or takes that back."""
    for_staff(caller, "see who is on call")
    if request.method == "POST":
        caller.require("monitoring:write", "change who is on call")
        try:
            _change(request.POST, caller.principal)
        except AppError as error:
            messages.error(request, str(error), "bad")
        return redirect("/dashboard/on-call")
    now = timezone.now()
    rows = [_told(rota, now) for rota in Rota.objects.filter(is_active=True)]
    context = {
        "rows": rows, "words": _words(rows), "may_change": caller.has("monitoring:write"),
        "people": list(Channel.objects.filter(is_personal=True, is_active=True).order_by("name")),
    }  # fmt: skip
    return render(request, "dashboard/on_call.html", context)


def _told(rota: Rota, now: datetime) -> dict[str, Any]:
    shifts = rotas.upcoming(rota, since=now, until=now + AHEAD)
    is_now = bool(shifts) and shifts[0]["starts_at"] <= now
    overrides = rota.overrides.filter(ends_at__gt=now).select_related("channel")
    return {
        "rota": rota, "shifts": shifts, "now": shifts[0] if is_now else None,
        "covers": readable.listed(rota.domains, 4) if rota.domains else "everything else",
        "overrides": list(overrides),
    }  # fmt: skip


def _words(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "There is no rota: an incident that nobody acknowledges goes to channels alone."
    free = [row["rota"].name for row in rows if row["now"] is None]
    if free:
        return f"Nobody is on call in {readable.listed(free, 3)}."
    said = [f"{row['now']['name']} is on call for {row['covers']}" for row in rows]
    return readable.listed(said, 3) + "."


def _change(given: Any, actor: str) -> None:
    rota = rotas.rota_of(_id(given.get("rota", ""), "rota"))
    if override := given.get("withdraw"):
        rotas.withdraw(rota.pk, _id(override, "override"), actor=actor)
        return
    rotas.stand_in(
        rota.pk, channel_id=_id(given.get("channel", ""), "person"),
        starts_at=_local(given, "starts_at", rota), ends_at=_local(given, "ends_at", rota),
        reason=str(given.get("reason", ""))[:160], actor=actor,
    )  # fmt: skip


def _id(text: str, name: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput(name, text, "an id") from None


def _local(given: Any, name: str, rota: Rota) -> datetime:
    """A form's time, in the zone of the rota."""
    try:
        at = datetime.fromisoformat(given.get(name, ""))
    except ValueError:
        raise InvalidInput(name, given.get(name, ""), "a date and a time") from None
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(rota.time_zone))
