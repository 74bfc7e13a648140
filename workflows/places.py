"""Places under a workflow's concurrency limit: who has one, who waits, who is next.

A run holds its place until it has ended, also while it is paused or being stopped. Who takes or
gives one holds a lock on the key, so that two never take the last place.
"""

from __future__ import annotations

import hashlib

from workflows import dispatch
from workflows.contexts import RunFacts
from workflows.database import execute
from workflows.domain.definition import Plan
from workflows.domain.transitions import RunState
from workflows.plans import plan_for

# What a row holds of a concurrency key; a longer one is known by its digest.
MOST_KEY = 300

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%(name)s, 7))"

_BUSY = """
SELECT count(*) FROM workflows_run
WHERE workflow_name = %(workflow)s AND concurrency_key = %(key)s AND ended_at IS NULL
"""

_WAITING = """
SELECT version_id FROM workflows_run
WHERE workflow_name = %(workflow)s AND concurrency_key = %(key)s AND state = 'waiting'
ORDER BY id LIMIT 1
"""

# A run that is being cancelled at this moment is passed over: it gives its own place on. One inside
# a run that is paused waits on.
_START = """
WITH freed AS (
    SELECT id FROM workflows_run
    WHERE workflow_name = %(workflow)s AND concurrency_key = %(key)s AND state = 'waiting'
      AND NOT EXISTS (
        SELECT 1 FROM workflows_steprun s JOIN workflows_run p ON p.id = s.run_id
        WHERE s.id = workflows_run.parent_step_id AND p.state = 'paused')
    ORDER BY id LIMIT greatest(0, %(most)s - (
        SELECT count(*) FROM workflows_run
        WHERE workflow_name = %(workflow)s AND concurrency_key = %(key)s
          AND ended_at IS NULL AND state <> 'waiting'))
    FOR NO KEY UPDATE SKIP LOCKED
), started AS (
    UPDATE workflows_run r
    SET state = 'running', started_at = coalesce(r.started_at, clock_timestamp())
    FROM freed WHERE r.id = freed.id AND r.state = 'waiting'
    RETURNING r.id
), noted AS (
    INSERT INTO workflows_runevent (run_id, key, item, attempt, name, actor)
    SELECT id, '', -1, 0, 'run.started', 'engine' FROM started
)
SELECT id FROM started
"""

# What is ready without a worker (a condition, an approval, a wait, a fan-out) is looked at next,
# and so is a fan-out that a retry has opened again.
_WAKE = """
UPDATE workflows_steprun SET wake_at = now()
WHERE run_id = %(run)s AND item = -1 AND (
    state = 'pending' AND kind <> 'compensate' AND (needs_left <= 0 OR needs_left > needs_open)
    OR state = 'waiting' AND wake_at <= now())
RETURNING id
"""


def key_of(plan: Plan, facts: RunFacts) -> str:
    """What a run is limited by: its workflow's key of this client, ``*``, or nothing (empty).

    One client never waits for another's key.
    """
    if plan.concurrency_max is None:
        return ""
    if plan.concurrency_key is None:
        return "*"
    key = str(plan.concurrency_key.render(facts.context()))
    whole = f"{facts.client_id}:{key}"
    if len(whole) <= MOST_KEY:
        return whole
    return f"{facts.client_id}:{hashlib.sha256(key.encode()).hexdigest()}"


def take(plan: Plan, key: str) -> RunState:
    """Running if a place under ``key`` is free, or else waiting; for the transaction at hand."""
    if plan.concurrency_max is None:
        return RunState.RUNNING
    _hold(plan.name, key)
    busy = execute(_BUSY, {"workflow": plan.name, "key": key})[0][0]
    return RunState.RUNNING if busy < plan.concurrency_max else RunState.WAITING


def pass_on(workflow: str, key: str) -> None:
    """Let waiting runs of a key start, in the order of their ids, as many as places are free."""
    _hold(workflow, key)
    version = execute(_WAITING, {"workflow": workflow, "key": key})
    if not version:
        return
    most = plan_for(version[0][0]).concurrency_max or 1
    for (run_id,) in execute(_START, {"workflow": workflow, "key": key, "most": most}):
        dispatch.publish_on_commit(dispatch.queued_of(run_id))
        for (step_id,) in execute(_WAKE, {"run": run_id}):
            dispatch.wake_on_commit(step_id, run_id)


def _hold(workflow: str, key: str) -> None:
    execute(_LOCK, {"name": f"{workflow}:{key}"})


def waiting() -> list[tuple[str, str]]:
    """Workflows and keys that runs wait for, at most a hundred."""
    rows: list[tuple[str, str]] = execute(
        "SELECT DISTINCT workflow_name, concurrency_key FROM workflows_run "
        "WHERE state = 'waiting' LIMIT 100",
        {},
    )
    return rows
