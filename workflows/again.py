"""Doing a run again: from where it failed, or as a new one from any of its steps."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from config.access.callers import Caller
from config.access.ids import uuid7
from config.errors import Conflict, InvalidInput
from workflows import (
    dispatch,
    doing_again,
    endings,
    fanout,
    given,
    measuring,
    payloads,
    places,
    queries,
    starting,
    step_rows,
)
from workflows.advance import NOT_NEEDED, Advance, Moved
from workflows.contexts import run_facts
from workflows.controls import controlled
from workflows.database import execute, from_json, repeat_if_deadlocked
from workflows.domain.definition import Plan
from workflows.domain.transitions import CONTROLS, RunState, StepState
from workflows.models import Approval, Run
from workflows.plans import plan_for
from workflows.step_rows import Reused

_DONE = (StepState.SUCCEEDED, StepState.SKIPPED)
_NOT_NEEDED = NOT_NEEDED["code"]

_ENDED = """
SELECT DISTINCT ON (key) key, state, output::text, error::text, EXISTS (
    SELECT 1 FROM workflows_steprun c WHERE c.run_id = %(run)s AND c.kind = 'compensate'
    AND c.key = workflows_steprun.key || '.compensate')
FROM workflows_steprun WHERE run_id = %(run)s AND item = -1 AND kind <> 'compensate'
ORDER BY key, iteration DESC
"""

# Steps that were tried, or might have been: a worker that was not waited for may have acted. One
# that was compensated is undone, and its next effect is another.
_TRIED = """
SELECT s.key, s.id, s.attempt, s.cost_usd, EXISTS (
    SELECT 1 FROM workflows_steprun f WHERE f.run_id = s.run_id AND f.key = s.key AND f.item = -1
    AND f.state = 'failed')
FROM workflows_steprun s
WHERE s.run_id = %(run)s AND s.item = -1 AND s.iteration = 1
    AND s.kind NOT IN ('compensate', 'end') AND NOT EXISTS (
        SELECT 1 FROM workflows_steprun c WHERE c.run_id = %(run)s AND c.kind = 'compensate'
        AND c.key = s.key || '.compensate')
"""

_ITEMS_AGAIN = """
UPDATE workflows_steprun SET state = 'pending', error = NULL, deliveries = 0, token = NULL,
    wake_at = NULL, queued_at = NULL, started_at = NULL, ended_at = NULL
WHERE run_id = %(run)s AND key = ANY(%(keys)s) AND item >= 0 AND state <> 'succeeded'
"""

_CHUNKS_AGAIN = """
WITH open AS (
    SELECT c.id, least(%(chunk)s, coalesce((f.value->>'length')::int, jsonb_array_length(f.value))
                                  - %(chunk)s * (-2 - c.item))
        - (SELECT count(*) FROM workflows_steprun i
           WHERE i.parent_id = c.id AND i.state = 'succeeded') AS items
    FROM workflows_steprun c JOIN workflows_steprun f ON f.id = c.parent_id
    WHERE f.id = ANY(%(fans)s) AND c.kind = 'chunk'
)
UPDATE workflows_steprun c SET needs_left = open.items, needs_open = open.items,
    state = CASE WHEN open.items > 0 THEN 'waiting' ELSE 'succeeded' END,
    ended_at = CASE WHEN open.items > 0 THEN NULL ELSE coalesce(c.ended_at, clock_timestamp()) END
FROM open WHERE c.id = open.id
"""

_FANS_AGAIN = """
WITH fans AS (
    SELECT f.id, coalesce((f.value->>'length')::int, jsonb_array_length(f.value)) AS length
    FROM workflows_steprun f WHERE f.id = ANY(%(fans)s)
), parts AS (
    SELECT f.id, CASE WHEN f.length > %(chunk)s
        THEN (SELECT count(*) FROM workflows_steprun c
              WHERE c.parent_id = f.id AND c.kind = 'chunk' AND c.state = 'waiting')
        ELSE f.length - (SELECT count(*) FROM workflows_steprun i
              WHERE i.parent_id = f.id AND i.state = 'succeeded') END AS open
    FROM fans f
)
UPDATE workflows_steprun f SET state = 'waiting', needs_left = parts.open,
    needs_open = parts.open, output = NULL, error = NULL, wake_at = now(), ended_at = NULL
