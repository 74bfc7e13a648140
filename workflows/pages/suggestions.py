"""Suggestions: what watches offer and why, and the form that starts or dismisses one."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.html import format_html
from django.views.decorators.http import require_GET, require_http_methods

from config import readable
from config.access.callers import Caller
from config.errors import AppError
from config.pages import page
from workflows import forms, rights, watches
from workflows.models import Suggestion
from workflows.pages.library import schema_of
from workflows.plans import plan_for
from workflows.versions import current_version

SHOWN = 200


@require_GET
@page("runs:read")
def waiting(request: HttpRequest, caller: Caller) -> HttpResponse:
    """How many suggestions are open, for the navigation."""
    count = watches.visible_suggestions(caller).filter(state="open").count()
    return HttpResponse(
        format_html('<span class="badge" title="open">{}</span>', count) if count else ""
    )


@require_GET
@page("runs:read")
def all_open(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/suggestions``: what is offered, and what is watched; ``?state=`` for others."""
    state = request.GET.get("state", "open")
    rows = list(watches.visible_suggestions(caller).filter(state=state)[:SHOWN])
    watched = list(watches.visible_watches(caller).order_by("-is_active", "title")[:SHOWN])
    context = {
        "rows": rows, "watched": watched, "state": state, "states": Suggestion.State.values,
        "words": _words(rows if state == "open" else None, len(rows), state, watched),
    }  # fmt: skip
    return render(request, "suggestions/suggestions.html", context)


def _words(open_: list[Suggestion] | None, count: int, state: str, watched: list[Any]) -> str:
    if open_ is None:
        return f"{readable.plural(count, 'suggestion')} {'is' if count == 1 else 'are'} {state}."
    if open_:
        return f"{readable.plural(count, 'run')} could be started: {open_[0].why}."
    going = sum(1 for watch in watched if watch.is_active)
    verb = "looks" if going == 1 else "look"
    return f"Nothing calls for a run; {readable.plural(going, 'watch', 'watches')} {verb} for it."


@require_http_methods(["GET", "POST"])
@page("runs:read")
def one(request: HttpRequest, caller: Caller, suggestion_id: UUID) -> HttpResponse:
    """``/dashboard/suggestions/{id}``: the evidence, and the form that starts or dismisses it."""
    suggestion = watches.find_suggestion(caller, suggestion_id)
    version = current_version(suggestion.workflow_name)
    plan, schema = plan_for(version.pk), schema_of(version)
    fault: AppError | None = None
    if request.method == "POST":
        try:
            return _decide(request, caller, suggestion, schema)
        except AppError as error:
            fault = error
            suggestion.refresh_from_db()
    typed = request.POST if fault else {k: _text(v) for k, v in suggestion.inputs.items()}
    context = {
        "one": suggestion, "plan": plan, "fault": fault,
        "fields": [f for f in forms.fields_of(schema, typed) if f.kind != "file"],
        "files": [f for f in forms.fields_of(schema) if f.kind == "file"],
        "may_start": caller.has("runs:start") and rights.may(caller, plan, "start"),
    }  # fmt: skip
    status = fault.http_status if fault else 200
    return render(request, "suggestions/suggestion.html", context, status=status)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _decide(
    request: HttpRequest, caller: Caller, suggestion: Suggestion, schema: dict[str, Any]
) -> HttpResponse:
    if request.POST.get("decision") == "dismiss":
        watches.dismiss_suggestion(caller, suggestion.pk, reason=request.POST.get("reason", ""))
        messages.success(request, "It is put away.", extra_tags="good")
        return redirect("/dashboard/suggestions")
    inputs = forms.value_of(schema, request.POST)
    _, run = watches.start_suggestion(caller, suggestion.pk, inputs=inputs)
    return redirect(f"/dashboard/runs/{run.pk}")
