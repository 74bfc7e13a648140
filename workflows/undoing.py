"""Compensations: what a run that is being stopped has done is undone, the latest first.

Each step that succeeded and says how is undone by a row of its own, and of a fan-out each item that
succeeded. Rows are written a batch at a time and given out one after another, or of one fan-out as
many side by side as it allows: thousands of items flood neither the broker nor a transaction. What
is left is read from the rows, so a worker or sweep that comes later goes on where another died.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Any
from uuid import UUID

from django.conf import settings

from config.access.ids import uuid7
from workflows import dispatch
from workflows.contexts import RunFacts
from workflows.database import execute
from workflows.dispatch import Ready
from workflows.domain.definition import Plan, Step
from workflows.domain.expressions import compile_template
from workflows.plans import handling_of_undoing

COMPENSATE = "compensate"
Rows = list[tuple[Any, ...]]
# Rows written at once; the next are written when these have been given out.
BATCH = 500

# What has acted and was not undone yet, the latest first. One row undoes a whole fan-out where its
# compensation says so, and where it was stopped before items had compensations of their own.
_LEFT = """
SELECT s.key, s.item, s.item >= 0 AND s.key = ANY(%(nested)s) AS nested, s.value->0, s.value->1
FROM workflows_steprun s
WHERE s.run_id = %(run)s AND s.state = 'succeeded' AND (
        s.item = -1 AND s.key = ANY(%(steps)s) OR s.item >= 0 AND s.key = ANY(%(fans)s))
    AND NOT EXISTS (SELECT 1 FROM workflows_steprun c WHERE c.run_id = s.run_id
        AND c.key = s.key || '.compensate' AND c.item = s.item)
    AND NOT EXISTS (SELECT 1 FROM workflows_steprun w WHERE w.run_id = s.run_id
        AND w.key = s.key || '.compensate' AND w.item = -1 AND w.state <> 'waiting')
ORDER BY s.ended_at DESC, s.id DESC LIMIT %(most)s
"""

# Their order is that of their ids. A repeated step is undone once, for the last of its turns.
_WRITE = """
INSERT INTO workflows_steprun (id, run_id, key, kind, item, iteration, state, is_plain, is_light,
    is_repeatable, queue, needs_left, needs_open, attempt, deliveries, cost_usd, value)
SELECT c.id, %(run)s, c.key, 'compensate', c.item, 1, 'pending', false, c.light,
    c.repeatable, c.queue, 0, 0, 0, 0, 0, c.place
FROM unnest(%(ids)s::uuid[], %(keys)s::text[], %(items)s::int[], %(lights)s::bool[],
    %(repeatables)s::bool[], %(queues)s::text[], %(places)s::jsonb[])
    AS c(id, key, item, light, repeatable, queue, place)
ON CONFLICT DO NOTHING
"""

# One row tells of all items of a fan-out; it is summed up when the run ends.
_WRITE_WHOLE = """
INSERT INTO workflows_steprun (id, run_id, key, kind, item, iteration, state, is_plain, is_light,
    is_repeatable, queue, needs_left, needs_open, attempt, deliveries, cost_usd, started_at)
SELECT w.id, %(run)s, w.key, 'compensate', -1, 1, 'waiting', false, false, true, w.queue, 0, 0, 1,
    0, 0, now()
FROM unnest(%(ids)s::uuid[], %(keys)s::text[], %(queues)s::text[]) AS w(id, key, queue)
ON CONFLICT DO NOTHING
"""

_BUSY = """
SELECT key, count(*) FROM workflows_steprun
WHERE run_id = %(run)s AND kind = 'compensate' AND state IN ('queued', 'running') GROUP BY key
"""

_NEXT = """
SELECT id, key FROM workflows_steprun
WHERE run_id = %(run)s AND kind = 'compensate' AND state = 'pending' ORDER BY id LIMIT %(most)s
"""

_SEND = """
UPDATE workflows_steprun SET state = 'queued', queued_at = clock_timestamp(),
    wake_at = now() + %(patience)s
WHERE id = ANY(%(ids)s) AND state = 'pending' RETURNING id, queue, is_light
"""

# A worker that has undone light ones goes on with light ones, without a message.
_TAKE = """
UPDATE workflows_steprun SET state = 'running', attempt = attempt + 1, token = %(token)s,
    lease_until = now() + %(lease)s, queued_at = clock_timestamp(), started_at = clock_timestamp()
