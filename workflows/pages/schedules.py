"""Schedules: what starts by itself and when, one with its ticks, and the form for a new one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from cron_descriptor import ExpressionDescriptor, Options
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from config import readable
from config.access.callers import Caller
from config.access.models import Client
from config.errors import AppError
from config.pages import page
from workflows import forms, queries, schedules
from workflows.models import Schedule, ScheduleTick
from workflows.pages.library import chosen_client, posted_inputs, schema_of
from workflows.plans import plan_for
from workflows.versions import current_version

SHOWN = 500
SHOWN_TICKS = 50
# The timing of a schedule as a form; the inputs are the workflow's own.
TIMING = {
    "type": "object",
    "required": ["name", "cron", "time_zone"],
    "properties": {
        "name": {"type": "string", "title": "Name of the schedule"},
        "cron": {
            "type": "string", "title": "When", "default": "0 6 1 * *",
            "description": "minute, hour, day, month, weekday: 0 6 * * 1-5 is 06:00 from "
            "Monday to Friday",
        },
        "time_zone": {"type": "string", "title": "Time zone", "default": "UTC"},
        "missed": {
            "enum": ["latest", "skip", "all"], "default": "latest",
            "title": "Ticks that were missed",
            "description": "while nothing ran: one run for the latest, none, or one for each",
        },
        "overlap": {
            "enum": ["allow", "skip"], "default": "allow", "title": "While a run is still open",
        },
    },
}  # fmt: skip


def in_words(cron: str) -> str:
    """A cron expression as people say it; the expression itself where that fails."""
    options = Options()
    options.use_24hour_time_format = True
    try:
        return str(ExpressionDescriptor(cron, options).get_full_description())
    except Exception:  # whatever a library for words finds wrong with it
        return cron


@require_GET
@page("runs:read")
def all_schedules(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/schedules``: the next to come first, those that are paused last."""
    found = schedules.visible_schedules(caller)
    rows = [_row(one) for one in found.order_by("is_paused", "next_at")[:SHOWN]]
    context = {"rows": rows, "words": _words(rows), "may_start": caller.has("runs:start")}
    return render(request, "schedules/schedules.html", context)


def _row(schedule: Schedule) -> dict[str, Any]:
    last = ScheduleTick.objects.filter(schedule=schedule).order_by("-at").first()
    return {"schedule": schedule, "when": in_words(schedule.cron), "last": last}


def _words(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "Nothing starts by itself."
    going = [row for row in rows if not row["schedule"].is_paused]
    said = f"{readable.plural(len(going), 'schedule')} start{'s' if len(going) == 1 else ''} runs"
    if paused := len(rows) - len(going):
        said += f", {paused} {'is' if paused == 1 else 'are'} paused"
    refused = [row for row in going if row["last"] and row["last"].state == "refused"]
    if refused:
        said += f"; the last tick of {refused[0]['schedule'].name} was refused"
    return said + "."


@require_http_methods(["GET", "POST"])
@page("runs:start")
def new(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/schedules/new?workflow=…``: the form, and what it makes."""
    name = request.GET.get("workflow", "")
    if not name:
        return redirect("/dashboard/workflows")
    version = current_version(name)
    fault: AppError | None = None
    if request.method == "POST":
        try:
            return _create(request, caller, name, schema_of(version))
        except AppError as error:
            fault = error
    posted = request.POST if fault else None
    context = {
        "name": name, "plan": plan_for(version.pk), "fault": fault,
        "timing": forms.fields_of(TIMING, posted),
        "fields": forms.fields_of(schema_of(version), posted),
        "clients": caller.only_visible(Client.objects.all(), "id").order_by("name")[:200],
        "home_client": caller.home_client_id,
    }  # fmt: skip
    status = fault.http_status if fault else 200
    return render(request, "schedules/new.html", context, status=status)


def _create(
    request: HttpRequest, caller: Caller, workflow: str, schema: dict[str, Any]
) -> HttpResponse:
    client = chosen_client(caller, request.POST)
    made = schedules.create_schedule(
        caller, workflow=workflow, client_id=client,
        inputs=posted_inputs(request, caller, schema, client),
        **forms.value_of(TIMING, request.POST),
    )  # fmt: skip
    messages.success(request, f"{made.name} is kept.", extra_tags="good")
    return redirect(f"/dashboard/schedules/{made.pk}")


@require_GET
@page("runs:read")
def one(request: HttpRequest, caller: Caller, schedule_id: UUID) -> HttpResponse:
    """``/dashboard/schedules/{id}``: how it is set and what its ticks came to."""
    schedule = schedules.find_schedule(caller, schedule_id)
    ticks = ScheduleTick.objects.filter(schedule=schedule).select_related("run").order_by("-at")
    visible = set(queries.visible_runs(caller).filter(scheduletick__schedule=schedule)
                  .values_list("pk", flat=True)[:1000])  # fmt: skip
    mine = schedule.runs_as_id == caller.user_id or caller.has("runs:control")
    context = {
        "schedule": schedule, "when": in_words(schedule.cron), "ticks": ticks[:SHOWN_TICKS],
        "visible": visible, "may_change": mine and caller.has("runs:start"),
    }  # fmt: skip
    return render(request, "schedules/schedule.html", context)


@require_POST
@page("runs:start")
def switch(request: HttpRequest, caller: Caller, schedule_id: UUID, action: str) -> HttpResponse:
    """Pause, resume or delete a schedule."""
    try:
        if action == "delete":
            schedules.delete_schedule(caller, schedule_id)
            messages.success(request, "It starts no more runs.", extra_tags="good")
            return redirect("/dashboard/schedules")
        schedules.change_schedule(caller, schedule_id, {"is_paused": action == "pause"})
    except AppError as error:
        messages.error(request, f"{error} ({error.code})", extra_tags="bad")
    return redirect(f"/dashboard/schedules/{schedule_id}")
