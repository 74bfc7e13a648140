"""Versions of workflows by hand: publishing, going back, deprecating, labels."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from config.access.callers import Caller
from config.errors import AppError, InvalidDocument, InvalidInput
from config.pages import page
from workflows import publishing
from workflows import serializers as shapes
from workflows.versions import current_version

# What somebody begins with who has no workflow yet.
BLANK = """\
name: my_workflow
title: What people call it
inputs:
  type: object
  required: [client]
  properties: {client: {type: string}}
steps:
  first:
    tool: core.echo
    with: {value: "${ inputs.client }"}
outputs: {client: "${ steps.first.output.value }"}
"""


@require_http_methods(["GET", "POST"])
@page("workflows:write")
def publish(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/publish``: a definition to check and publish; ``?workflow=`` to change one."""
    name = request.GET.get("workflow", "")
    # A browser ends lines in two characters; a definition ends them in one, as its diffs do.
    text = request.POST.get("definition", "").replace("\r\n", "\n")
    faults: list[dict[str, Any]] = []
    fault: AppError | None = None
    if request.method == "POST":
        try:
            if request.POST.get("act") != "check":
                return _publish(request, caller, text)
            faults = publishing.faults(text)
        except InvalidDocument as error:
            faults = error.faults
        except AppError as error:
            fault = error
    else:
        text = current_version(name).source if name else BLANK
    context = {
        "name": name, "text": text, "faults": faults, "fault": fault,
        "is_checked": request.method == "POST" and not faults and fault is None,
    }  # fmt: skip
    status = fault.http_status if fault else 422 if faults else 200
    return render(request, "workflows/publish.html", context, status=status)


def _publish(request: HttpRequest, caller: Caller, text: str) -> HttpResponse:
    version, is_new = publishing.publish(text, user_id=caller.user_id, by=caller)
    said = f"v{version.number} is published: new runs use it, runs under way keep theirs."
    if not is_new:
        said = f"Nothing new in it: it is v{version.number}, which new runs use."
    messages.success(request, said)
    return redirect(f"/dashboard/workflows/{version.workflow.name}#versions")


@require_POST
@page("workflows:write")
def change(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    """Make a version current, deprecate it, give it a label or take one away; as the API does."""
    try:
        messages.success(request, _changed(request, caller, name))
    except AppError as error:
        messages.add_message(request, messages.WARNING, str(error), extra_tags="bad")
    return redirect(f"/dashboard/workflows/{name}#versions")


def _changed(request: HttpRequest, caller: Caller, name: str) -> str:
    """What has been done, in words."""
    asked = shapes.LabelVersion(data=request.POST.dict())
    if not asked.is_valid():
        field, why = next(iter(asked.errors.items()))
        raise InvalidInput(str(field), request.POST.get(str(field), ""), str(why[0]))
    number, action = asked.validated_data["number"], asked.validated_data["action"]
    label = asked.validated_data.get("label", "")
    if action == "label":
        publishing.label(name, number, label, by=caller)
        return f"“{label}” stands for v{number} now."
    if action == "unlabel":
        publishing.unlabel(name, number, label, by=caller)
        return f"“{label}” no longer stands for v{number}."
    if action == "deprecate":
        publishing.deprecate(name, number, by=caller)
        return f"v{number} is deprecated; runs on it go on to their end."
    publishing.make_current(name, number, by=caller)
    return f"New runs use v{number} now; runs under way keep theirs."
