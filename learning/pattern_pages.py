"""The page of a pattern: how often it was met, and the calls, runs and words behind that."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from agents import queries_calls
from config import readable
from config.access.callers import Caller
from config.pages import page
from learning import feedback, patterns
from learning.models import Pattern

DAYS = 28


@require_GET
@page("learning:read")
def pattern(request: HttpRequest, caller: Caller, pattern_id: UUID) -> HttpResponse:
    """``/dashboard/learning/patterns/{id}``: what the learning page counts, row by row."""
    found = patterns.one(caller, pattern_id, until=timezone.now().date(), days=DAYS)
    rows = found["rows"]
    calls = queries_calls.invocations_by_id(caller, rows["calls"])
    said = feedback.visible(caller).filter(pk__in=rows["feedback"]).order_by("-id")
    told = {call["run_id"] for call in calls}
    return render(
        request,
        "learning/pattern.html",
        {
            "one": found, "words": _words(found), "invocations": calls, "said": list(said),
            # What a call tells already is not told again as its run.
            "runs": [run for run in reversed(rows["runs"]) if run not in told],
        },
    )  # fmt: skip


def _words(found: dict[str, Any]) -> str:
    impact = found["impact"]
    what = ("failure", "failures") if found["kind"] == Pattern.Kind.FAILURE else (
        "complaint", "complaints"
    )  # fmt: skip
    parts = [
        readable.plural(impact["users"], "person", "people") if impact["users"] else "",
        readable.plural(impact["runs"], "run", "runs") if impact["runs"] else "",
    ]
    met = " and ".join(part for part in parts if part)
    return (
        f"{readable.plural(impact['count'], *what)} in {DAYS} days"
        + (f", met by {met}" if met else "") + f"; {found['trend']}."
    )  # fmt: skip
