"""Items of a fan-out, from their ends to that of the fan-out: counted in chunks, in order.

How a fan-out begins is in ``fanout``; a worker hands in items here as it does steps in ``engine``.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from config.access.ids import uuid7
from workflows import advance, dispatch, endings, fanout, repeated, statements
from workflows.advance import Moved, Outcome, moved, storable
from workflows.contexts import RunFacts
from workflows.database import execute, from_json, repeat_if_deadlocked
from workflows.dispatch import ROOM, Ready
from workflows.domain.definition import Plan, Step
from workflows.domain.transitions import StepState


def finish_items(
    facts: RunFacts,
    plan: Plan,
    step: Step,
    *,
    token: UUID,
    outcomes: list[Outcome],
    next_token: UUID,
    worker: str,
    room: int = ROOM,
) -> list[Moved]:
    """Record outcomes of items of one fan-out; the items that are this worker's to go on with."""
    outcomes, columns = storable(outcomes, facts)
    failed = [o for o in outcomes if o.state is StepState.FAILED and step.on_error != "continue"]
    rows = moved(
        execute(
            statements.FINISH_ITEMS,
            {
                **columns,
                "token": token,
                "next_token": next_token,
                "worker": worker,
                "room": room,
                "refill": 0 if failed else len(outcomes),
                "run": facts.run_id,
                "key": step.key,
                "patience": fanout.PATIENCE,
                "lease": settings.STEP_LEASE,
            },
        )
    )
    rows = rows or repeated.won(facts, outcomes, token=token, next_token=next_token)
    sent = [row for row in rows if row.what == "item"]
    # Steps behind the fan-out are among them where the end of it was not heard of.
    dispatch.publish(
        Ready(row.step_id, row.run_id, row.queue, row.is_light)
        for row in rows
        if row.state == StepState.QUEUED and row.what != "ended"
    )
    ended = {row.step_id for row in rows if row.what == "ended"}
    for outcome in failed:
        if outcome.step_id in ended:
            _fail_fan(facts, plan, step, outcome)
            return []
    full = [row for row in rows if row.what == "join" and row.needs_left <= 0]
    for row in full:
        end_part(facts, plan, step, row.step_id, is_chunk=row.kind == "chunk")
    if ended and not sent and not full:
        endings.settle_if_ending(facts.run_id)
    return [row for row in sent if row.state == StepState.RUNNING]


@repeat_if_deadlocked
def answer_item(facts: RunFacts, plan: Plan, step: Step, outcome: Outcome) -> None:
    """End an item of a fan-out that waited for its child run."""
    token = uuid7()
    taken = execute(
        "UPDATE workflows_steprun SET state = 'running', token = %(token)s, "
        "lease_until = now() + %(lease)s, wake_at = NULL "
        "WHERE id = %(id)s AND state = 'waiting' RETURNING id",
        {"id": outcome.step_id, "token": token, "lease": settings.STEP_LEASE},
    )
    if taken:
        finish_items(
            facts, plan, step, token=token, outcomes=[outcome], next_token=uuid7(),
            worker="engine", room=0,
        )  # fmt: skip


@repeat_if_deadlocked
@transaction.atomic
def end_part(facts: RunFacts, plan: Plan, step: Step, part_id: UUID, *, is_chunk: bool) -> None:
    """Count a finished chunk; end the fan-out with all outputs if it was the last."""
    fan_id = _end_chunk(part_id) if is_chunk else part_id
    if fan_id is None or not _is_complete(fan_id):
        return
    if fail_if_an_item_did(facts, plan, step):
        return
    output = outputs_of(facts.run_id, step)
    advance.resolve(facts, plan, [Outcome(fan_id, step.key, StepState.SUCCEEDED, output=output)])


