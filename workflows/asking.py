"""A step whose agent may not go on before a person has looked: it waits for an approval.

The approval is one like any other, on the run's page and in the list of who may answer it.
Approved, the step is done again, and what was held back passes; rejected, it fails.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

from django.db import transaction

from agents import services as agents
from agents.domain.guardrails.redact import redact
from agents.errors import ReviewRequired
from config.access.callers import Caller
from config.access.ids import uuid7
from config.errors import Conflict
from workflows import approvals, dispatch, engine, items
from workflows.advance import Outcome
from workflows.contexts import RunFacts, run_facts
from workflows.database import execute, repeat_if_deadlocked
from workflows.dispatch import Ready
from workflows.domain.transitions import RunState, StepState
from workflows.models import Approval
from workflows.plans import plan_for

ROLE = "manager"
# Of the text that is held back an approver is shown so much, without secrets and personal data.
SHOWN_CHARACTERS = 4_000

_HOLD = "SELECT state FROM workflows_run WHERE id = %(run)s FOR SHARE"
_WAIT = """
UPDATE workflows_steprun SET state = 'waiting', lease_until = NULL, wake_at = NULL
WHERE id = %(id)s AND token = %(token)s AND state = 'running' RETURNING id
"""
# The attempt that was held back does not count as one.
_AGAIN = """
UPDATE workflows_steprun SET state = 'queued', queued_at = now(), wake_at = now() + %(patience)s,
    attempt = greatest(attempt - 1, 0)
WHERE id = %(id)s AND state = 'waiting' RETURNING id, run_id, queue
"""


@repeat_if_deadlocked
@transaction.atomic
def wait(
    step_id: UUID, key: str, facts: RunFacts, error: ReviewRequired, *, token: UUID
) -> Outcome | None:
    """Ask, and let the claimed step wait; its outcome if the run is being stopped."""
    held = execute(_HOLD, {"run": facts.run_id})  # against a cancel that would not see the approval
    if held[0][0] not in (RunState.RUNNING, RunState.PAUSED):
        return Outcome(step_id, key, StepState.CANCELLED)
    if not execute(_WAIT, {"id": step_id, "token": token}):
        return None
    Approval.objects.create(
        id=uuid7(), client_id=facts.client_id, run_id=facts.run_id, step_id=step_id,
        turn=approvals.turn_of(step_id), role=ROLE, forbid_self=True, shown=_shown(error),
    )  # fmt: skip
    return None


def answered(approval: Approval, *, approve: bool, reason: str, by: Caller) -> None:
    """Let the step go on, or fail it."""
    review_id = UUID(str((approval.shown or {})["review"]))
    # Steps that were held back by one text share its review: whoever answers first settles it, and
    # a step that goes on under another answer than its own is asked about anew.
    with suppress(Conflict):
        agents.settle_review(review_id, approve=approve, reason=reason, by=by)
    if approve:
        rows = execute(_AGAIN, {"id": approval.step_id, "patience": dispatch.PATIENCE})
        dispatch.publish_on_commit([Ready(*row) for row in rows])
        return
    facts = run_facts(approval.run_id)
    plan = plan_for(facts.version_id)
    step = approval.step
    error = {"code": "rejected", "message": reason, "by": by.name, "retryable": False}
    outcome = Outcome(step.pk, step.key, StepState.FAILED, error=error)
    if step.item >= 0:
        transaction.on_commit(lambda: items.answer_item(facts, plan, plan.steps[step.key], outcome))
    else:
        engine.answer(facts, plan, outcome)


def _shown(error: ReviewRequired) -> dict[str, Any]:
    _, text = error.held
    return {
        "question": f"May this {error.direction} pass?",
        "guardrail": error.guardrail,
        "reasons": list(error.reasons),
        "text": redact(text[:SHOWN_CHARACTERS]),
        "review": error.review,
    }
