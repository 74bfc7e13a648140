"""Holding a run with all that runs inside it, and letting them go on.

A run inside that a person has paused by itself stays paused when the one around it goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from workflows import dispatch
from workflows.database import execute
from workflows.domain.transitions import RunState
from workflows.endings import BY_PARENT, note

_MOVE = """
UPDATE workflows_run SET state = %(after)s WHERE id = %(run)s AND state = %(before)s RETURNING id
"""

# One level of runs inside. Those that go on are only those that were held with the run around.
_MOVE_INSIDE = """
WITH moved AS (
    UPDATE workflows_run r SET state = %(after)s
    WHERE r.id = ANY(ARRAY(
        SELECT c.id FROM workflows_steprun s JOIN workflows_run c ON c.parent_step_id = s.id
        WHERE s.run_id = ANY(%(runs)s) AND c.state = %(before)s
          AND (%(after)s <> 'running' OR %(actor)s = (
              SELECT e.actor FROM workflows_runevent e
              WHERE e.run_id = c.id AND e.name IN ('run.paused', 'run.resumed')
              ORDER BY e.id DESC LIMIT 1))
        ORDER BY c.id FOR NO KEY UPDATE OF c))
    RETURNING r.id
)
INSERT INTO workflows_runevent (run_id, key, item, attempt, name, actor)
SELECT id, '', -1, 0, %(name)s, %(actor)s FROM moved RETURNING run_id
"""

# What came due meanwhile: a time, a run inside that has ended, a step that was held. A sweep would
# find them a little later, and finds what there is beyond so many.
_DUE = """
SELECT id FROM workflows_steprun
WHERE run_id = %(run)s AND state IN ('waiting', 'pending') AND wake_at <= now()
ORDER BY wake_at LIMIT 500
"""


def hold(run_id: UUID, *, actor: str) -> bool:
    """Pause a running run and what runs inside; False if it has moved on. In a transaction."""
    return _move(run_id, RunState.RUNNING, RunState.PAUSED, "run.paused", actor)


def let_go(run_id: UUID, *, actor: str) -> bool:
    """Let a paused run go on, and what was held with it; False if it has moved on."""
    return _move(run_id, RunState.PAUSED, RunState.RUNNING, "run.resumed", actor)


def hold_new(step_id: UUID) -> None:
    """Pause the run that has just been started inside a run that is paused."""
    rows = execute(
        "UPDATE workflows_run SET state = 'paused' "
        "WHERE parent_step_id = %(step)s AND state = 'running' RETURNING id",
        {"step": step_id},
    )
    for (run_id,) in rows:
        note(run_id, "run.paused", actor=BY_PARENT)


def _move(run_id: UUID, before: RunState, after: RunState, name: str, actor: str) -> bool:
    change = {"before": before.value, "after": after.value}
    if not execute(_MOVE, {"run": run_id, **change}):
        return False
    note(run_id, name, actor=actor)
    moved: Sequence[UUID] = [run_id]
    while moved:
        if after is RunState.RUNNING:
            for one in moved:
                dispatch.publish_on_commit(dispatch.queued_of(one))
                for (step_id,) in execute(_DUE, {"run": one}):
                    dispatch.wake_on_commit(step_id, one)
        inside = {"runs": list(moved), "name": name, "actor": BY_PARENT, **change}
        moved = [one for (one,) in execute(_MOVE_INSIDE, inside)]
    return True