def fail_if_an_item_did(facts: RunFacts, plan: Plan, step: Step) -> bool:
    """Fail a fan-out of which an item failed whose worker died before it could say so."""
    if step.on_error == "continue":
        return False
    error = _failure_in(facts.run_id, step.key)
    if error is None:
        return False
    _fail_fan(facts, plan, step, Outcome(facts.run_id, step.key, StepState.FAILED, error=error))
    return True


@repeat_if_deadlocked
@transaction.atomic
def _fail_fan(facts: RunFacts, plan: Plan, step: Step, outcome: Outcome) -> None:
    rows = execute(
        "SELECT id FROM workflows_steprun WHERE run_id = %(run)s AND key = %(key)s "
        "AND item = -1 AND state = 'waiting' FOR UPDATE",
        {"run": facts.run_id, "key": step.key},
    )
    fanout.cancel_items(facts.run_id, step.key)
    endings.cancel_children(facts.run_id, step.key)
    for (fan_id,) in rows:
        advance.resolve(
            facts, plan, [Outcome(fan_id, step.key, StepState.FAILED, error=outcome.error)]
        )
    if not rows:
        endings.settle(facts.run_id)


_END_CHUNK = """
WITH ended AS (
    UPDATE workflows_steprun SET state = 'succeeded', ended_at = clock_timestamp()
    WHERE id = %(id)s AND kind = 'chunk' AND state = 'waiting' AND needs_left <= 0
    RETURNING parent_id
)
UPDATE workflows_steprun f SET needs_left = f.needs_left - 1, needs_open = f.needs_open - 1
FROM ended WHERE f.id = ended.parent_id
RETURNING f.id, f.needs_left
"""


def _end_chunk(chunk_id: UUID) -> UUID | None:
    """Count a finished chunk in its fan-out; the fan-out's id if that was the last one."""
    rows = execute(_END_CHUNK, {"id": chunk_id})
    return rows[0][0] if rows and rows[0][1] <= 0 else None


def finished_chunks(fan_id: UUID) -> list[UUID]:
    """Chunks whose items have all ended but which were not counted: a worker died in between."""
    rows = execute(
        "SELECT id FROM workflows_steprun WHERE parent_id = %(fan)s AND kind = 'chunk' "
        "AND state = 'waiting' AND needs_left <= 0",
        {"fan": fan_id},
    )
    return [row[0] for row in rows]


def outputs_of(run_id: UUID, step: Step) -> list[Any]:
    """Outputs of all items in order, nested ones by their list; null for those that failed."""
    rows = execute(
        "SELECT output::text, CASE WHEN %(nested)s THEN value->0 END FROM workflows_steprun "
        "WHERE run_id = %(run)s AND key = %(key)s AND item >= 0 ORDER BY item",
        {"run": run_id, "key": step.key, "nested": step.each is not None},
    )
    if step.each is None:
        return [from_json(output) for output, _ in rows]
    lists = execute(
        "SELECT coalesce((input->>'length')::int, jsonb_array_length(input)) "
        "FROM workflows_steprun WHERE run_id = %(run)s AND key = %(key)s AND item = -1",
        {"run": run_id, "key": step.key},
    )[0][0]
    found: list[list[Any]] = [[] for _ in range(lists)]
    for output, place in rows:
        found[int(place)].append(from_json(output))
    return found


def _failure_in(run_id: UUID, key: str) -> dict[str, Any] | None:
    """The error of the first item that failed."""
    rows = execute(
        "SELECT error::text FROM workflows_steprun WHERE run_id = %(run)s AND key = %(key)s "
        "AND item >= 0 AND state = 'failed' ORDER BY item LIMIT 1",
        {"run": run_id, "key": key},
    )
    return (from_json(rows[0][0]) or {}) if rows else None


def _is_complete(fan_id: UUID) -> bool:
    """Whether every item (or chunk) of a fan-out has been counted."""
    rows = execute(
        "SELECT needs_left <= 0 AND state = 'waiting' FROM workflows_steprun WHERE id = %(id)s",
        {"id": fan_id},
    )
    return bool(rows and rows[0][0])
