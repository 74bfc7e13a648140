"""Dead letters: steps that were put aside until a person says what is to become of them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from config import readable
from config.access.callers import Caller
from config.pages import page
from monitoring.asked import identifier
from workflows import dead_letters, documents, queries
from workflows.domain.transitions import RunState
from workflows.models import StepRun
from workflows.plans import plan_for

PLACE = "/dashboard/dead-letters"
PAGE = 50


@require_GET
@page("runs:read")
def all_dead(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/dead-letters``: the latest first; ``?workflow=`` and ``?before=``."""
    found = queries.dead_letters(caller)
    if workflow := request.GET.get("workflow"):
        found = found.filter(run__workflow_name=workflow)
    total = found.count()
    if before := request.GET.get("before"):
        found = found.filter(pk__lt=identifier("before", before))
    rows = list(found.select_related("run", "run__client")[: PAGE + 1])
    shown = rows[:PAGE]
    context = {
        "rows": [_row(step) for step in shown], "words": _words(total), "workflow": workflow,
        "next": str(shown[-1].pk) if len(rows) > PAGE else "",
        "may_requeue": caller.has("runs:control"), "place": PLACE,
    }  # fmt: skip
    return render(request, "runs/dead_letters.html", context)


def _words(total: int) -> str:
    if not total:
        return "No step needs a person."
    verb = "needs" if total == 1 else "need"
    return f"{readable.plural(total, 'step')} {verb} a person."


def _row(step: StepRun) -> dict[str, Any]:
    plan = plan_for(step.run.version_id)
    is_unknown = (step.error or {}).get("code") in dead_letters.UNKNOWN
    return {
        "step": step, "title": documents.title_of(step.key, plan),
        "item": documents.item_name(step, plan) if step.item >= 0 else "",
        "workflow": plan.title, "client": step.run.client,
        # Of such a step a person has to say something, on its own page.
        "asks": is_unknown or RunState(step.run.state).is_final,
        "why": (step.error or {}).get("message") or "It was given out too often.",
        "since": step.started_at or step.queued_at,
    }  # fmt: skip
