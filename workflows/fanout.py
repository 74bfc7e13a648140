"""Fan-outs: a row an item, in batches, counted in chunks, sent off as many at a time as allowed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import transaction

from config.access.ids import uuid7
from config.errors import InvalidInput
from workflows import dispatch, payloads
from workflows.contexts import RunFacts
from workflows.database import as_json, execute, from_json
from workflows.dispatch import Ready
from workflows.domain.definition import Step
from workflows.domain.expressions import listed
from workflows.plans import handling_of

# A join of more items than this counts in chunk rows, so that finishes do not queue for one row.
CHUNK = 64
# Items written in one transaction.
BATCH = 1024
MAX_ITEMS = 100_000
# Lists inside of which a step may fan out once more: each is an expression evaluated while others
# wait, at some 50 us.
MAX_LISTS = 10_000
PATIENCE = dispatch.PATIENCE
# How often a sweep looks at a fan-out that waits for its items.
RECHECK = timedelta(seconds=20)

_OPEN = """
UPDATE workflows_steprun SET state = 'waiting', value = %(value)s, input = %(outer)s,
    needs_left = %(parts)s, needs_open = %(parts)s, wake_at = now() + %(recheck)s,
    started_at = clock_timestamp(), attempt = 1
WHERE id = %(id)s AND state = 'pending' RETURNING id
"""

_CHUNKS = """
INSERT INTO workflows_steprun (id, run_id, key, kind, parent_id, item, iteration, state, is_plain,
    is_light, is_repeatable, queue, needs_left, needs_open, attempt, deliveries, cost_usd)
SELECT c.id, %(run)s, %(key)s, 'chunk', %(fan)s, c.item, 1, 'waiting', false, false, true, '',
    c.size, c.size, 0, 0, 0
FROM unnest(%(ids)s::uuid[], %(numbers)s::int[], %(sizes)s::int[]) AS c(id, item, size)
ON CONFLICT DO NOTHING
"""

_ITEMS = """
INSERT INTO workflows_steprun (id, run_id, key, kind, parent_id, item, iteration, state, is_plain,
    is_light, is_repeatable, queue, needs_left, needs_open, attempt, deliveries, cost_usd, value,
    queued_at, wake_at)
SELECT i.id, %(run)s, %(key)s, %(kind)s, i.parent, i.item, 1,
    CASE WHEN i.item < %(window)s THEN 'queued' ELSE 'pending' END, true,
    %(light)s, %(repeatable)s, %(queue)s, 0, 0, 0, 0, 0, i.value,
    CASE WHEN i.item < %(window)s THEN clock_timestamp() END,
    CASE WHEN i.item < %(window)s THEN now() + %(patience)s END
FROM unnest(%(ids)s::uuid[], %(parents)s::uuid[], %(numbers)s::int[], %(values)s::jsonb[])
    AS i(id, parent, item, value)
ON CONFLICT DO NOTHING
RETURNING id, state
"""

_PROGRESS = """
SELECT f.value::text, f.state,
    (SELECT count(*) FROM workflows_steprun i
     WHERE i.run_id = f.run_id AND i.key = f.key AND i.item >= 0)
