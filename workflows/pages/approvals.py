"""Approvals: what waits for whom, and the page on which a person answers one."""

from __future__ import annotations

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
from workflows import decisions, documents, findings, forms, queries
from workflows.models import Approval
from workflows.plans import plan_for

SHOWN = 200


@require_GET
@page("runs:read")
def waiting(request: HttpRequest, caller: Caller) -> HttpResponse:
    """How many approvals this person may answer now, for the navigation."""
    rows = queries.open_approvals(caller)[:SHOWN]
    mine = sum(1 for row in rows if _refusal(caller, row) == "")
    return HttpResponse(
        format_html('<span class="badge" title="wait for you">{}</span>', mine) if mine else ""
    )


def _refusal(caller: Caller, approval: Approval) -> str:
    """Why it is not this caller's turn; empty if it is."""
    if why := decisions.may_answer(caller, approval):
        return f"needs {why}"
    earlier = approval.before().exclude(state=Approval.State.APPROVED)
    return "after the level before" if earlier.exists() else ""


@require_GET
@page("runs:read")
def all_open(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/approvals``: those that wait, the caller's own first, then the oldest."""
    rows = [_row(caller, approval) for approval in queries.open_approvals(caller)[:SHOWN]]
    rows.sort(key=lambda row: (bool(row["refusal"]), row["approval"].created_at))
    mine = sum(1 for row in rows if not row["refusal"])
    if mine:
        words = f"{readable.plural(mine, 'approval')} " + ("wait" if mine > 1 else "waits")
        words += " for you."
    else:
        words = "Nothing waits for you."
    others = len(rows) - mine
    if others:
        words += f" {readable.plural(others, 'other')} for somebody else or for an earlier level."
    return render(request, "approvals/approvals.html", {"rows": rows, "words": words})


def _row(caller: Caller, approval: Approval) -> dict[str, Any]:
    plan = plan_for(approval.run.version_id)
    step = plan.steps.get(approval.step.key)
    return {
        "approval": approval,
        "run": approval.run,
        "workflow": plan.title,
        "title": step.title if step else approval.step.key,
        "refusal": _refusal(caller, approval),
    }


@require_http_methods(["GET", "POST"])
@page("runs:read")
def one(request: HttpRequest, caller: Caller, approval_id: UUID) -> HttpResponse:
    """``/dashboard/approvals/{id}``: what is asked, by whom, and the form to answer it."""
    approval = decisions.find_approval(caller, approval_id)
    fault: AppError | None = None
    if request.method == "POST":
        try:
            return _answer(request, caller, approval)
        except AppError as error:
            fault = error
            approval.refresh_from_db()
    levels = Approval.objects.filter(step=approval.step).select_related("decided_by")
    shown = documents.approval_document(approval)["shown"]
    shown = shown if isinstance(shown, dict) else {}
    context = {
        **_row(caller, approval),
        "levels": levels.order_by("level"),
        "fields": forms.fields_of(approval.form, request.POST if fault else None),
        "fault": fault,
        "reason": request.POST.get("reason", "") if fault else "",
        "shown": [
            {"name": name, "pairs": findings.pairs_of(value)} for name, value in shown.items()
        ],
    }
    return render(
        request, "approvals/approval.html", context, status=fault.http_status if fault else 200
    )


def _answer(request: HttpRequest, caller: Caller, approval: Approval) -> HttpResponse:
    approve = request.POST.get("decision") == "approve"
    value = forms.value_of(approval.form, request.POST) if approval.form and approve else None
    decided = decisions.answer_approval(
        caller, approval.pk, approve=approve, answer=value, reason=request.POST.get("reason", "")
    )
    word = "Approved" if approve else "Rejected"
    further = decided.level < decided.levels and approve
    messages.success(
        request, f"{word}. " + ("The next level decides now." if further else "The run goes on."),
        extra_tags="good",
    )  # fmt: skip
    return redirect(f"/dashboard/runs/{decided.run_id}")