FROM parts WHERE f.id = parts.id
"""


@repeat_if_deadlocked
def retry_run(caller: Caller, run_id: UUID | str) -> Run:
    """Go on with a failed or cancelled run from where it stopped; what succeeded is kept.

    Runs inside its failed steps go on likewise. Under a concurrency limit it needs a place like a
    run that starts; while none is free it waits, in the order of when it was first started.
    """
    run = controlled(caller, run_id, "retry")
    with transaction.atomic():
        _go_on(run, actor=caller.name)
        measuring.audit_control(caller, run.pk, run.client_id, "run.retried")
    run.refresh_from_db()
    return run


def _go_on(run: Run, *, actor: str) -> None:
    plan = plan_for(run.version_id)
    state = places.take(plan, run.concurrency_key)
    own = Run.objects.filter(pk=run.pk, state__in=CONTROLS["retry"])
    # Since it was read it may have gone on and ended once more: what is kept is its last end.
    ended = own.select_for_update(no_key=True).first()
    if ended is None:
        run.refresh_from_db()
        raise Conflict(f"run {run.pk}", run.state, "failed or cancelled")
    own.update(state=state, ended_at=None, error=None, stopping_at=None)
    _reopen(ended, plan, actor=actor, is_running=state is RunState.RUNNING)


def _reopen(run: Run, plan: Plan, *, actor: str, is_running: bool) -> None:
    """Take away what did not succeed and write it anew, with its joins counted afresh."""
    kept = _reusable(run, plan)
    tried = [row for row in execute(_TRIED, {"run": run.pk}) if row[0] not in kept]
    failed = sum(has_failed for *_, has_failed in tried)
    ended = doing_again.end_of(run, *measuring.costs_of_end(run.pk))
    detail = {"steps": failed, **ended}
    endings.note(run.pk, doing_again.RETRIED, actor=actor, detail=detail)
    fans = _reopen_fans(
        run.pk,
        [key for key, *_ in tried
         if (step := plan.steps[key]).for_each is not None and kept.keys() >= set(step.needs)],
    )  # fmt: skip
    there = frozenset(kept) | fans.keys()
    # Of steps that are wholly made anew nobody can be asked any more; who answered is on record.
    again = [step for _, step, *_ in tried]
    Approval.objects.filter(run=run).exclude(step__key__in=there).exclude(step__in=again).delete()
    execute(
        "DELETE FROM workflows_steprun WHERE run_id = %(run)s AND NOT key = ANY(%(there)s)",
        {"run": run.pk, "there": list(there)},
    )
    execute(
        "UPDATE workflows_run SET deadline_at = greatest(deadline_at, now() + %(more)s) "
        "WHERE id = %(run)s",
        {"run": run.pk, "more": timedelta(seconds=plan.timeout_seconds)},
    )
    # A step that is tried again keeps its id, and with it its history and the id of its effect.
    rows = step_rows.insert_steps(
        run, plan, kept, existing=there, ids={key: step for key, step, *_ in tried}
    )
    execute(  # its attempts count on, and what they cost; a run inside tells its whole cost itself
        "UPDATE workflows_steprun s SET attempt = t.attempt, "
        "cost_usd = CASE WHEN s.kind = 'workflow' THEN 0 ELSE t.cost END "
        "FROM unnest(%(keys)s::text[], %(attempts)s::int[], %(costs)s::numeric[]) "
        "AS t(key, attempt, cost) WHERE s.run_id = %(run)s AND s.key = t.key AND s.item = -1",
        {"run": run.pk, **{name: [row[place] for row in tried]
                           for place, name in ((0, "keys"), (2, "attempts"), (3, "costs"))}},
    )  # fmt: skip
    if failed:
        measuring.again(run, failed)
    _go_on_inside(run.pk, [key for key, *_ in tried if plan.steps[key].kind == "workflow"])
    if is_running:
        _send_ready(run, plan, rows, fans.values())


def _go_on_inside(run_id: UUID, keys: list[str]) -> None:
    """Runs inside steps that are tried again: their steps find them under way."""
    if not keys:
        return
    inside = execute(
        "SELECT id FROM workflows_steprun WHERE run_id = %(run)s AND key = ANY(%(keys)s)",
        {"run": run_id, "keys": keys},
    )
    ended = Run.objects.filter(
        parent_step_id__in=[step for (step,) in inside], state__in=CONTROLS["retry"]
    )
    for child in ended.order_by("id"):
        _go_on(child, actor="its parent run")


def _reopen_fans(run_id: UUID, keys: list[str]) -> dict[str, UUID]:
    """Let fan-outs do the items that did not succeed; the rows of those it could, by key.

    Whoever wakes these rows sends the items off. One whose list was never computed, or was erased
    with its person, is not among them.
    """
    rows = execute(
        "SELECT key, id FROM workflows_steprun WHERE run_id = %(run)s AND key = ANY(%(keys)s) "
        "AND item = -1 AND state IN ('failed', 'cancelled') "
        "AND value IS NOT NULL FOR UPDATE",
        {"run": run_id, "keys": keys},
    )
    if rows:
        execute(_ITEMS_AGAIN, {"run": run_id, "keys": [key for key, _ in rows]})
        asked = {"fans": [fan_id for _, fan_id in rows], "chunk": fanout.CHUNK}
        execute(_CHUNKS_AGAIN, asked)
        execute(_FANS_AGAIN, asked)
    return dict(rows)


def _send_ready(run: Run, plan: Plan, rows: list[Moved], fans: Collection[UUID]) -> None:
    dispatch.publish_on_commit(dispatch.queued_of(run.pk))
    for fan_id in fans:
        dispatch.wake_on_commit(fan_id, run.pk)
    Advance(run_facts(run.pk), plan).run(
        row
        for row in rows
        if row.state == StepState.PENDING
        and (row.needs_left <= 0 or row.needs_left > row.needs_open)
    )


def _reusable(run: Run, plan: Plan, *, but: Collection[str] = ()) -> dict[str, Reused]:
    """Steps that stand as they ended, ``but`` for some.

    What was compensated is undone: it is done again, and what came after it.
    """
    rows = [row for row in execute(_ENDED, {"run": run.pk}) if row[0] in plan.steps]
    again = set(but).union(*(_downstream(plan, key) for key, *_, undone in rows if undone))
    ended = {
        key: Reused(StepState(state), from_json(output), from_json(error))
        for key, state, output, error, _ in rows
        if key not in again
    }
    kept = {key: was for key, was in ended.items() if was.state in _DONE}
    for key, was in ended.items():  # nor is it needed now, if what went on without it stands
        followers = {follower for follower, _ in plan.successors[key]}
        passed = (was.error or {}).get("code") == _NOT_NEEDED or (
            was.state is StepState.FAILED and plan.steps[key].on_error != "fail" and followers
        )
        if passed and kept.keys() >= followers:
            kept[key] = was
    return kept


_APPROVED_INSIDE = """
WITH RECURSIVE inside AS (
    SELECT r.id, s.key FROM workflows_run r JOIN workflows_steprun s ON s.id = r.parent_step_id
    WHERE s.run_id = %(run)s
    UNION ALL
    SELECT r.id, i.key FROM inside i JOIN workflows_steprun s ON s.run_id = i.id
    JOIN workflows_run r ON r.parent_step_id = s.id
)
SELECT DISTINCT i.key FROM inside i JOIN workflows_approval a ON a.run_id = i.id
"""


def _approved(run: Run, plan: Plan) -> set[str]:
    """Steps in which people agreed to something, also in runs inside of them."""
    inside = {key for (key,) in execute(_APPROVED_INSIDE, {"run": run.pk})}
    asked = set(run.approvals.values_list("step__key", flat=True))
    return {key for key in inside | asked if key in plan.steps}


def fork_run(
    caller: Caller,
    run_id: UUID | str,
    *,
    from_step: str,
    inputs: dict[str, Any] | None = None,
) -> Run:
    """A new run that takes over what ended before ``from_step`` and does the rest again.

    ``inputs`` replace single inputs of the original. Where they differ nobody has agreed to them:
    approvals are asked for again, and what follows them is done again. Raises InvalidInput for an
    unknown step.
    """
    original = controlled(caller, run_id, "fork")
    plan = plan_for(original.version_id)
    starting.require_start(caller, plan)
    if from_step not in plan.steps:
        raise InvalidInput("from_step", from_step, f"one of {', '.join(plan.steps)}")
    of = {"client_id": original.client_id, "run_id": original.pk}
    before = payloads.expand_each(original.inputs, **of)
    merged = {**before, **(inputs or {})}
    given.check_inputs(plan, merged, client_id=original.client_id)
    queries.require_artifacts(caller, given.given_artifacts(plan, inputs or {}))
    again = _downstream(plan, from_step)
    if merged != before:
        again = again.union(*(_downstream(plan, key) for key in _approved(original, plan)))
    kept = _reusable(original, plan, but=again)
    run = Run(
        id=uuid7(), client_id=original.client_id, version_id=original.version_id,
        workflow_name=original.workflow_name, inputs=merged,
        inputs_digest=given.digest_of(original.workflow_name, merged),
        started_by_id=caller.user_id, priority=original.priority, forked_from=original,
        family_id=original.family_id or original.pk, within=original.within, pins=original.pins,
        is_demo=original.is_demo,
    )  # fmt: skip
    with transaction.atomic():
        starting.create(run, plan, kept, actor=caller.name)
        detail = {"run": str(original.pk), "step": from_step}
        endings.note(run.pk, "run.forked", actor=caller.name, detail=detail)
        measuring.audit_control(caller, run.pk, run.client_id, "run.forked", detail)
    return run


def _downstream(plan: Plan, key: str) -> set[str]:
    found, stack = {key}, [key]
    while stack:
        for follower, _ in plan.successors[stack.pop()]:
            if follower not in found:
                found.add(follower)
                stack.append(follower)
    return found