FROM workflows_steprun f WHERE f.id = %(id)s FOR UPDATE
"""


def items_of(value: Any, step: Step, where: str = "for_each") -> list[Any]:
    """The items that ``for_each`` gave; a mapping gives ``{key, value}`` pairs, by key.

    Raises InvalidInput if it is neither list nor mapping, or too long.
    """
    items = listed(value)
    if items is None:
        raise InvalidInput(f"{step.key}.{where}", type(value).__name__, "must give a list")
    if len(items) > MAX_ITEMS:
        raise InvalidInput(f"{step.key}.{where}", len(items), f"at most {MAX_ITEMS} items")
    return items


def nested_items(outer: list[Any], step: Step, context: Mapping[str, Any]) -> list[Any]:
    """``[place in outer, place in its list, item]`` of all lists inside ``outer``, in order.

    Raises InvalidInput for too many of either, ExpressionFailed.
    """
    assert step.each is not None  # noqa: S101
    if len(outer) > MAX_LISTS:
        raise InvalidInput(f"{step.key}.for_each", len(outer), f"at most {MAX_LISTS} beside each")
    found: list[Any] = []
    for place, value in enumerate(outer):
        names = {**context, step.item_name: value, "index": place}
        inner = items_of(step.each.render(names), step, "each.for_each")
        found += [[place, number, item] for number, item in enumerate(inner)]
        if len(found) > MAX_ITEMS:
            limit = f"at most {MAX_ITEMS} items in all"
            raise InvalidInput(f"{step.key}.each.for_each", f"over {MAX_ITEMS}", limit)
    return found


_OUTER = """
SELECT id, CASE WHEN jsonb_typeof(input) = 'array' THEN input->%(place)s::int ELSE input END::text,
       jsonb_typeof(input)
FROM workflows_steprun WHERE run_id = %(run)s AND key = %(key)s AND item = -1
"""


def outer_item(facts: RunFacts, key: str, place: int) -> Any:
    """The item at ``place`` of the outer list of a nested fan-out; a row holds only its own."""
    rows = execute(_OUTER, {"run": facts.run_id, "key": key, "place": place})
    if not rows:
        return None
    fan_id, value, kind = rows[0]
    if kind == "object":
        return _outer_list(fan_id, facts.client_id, facts.run_id, value)[place]
    return from_json(value)


@lru_cache(maxsize=4)
def _outer_list(fan_id: UUID, client_id: UUID, run_id: UUID, value: str) -> list[Any]:
    """A list that lies in a file; its items are done one after another, so it is kept at hand."""
    return payloads.expand_list(from_json(value), client_id=client_id, run_id=run_id)


def open_fan(
    fan_id: UUID,
    step: Step,
    facts: RunFacts,
    items: list[Any],
    outer: list[Any] | None = None,
) -> bool:
    """Begin a fan-out over ``items`` in the transaction at hand; the rest follows on commit.

    ``outer`` is the list that nested items lie in. False if the row has moved on meanwhile.
    """
    items = [_short(item, step, facts) for item in items]
    of: dict[str, Any] = {"client_id": facts.client_id, "run_id": facts.run_id}
    kept = payloads.short_list(items, name=f"{step.key}.items", **of)
    around = outer and payloads.short_list(outer, name=f"{step.key}.lists", **of)
    chunked = len(items) > CHUNK
    parts = math.ceil(len(items) / CHUNK) if chunked else len(items)
    opened = execute(
        _OPEN,
        {
            "id": fan_id,
            "value": as_json(kept),
            "outer": as_json(around),
            "parts": parts,
            "recheck": RECHECK,
        },
    )
    if not opened:
        return False
    if chunked:
        sizes = [min(CHUNK, len(items) - start) for start in range(0, len(items), CHUNK)]
        execute(
            _CHUNKS,
            {
                "run": facts.run_id, "key": step.key, "fan": fan_id,
                "ids": [uuid7() for _ in sizes],
                "numbers": [-2 - number for number in range(len(sizes))],
                "sizes": sizes,
            },
        )  # fmt: skip
    sent = _write_batch(fan_id, step, facts, items, start=0)
    dispatch.publish_on_commit(sent)
    if len(items) > BATCH:
        transaction.on_commit(lambda: write_rest(fan_id, step, facts))
    return True


def _short(item: Any, step: Step, facts: RunFacts) -> Any:
    """An item as its row can hold it; of a nested one, with its place."""
    of: dict[str, Any] = {"client_id": facts.client_id, "run_id": facts.run_id}
    name = f"{step.key}.item"
    if step.each is None:
        return payloads.short(item, name=name, **of)
    return [*item[:2], payloads.short(item[2], name=name, **of)]


def write_rest(fan_id: UUID, step: Step, facts: RunFacts) -> None:
    """Write the items that are not there yet, a batch a transaction; safe to repeat."""
    items: list[Any] | None = None
    while True:
        with transaction.atomic():
            rows = execute(_PROGRESS, {"id": fan_id})
            if not rows:
                return
            value, state, written = rows[0]
            if items is None:
                of: dict[str, Any] = {"client_id": facts.client_id, "run_id": facts.run_id}
                items = payloads.expand_list(from_json(value), **of)
            if state != "waiting" or written >= len(items):
                return
            sent = _write_batch(fan_id, step, facts, items, start=written)
            sent += top_up(step, facts)
            dispatch.publish_on_commit(sent)


_TOP_UP = """
UPDATE workflows_steprun s SET state = 'queued', queued_at = clock_timestamp(),
    wake_at = now() + %(patience)s
