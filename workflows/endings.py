"""How a run ends: by the join over its ends, by a failure, or by being cancelled.

Failing and cancelling lock the run, so no step is added meanwhile; steps that run are let finish,
then compensations run in reverse order of completion, then the run takes its final state.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from agents import services as agents
from config import logs
from config.errors import AppError, Unavailable
from workflows import dispatch, measuring, payloads, places, undoing
from workflows.contexts import RunFacts, run_facts, with_steps
from workflows.database import as_json, execute
from workflows.domain.definition import Plan
from workflows.domain.transitions import RunState
from workflows.plans import plan_for

logger = logging.getLogger(__name__)
END = "$end"
# So long after it could not be read an artifact is asked for again.
STORAGE_BACK = timedelta(seconds=10)
BY_PARENT = "its parent run"

_LOCK = "SELECT state, error::text FROM workflows_run WHERE id = %(run)s FOR UPDATE"

_STOP = """
WITH stopped AS (
    SELECT id FROM workflows_steprun
    WHERE run_id = %(run)s AND state IN ('pending', 'queued', 'waiting', 'dead')
      AND kind <> 'compensate'
    ORDER BY id FOR UPDATE
)
UPDATE workflows_steprun s
SET state = 'cancelled', lease_until = NULL, wake_at = NULL, ended_at = clock_timestamp()
FROM stopped WHERE s.id = stopped.id
"""

# A run inside is undone before what was done before it.
_ACTS = """
SELECT EXISTS (SELECT 1 FROM workflows_steprun
               WHERE run_id = %(run)s AND state = 'running' AND kind <> 'compensate')
    OR EXISTS (SELECT 1 FROM workflows_steprun s JOIN workflows_run c ON c.parent_step_id = s.id
               WHERE s.run_id = %(run)s AND s.kind = 'workflow' AND c.ended_at IS NULL)
"""

_FINAL = """
UPDATE workflows_run SET state = %(state)s, ended_at = clock_timestamp(), outputs = %(outputs)s,
    error = coalesce(%(error)s, error)
WHERE id = %(run)s AND state = ANY(%(before)s) RETURNING parent_step_id, workflow_name,
    concurrency_key
