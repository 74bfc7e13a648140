"""Answering approvals: who may, in which order, and what follows."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from config import logs, schemas
from config.access.callers import Caller
from config.errors import Conflict, Forbidden, InvalidInput, NotFound
from workflows import approvals, asking, endings, engine, measuring, payloads, rights
from workflows.advance import Outcome
from workflows.contexts import run_facts
from workflows.database import repeat_if_deadlocked
from workflows.domain.transitions import StepState
from workflows.models import Approval
from workflows.plans import plan_for

logger = logging.getLogger(__name__)


def find_approval(caller: Caller, approval_id: UUID | str) -> Approval:
    """An approval that the caller may see; raises NotFound."""
    try:
        key = approval_id if isinstance(approval_id, UUID) else UUID(str(approval_id))
    except ValueError:
        raise NotFound("approval", approval_id) from None
    rows = caller.only_visible(Approval.objects.select_related("run", "step"))
    approval: Approval | None = rows.filter(pk=key).first()
    if approval is None or not _may_see(caller, approval):
        raise NotFound("approval", approval_id)
    return approval


def _may_see(caller: Caller, approval: Approval) -> bool:
    # Who is asked sees the question, though perhaps not the run that asks.
    return rights.may_see(caller, approval.run) or not may_answer(caller, approval)


def may_answer(caller: Caller, approval: Approval) -> str:
    """Why the caller may not answer; empty if it may."""
    if not caller.has("approvals:decide") or not caller.may_act_as(approval.role):
        return f"the role {approval.role}"
    plan = plan_for(approval.run.version_id)
    # The definition names whom it escalates to, so that role needs no second permission.
    if approval.escalated_at is None and not rights.may(caller, plan, "approve"):
        return rights.in_words(plan, "approve")
    if approval.forbid_self and approval.run.started_by_id == caller.user_id:
        return "somebody else than the person who started the run"
    if approval.forbid_self and approval.before().filter(decided_by_id=caller.user_id).exists():
        return "somebody else than the person who answered an earlier level"
    return ""


@repeat_if_deadlocked
@transaction.atomic
def answer_approval(
    caller: Caller,
    approval_id: UUID | str,
    *,
    approve: bool,
    answer: dict[str, Any] | None = None,
    reason: str = "",
) -> Approval:
    """Approve or reject one level; the last approval, or any rejection, moves the run on.

    Raises NotFound, Forbidden, Conflict (answered before, or an earlier level is open),
    InvalidInput (the form's JSON Schema; a rejection without a reason).
    """
    approval = find_approval(caller, approval_id)
    if why := may_answer(caller, approval):
        raise Forbidden("answer this approval", why)
    if approval.before().exclude(state=Approval.State.APPROVED).exists():
        raise Conflict("this approval", f"at level {approval.level}", "the earlier levels approved")
    if not approve and not reason.strip():
        raise InvalidInput("reason", reason, "say why it is rejected")
    _check_form(approval, answer)
    answer = payloads.short_each(
        answer, client_id=approval.client_id, name="answer", run_id=approval.run_id,
        user_id=caller.user_id,
    )  # fmt: skip
    state = Approval.State.APPROVED if approve else Approval.State.REJECTED
    won = Approval.objects.filter(pk=approval.pk, state=Approval.State.WAITING).update(
        state=state, answer=answer, reason=reason[:2000], decided_by_id=caller.user_id,
        decided_at=Now(),
    )  # fmt: skip
    approval.refresh_from_db()
    if not won:
        raise Conflict("this approval", approval.state, "an approval that still waits")
    endings.note(
        approval.run_id, f"approval.{state}", actor=caller.name,
        detail={"level": approval.level, "reason": reason[:2000]},
    )  # fmt: skip
    measuring.audit_control(
        caller, approval.run_id, approval.client_id, f"approval.{state}",
        {"approval": str(approval.pk), "level": approval.level, "reason": reason[:2000]},
    )  # fmt: skip
    measuring.approval_answered(approval.run_id, approved=approve)
    if approve and approval.level < approval.levels:
        if approval.step.kind == "approval":
            plan = plan_for(run_facts(approval.run_id).version_id)
            escalate = plan.steps[approval.step.key].options.get("escalate") or {}
            approvals.begin_level(approval, escalate.get("after"))
        return approval
    if approval.step.kind == "agent":
        asking.answered(approval, approve=approve, reason=reason, by=caller)
    else:
        _end_approval_step(approval, approve=approve, reason=reason)
    logs.event(logger, "workflows.approval.answered", approval=str(approval.pk), state=state)
    return approval


def _check_form(approval: Approval, answer: dict[str, Any] | None) -> None:
    if not approval.form:
        return
    if (error := schemas.first_error(approval.form, answer or {})) is not None:
        where = ".".join(["form", *(str(part) for part in error.absolute_path)])
        raise InvalidInput(where, error.instance, error.message)


def _end_approval_step(approval: Approval, *, approve: bool, reason: str) -> None:
    facts = run_facts(approval.run_id)
    plan = plan_for(facts.version_id)
    key = approval.step.key
    if approve:
        levels = Approval.objects.filter(step_id=approval.step_id, turn=approval.turn)
        output = {
            "decision": "approved",
            "by": [
                str(a.decided_by) for a in levels.select_related("decided_by").order_by("level")
            ],
            "form": payloads.expand_each(
                approval.answer or {}, client_id=approval.client_id, run_id=approval.run_id
            ),
        }
        outcome = Outcome(approval.step_id, key, StepState.SUCCEEDED, output=output)
    else:
        Approval.objects.filter(step_id=approval.step_id, state=Approval.State.WAITING).update(
            state=Approval.State.WITHDRAWN
        )
        error = {"code": "rejected", "message": reason, "by": str(approval.decided_by)}
        outcome = Outcome(
            approval.step_id, key, StepState.FAILED, error={**error, "retryable": False}
        )
    engine.answer(facts, plan, outcome)
