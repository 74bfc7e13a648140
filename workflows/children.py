"""Sub-workflows: a child run for a step, at most one, whose end wakes the step."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction

from config.errors import NotFound
from workflows import pausing, payloads, starting
from workflows.advance import NOT_NEEDED, Outcome
from workflows.contexts import RunFacts
from workflows.database import execute, repeat_if_deadlocked
from workflows.domain.definition import Step
from workflows.domain.transitions import RunState, StepState
from workflows.models import Run
from workflows.plans import plan_for

# How often a sweep looks whether a child has ended without its parent hearing of it.
RECHECK = timedelta(seconds=30)

_WAIT = """
UPDATE workflows_steprun SET state = 'waiting', lease_until = NULL, wake_at = now() + %(recheck)s
WHERE id = %(id)s AND token = %(token)s AND state = 'running'
RETURNING id
"""


_HOLD = "SELECT state FROM workflows_run WHERE id = %(run)s FOR SHARE"

# What decides whether the run inside is still wanted: the fan-out that the step is an item of, or
# the joins that need it. Held against an end that would not see the child about to be written.
_WANTED = """
SELECT state FROM workflows_steprun
WHERE run_id = %(run)s AND item = -1 AND key = ANY(%(keys)s) ORDER BY id FOR SHARE
"""


@repeat_if_deadlocked
@transaction.atomic
def start(
    step_id: UUID,
    step: Step,
    facts: RunFacts,
    inputs: dict[str, Any],
    *,
    token: UUID,
    is_item: bool = False,
) -> Outcome | None:
    """Start the child run of a claimed step and let the step wait.

    The outcome at once if the child of an earlier attempt has ended already, if the run of the
    step is being stopped, or if nothing needs the step any more.
    """
    # Held against a cancel that would not see the child that is about to be written.
    held = execute(_HOLD, {"run": facts.run_id})
    if held[0][0] not in (RunState.RUNNING, RunState.PAUSED):
        return Outcome(step_id, step.key, StepState.CANCELLED)
    if not _is_wanted(step, facts, is_item=is_item):
        return Outcome(step_id, step.key, StepState.CANCELLED, error=NOT_NEEDED)
    starting.start_child(
        step_id=step_id, workflow=step.target, inputs=inputs, facts=facts,
        timeout_seconds=step.timeout_seconds,
    )  # fmt: skip
    if held[0][0] == RunState.PAUSED:
        pausing.hold_new(step_id)
    outcome = outcome_of(step_id, step)
    if outcome is not None:
        return outcome
    execute(_WAIT, {"id": step_id, "token": token, "recheck": RECHECK})
    child = Run.objects.filter(parent_step_id=step_id).only("state").first()
    if child is not None and RunState(child.state).is_final:
        # It ended before we began to wait; let the next sweep come at once.
        execute(
            "UPDATE workflows_steprun SET wake_at = now() WHERE id = %(id)s AND state = 'waiting'",
            {"id": step_id},
        )
    return None


def _is_wanted(step: Step, facts: RunFacts, *, is_item: bool) -> bool:
    if is_item:
        rows = execute(_WANTED, {"run": facts.run_id, "keys": [step.key]})
        return any(state == StepState.WAITING for (state,) in rows)
    plan = plan_for(facts.version_id)
    behind = plan.needed_by(step.key)
    if not any(step.key in plan.dispensable.get(follower, ()) for follower in behind):
        return True
    rows = execute(_WANTED, {"run": facts.run_id, "keys": behind})
    return any(state == StepState.PENDING for (state,) in rows)


def outcome_of(step_id: UUID, step: Step) -> Outcome | None:
    """What the child run of a step came to; None while it goes on."""
    child = Run.objects.filter(parent_step_id=step_id).first()
    if child is None or not RunState(child.state).is_final:
        return None
    cost = execute(
        "SELECT coalesce(sum(cost_usd), 0) FROM workflows_steprun WHERE run_id = %(run)s",
        {"run": child.pk},
    )[0][0]
    if child.state == RunState.SUCCEEDED:
        of: dict[str, Any] = {"client_id": child.client_id, "run_id": child.pk}
        spent = Decimal(cost)
        try:
            output = payloads.expand_each(child.outputs, **of)
        except NotFound as gone:  # what it gave was erased or lost: nobody waits for it for ever
            told = {**gone.as_dict(), "run": str(child.pk)}
            return Outcome(step_id, step.key, StepState.FAILED, error=told, cost_usd=spent)
        return Outcome(step_id, step.key, StepState.SUCCEEDED, output=output, cost_usd=spent)
    error = {**(child.error or {}), "run": str(child.pk)}
    error.setdefault("code", "child_run_failed")
    error.setdefault("message", f"its run {child.pk} is {child.state}")
    return Outcome(step_id, step.key, StepState.FAILED, error=error, cost_usd=Decimal(cost))