WHERE id = ANY(%(ids)s) AND state = 'pending' AND is_light
RETURNING id, run_id, key, item, iteration, kind, attempt, value::text
"""

_SUM_UP = """
WITH sums AS (
    SELECT w.id, w.state AS before, count(*) AS items,
        count(*) FILTER (WHERE i.state <> 'succeeded') AS stand
    FROM workflows_steprun w
    JOIN workflows_steprun i ON i.run_id = w.run_id AND i.key = w.key AND i.item >= 0
    WHERE w.run_id = %(run)s AND w.kind = 'compensate' AND w.item = -1
        AND w.state IN ('waiting', 'failed')
    GROUP BY w.id
), summed AS (
    UPDATE workflows_steprun w
    SET state = CASE WHEN sums.stand = 0 THEN 'succeeded' ELSE 'failed' END,
        ended_at = coalesce(w.ended_at, clock_timestamp()),
        error = CASE WHEN sums.stand > 0 THEN jsonb_build_object(
            'code', 'not_undone', 'retryable', false, 'message',
            sums.stand || ' of ' || sums.items || ' items could not be undone') END
    FROM sums WHERE w.id = sums.id
    RETURNING w.run_id, w.id, w.key, w.attempt, w.state, w.error, sums.before
)
INSERT INTO workflows_runevent (run_id, step_id, key, item, attempt, name, detail, actor)
SELECT run_id, id, key, -1, attempt, 'step.' || state, error, 'engine' FROM summed
WHERE state <> before RETURNING id
"""


def undoes(key: str) -> str:
    """The key of the step that the compensation ``key`` undoes; that of a step itself stays."""
    return key.removesuffix(f".{COMPENSATE}")


def go_on(facts: RunFacts, plan: Plan, token: UUID | None = None) -> tuple[bool, Rows]:
    """Give out what is to be undone next; False once nothing is left, nor under way.

    With ``token``, some light ones are claimed under it and come back instead of being sent. For a
    transaction that holds the row of a run of which nothing but compensations still acts.
    """
    steps = {f"{key}.{COMPENSATE}": step for key, step in plan.steps.items() if step.compensate}
    if not steps:
        return False, []
    busy = dict(execute(_BUSY, {"run": facts.run_id}))
    widest = max(step.undone_at_once for step in steps.values())
    if sum(busy.values()) >= widest:
        return True, []
    asked = {"run": facts.run_id, "most": widest}
    pending = execute(_NEXT, asked)
    if not pending and _write(facts, steps):
        pending = execute(_NEXT, asked)
    if not pending:
        return bool(busy), []
    key = pending[0][1]
    if not busy.keys() <= {key}:
        return True, []
    alike = [row_id for row_id, _ in takewhile(lambda row: row[1] == key, pending)]
    chosen = alike[: max(steps[key].undone_at_once - busy.get(key, 0), 0)]
    taken: Rows = []
    if token is not None:
        asked = {"ids": chosen[: dispatch.ROOM], "token": token, "lease": settings.STEP_LEASE}
        taken = execute(_TAKE, asked)
    if len(taken) < len(chosen):
        rows = execute(_SEND, {"ids": chosen, "patience": dispatch.PATIENCE})
        dispatch.publish_on_commit([Ready(i, facts.run_id, queue, lt) for i, queue, lt in rows])
    return True, taken


def _write(facts: RunFacts, steps: Mapping[str, Step]) -> bool:
    """Write the next rows, the latest of what is left first; whether there were any."""
    by_item = {step.key for step in steps.values() if _has_items_of_its_own(step)}
    found = execute(
        _LEFT,
        {
            "run": facts.run_id, "most": BATCH,
            "steps": [step.key for step in steps.values() if step.key not in by_item],
            "fans": list(by_item),
            "nested": [step.key for step in steps.values() if step.each is not None],
        },
    )  # fmt: skip
    if not found:
        return False
    keys = [f"{key}.{COMPENSATE}" for key, *_ in found]
    handlings = {key: handling_of_undoing(steps[key], priority=facts.priority) for key in set(keys)}
    execute(
        _WRITE,
        {
            "run": facts.run_id,
            "ids": sorted(uuid7() for _ in found),
            "keys": keys,
            "items": [item for _, item, *_ in found],
            "lights": [handlings[key].is_light for key in keys],
            "repeatables": [handlings[key].is_repeatable for key in keys],
            "queues": [handlings[key].queue for key in keys],
            # Where an item of a nested fan-out lies; what it is stays with the item.
            "places": [f"[{outer}, {inner}]" if nested else None
                       for *_, nested, outer, inner in found],
        },
    )  # fmt: skip
    wholes = sorted({key for key in keys if undoes(key) in by_item})
    execute(
        _WRITE_WHOLE,
        {
            "run": facts.run_id, "ids": [uuid7() for _ in wholes], "keys": wholes,
            "queues": [handlings[key].queue for key in wholes],
        },
    )  # fmt: skip
    return True


def _has_items_of_its_own(step: Step) -> bool:
    """Whether each item of a fan-out is undone by itself.

    A compensation that reads what the fan-out gave and nothing of an item undoes the whole at once.
    """
    if step.for_each is None:
        return False
    given = compile_template((step.compensate or {}).get("with", {}))
    of_item = {step.item_name, step.each_name, "index", "outer_index", "output"}
    return step.key not in given.steps or not of_item.isdisjoint(given.names)


def sum_up(run_id: UUID) -> None:
    """Say of each fan-out whether all of its items were undone; they are as they will stay."""
    execute(_SUM_UP, {"run": run_id})