WHERE s.id IN (
    SELECT w.id FROM workflows_steprun w
    WHERE w.run_id = %(run)s AND w.key = %(key)s AND w.item >= 0 AND w.state = 'pending'
    ORDER BY w.item LIMIT greatest(0, %(window)s - (
        SELECT count(*) FROM workflows_steprun a
        WHERE a.run_id = %(run)s AND a.key = %(key)s AND a.item >= 0
          AND a.state IN ('queued', 'running')))
    FOR UPDATE SKIP LOCKED)
RETURNING s.id, s.queue, s.is_light
"""


def top_up(step: Step, facts: RunFacts) -> list[Ready]:
    """Queue items until as many are under way as allowed; for when finishes found none left."""
    rows = execute(
        _TOP_UP,
        {"run": facts.run_id, "key": step.key, "window": step.max_parallel, "patience": PATIENCE},
    )
    return [Ready(step_id, facts.run_id, queue, light) for step_id, queue, light in rows]


def _write_batch(
    fan_id: UUID, step: Step, facts: RunFacts, items: list[Any], *, start: int
) -> list[Ready]:
    numbers = list(range(start, min(len(items), start + BATCH)))
    chunked = len(items) > CHUNK
    parents = _chunk_ids(fan_id, facts.run_id, step.key) if chunked else {}
    handling = handling_of(step, priority=facts.priority)
    rows = execute(
        _ITEMS,
        {
            "run": facts.run_id, "key": step.key, "kind": step.kind,
            "window": step.max_parallel, "light": handling.is_light,
            "repeatable": handling.is_repeatable, "queue": handling.queue, "patience": PATIENCE,
            "ids": [uuid7() for _ in numbers],
            "parents": [parents[n // CHUNK] if chunked else fan_id for n in numbers],
            "numbers": numbers,
            "values": [json.dumps(items[n], default=str) for n in numbers],
        },
    )  # fmt: skip
    return [
        Ready(step_id, facts.run_id, handling.queue, handling.is_light)
        for step_id, state in rows
        if state == "queued"
    ]


def _chunk_ids(fan_id: UUID, run_id: UUID, key: str) -> dict[int, UUID]:
    rows = execute(
        "SELECT item, id FROM workflows_steprun "
        "WHERE run_id = %(run)s AND key = %(key)s AND item < -1 AND parent_id = %(fan)s",
        {"run": run_id, "key": key, "fan": fan_id},
    )
    return {-2 - number: chunk for number, chunk in rows}


def cancel_items(run_id: UUID, key: str) -> None:
    """Items that have not started will not: the fan-out has failed."""
    execute(
        "UPDATE workflows_steprun SET state = 'cancelled', wake_at = NULL, "
        "ended_at = clock_timestamp() WHERE run_id = %(run)s AND key = %(key)s AND item <> -1 "
        "AND state IN ('pending', 'queued', 'waiting')",
        {"run": run_id, "key": key},
    )