"""

_END_LATER = """
UPDATE workflows_steprun SET wake_at = now() + %(later)s
WHERE run_id = %(run)s AND key = %(key)s AND state = 'pending'
"""

_EVENT = """
INSERT INTO workflows_runevent (run_id, key, item, attempt, name, detail, actor)
VALUES (%(run)s, '', -1, 0, %(name)s, %(detail)s, %(actor)s)
"""


def note(run_id: UUID, name: str, *, actor: str = "", detail: Any = None) -> None:
    """Append an event of the run itself to its history."""
    execute(_EVENT, {"run": run_id, "name": name, "actor": actor, "detail": as_json(detail)})


def complete(facts: RunFacts, plan: Plan) -> None:
    """End a run whose ends have all ended; call in the transaction that ended the last one."""
    rows = execute(_LOCK, {"run": facts.run_id})
    if not rows or rows[0][0] not in (RunState.RUNNING, RunState.PAUSED):
        return
    try:
        outputs = payloads.short_each(
            plan.outputs.render(
                with_steps(facts, plan.outputs.steps, names=plan.outputs.names)
            ),
            client_id=facts.client_id, name="outputs", run_id=facts.run_id,
        )  # fmt: skip
    except Unavailable:  # the storage may be back soon: a sweep ends the run then
        execute(_END_LATER, {"run": facts.run_id, "key": END, "later": STORAGE_BACK})
        return
    except AppError as error:
        _finish(facts.run_id, RunState.FAILED, error=error.as_dict())
        return
    execute(
        "UPDATE workflows_steprun SET state = 'succeeded', ended_at = clock_timestamp() "
        "WHERE run_id = %(run)s AND key = %(key)s",
        {"run": facts.run_id, "key": END},
    )
    _finish(facts.run_id, RunState.SUCCEEDED, outputs=outputs)


def fail(run_id: UUID, error: dict[str, Any], *, actor: str = "engine") -> None:
    """Let a run fail: nothing new starts, what runs ends, what is done is compensated."""
    _stop(run_id, RunState.FAILING, error=error, actor=actor)


def cancel(run_id: UUID, *, actor: str, reason: str = "") -> bool:
    """The same, because somebody asked. False if the run had ended before."""
    error = {"code": "cancelled", "message": reason or f"cancelled by {actor}"}
    return _stop(run_id, RunState.CANCELLING, error=error, actor=actor)


def _stop(run_id: UUID, state: RunState, *, error: dict[str, Any], actor: str) -> bool:
    with transaction.atomic():
        rows = execute(_LOCK, {"run": run_id})
        if not rows or rows[0][0] not in (RunState.RUNNING, RunState.PAUSED, RunState.WAITING):
            return False
        execute(
            "UPDATE workflows_run SET state = %(state)s, error = %(error)s, stopping_at = now() "
            "WHERE id = %(run)s",
            {"run": run_id, "state": state.value, "error": as_json(error)},
        )
        note(run_id, f"run.{state.value}", actor=actor, detail=error)
        execute(_STOP, {"run": run_id})
        _withdraw_and_pass_on(run_id)
        settle(run_id)
    return True


def _withdraw_and_pass_on(run_id: UUID) -> None:
    withdrawn = execute(
        "UPDATE workflows_approval a SET state = 'withdrawn' FROM workflows_steprun s "
        "WHERE a.run_id = %(run)s AND a.state = 'waiting' AND s.id = a.step_id "
        "RETURNING a.step_id, s.kind",
        {"run": run_id},
    )
    # Others may wait for the same text: who asked elsewhere still gets an answer.
    if asking := [step for step, kind in withdrawn if kind == "agent"]:
        agents.part_reviews(asking)
    cancel_children(run_id)


def cancel_children(run_id: UUID, key: str | None = None) -> None:
    """Cancel the runs inside a run, or inside one step of it."""
    for child in _open_inside(run_id, key):
        cancel(child, actor=BY_PARENT)


def _open_inside(run_id: UUID, key: str | None = None) -> list[UUID]:
    rows = execute(
        "SELECT c.id FROM workflows_run c JOIN workflows_steprun s ON s.id = c.parent_step_id "
        "WHERE s.run_id = %(run)s AND (%(key)s::text IS NULL OR s.key = %(key)s) "
        "AND c.ended_at IS NULL ORDER BY c.id",
        {"run": run_id, "key": key},
    )
    return [child for (child,) in rows]


def spent_inside(step_id: UUID) -> Decimal:
    """What the run inside a step has cost so far, in USD."""
    rows = execute(
        "SELECT coalesce(sum(s.cost_usd), 0) FROM workflows_steprun s "
        "JOIN workflows_run c ON c.id = s.run_id WHERE c.parent_step_id = %(step)s",
        {"step": step_id},
    )
    return Decimal(rows[0][0])


_ABANDON = """
WITH left_alone AS (
    UPDATE workflows_steprun SET state = 'cancelled', lease_until = NULL,
        ended_at = clock_timestamp(), error = %(error)s
    WHERE run_id = %(run)s AND state = 'running' AND kind <> 'compensate'
    RETURNING run_id, id, key, item, attempt
)
INSERT INTO workflows_runevent (run_id, step_id, key, item, attempt, name, detail, actor)
SELECT run_id, id, key, item, attempt, 'step.abandoned', %(error)s, %(actor)s FROM left_alone
RETURNING id
"""


def abandon(run_id: UUID, *, actor: str) -> int:
    """Wait no longer for steps of a run that is being stopped, nor inside it; how many there were.

    What their workers hand in later is refused, because the rows have moved on.
    """
    error = {
        "code": "abandoned", "retryable": False,
        "message": "it still ran when its run was stopped; what it did is not known",
    }  # fmt: skip
    with transaction.atomic():
        rows = execute(_LOCK, {"run": run_id})
        if not rows or rows[0][0] not in (RunState.FAILING, RunState.CANCELLING):
            return 0
        left = len(execute(_ABANDON, {"run": run_id, "error": as_json(error), "actor": actor}))
        left += sum(abandon(child, actor=BY_PARENT) for child in _open_inside(run_id))
        settle(run_id)
    return left


def settle(run_id: UUID) -> None:
    """Take a failing or cancelling run one step on: compensate, or end it.

    Does nothing while a step still runs, or a run inside; who ends it, or the sweep, calls again.
    """
    with transaction.atomic():
        rows = execute(_LOCK, {"run": run_id})
        if not rows or rows[0][0] not in (RunState.FAILING, RunState.CANCELLING):
            return
        execute(_STOP, {"run": run_id})  # also what a dead worker's lease gave back meanwhile
        if execute(_ACTS, {"run": run_id})[0][0]:
            return
        _undo(run_facts(run_id), rows[0][0])


def undo_next(facts: RunFacts, token: UUID | None) -> undoing.Rows:
    """The same once compensations have ended: nothing else acts in such a run.

    Light ones come back as claimed under ``token``, if there is one.
    """
    with transaction.atomic():
        rows = execute(_LOCK, {"run": facts.run_id})
        if rows and rows[0][0] in (RunState.FAILING, RunState.CANCELLING):
            return _undo(facts, rows[0][0], token)
    return []


def _undo(facts: RunFacts, state: str, token: UUID | None = None) -> undoing.Rows:
    is_left, taken = undoing.go_on(facts, plan_for(facts.version_id), token)
    if is_left:
        return taken
    undoing.sum_up(facts.run_id)
    final = RunState.FAILED if state == RunState.FAILING else RunState.CANCELLED
    _finish(facts.run_id, final)
    return []


def settle_if_ending(run_id: UUID) -> None:
    """``settle`` a run that is being stopped; nothing for one that is not."""
    rows = execute(
        "SELECT state FROM workflows_run WHERE id = %(run)s AND state IN ('failing', 'cancelling')",
        {"run": run_id},
    )
    if rows:
        settle(run_id)


def _finish(run_id: UUID, state: RunState, *, outputs: Any = None, error: Any = None) -> None:
    before = (
        [RunState.RUNNING.value, RunState.PAUSED.value]
        if state is RunState.SUCCEEDED or error
        else [RunState.FAILING.value, RunState.CANCELLING.value]
    )
    rows = execute(
        _FINAL,
        {
            "run": run_id,
            "state": state.value,
            "outputs": as_json(outputs),
            "error": as_json(error),
            "before": before,
        },
    )
    if not rows:
        return
    parent, workflow, key = rows[0]
    note(run_id, f"run.{state.value}", detail=error)
    logs.event(logger, "workflows.run.ended", run=str(run_id), state=state.value)
    transaction.on_commit(partial(measuring.run_ended, run_id))
    if parent is not None:
        execute(
            "UPDATE workflows_steprun SET wake_at = now() WHERE id = %(id)s AND state = 'waiting'",
            {"id": parent},
        )
        dispatch.wake_on_commit(parent, run_id)
    if key:
        places.pass_on(workflow, key)
