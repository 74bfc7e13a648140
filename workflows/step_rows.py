"""The rows of a run's steps: one for each, and a hidden join over its last ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from config.access.ids import uuid7
from workflows import endings, fanout
from workflows.advance import Moved
from workflows.database import execute
from workflows.domain.definition import Plan, Step
from workflows.domain.transitions import StepState, satisfies
from workflows.models import Run
from workflows.plans import Handling, handling_of


@dataclass(frozen=True, slots=True)
class Reused:
    """A step that a fork or retry takes over as it ended."""

    state: StepState
    output: Any = None
    error: Any = None


_INSERT = """
INSERT INTO workflows_steprun (id, run_id, key, kind, item, iteration, state, is_plain, is_light,
    is_repeatable, queue, needs_left, needs_open, attempt, deliveries, cost_usd, output, error,
    queued_at, wake_at, ended_at)
SELECT s.id, %(run)s, s.key, s.kind, -1, 1, s.state, s.plain, s.light, s.repeatable, s.queue,
    s.needs_left, s.needs_open, 0, 0, 0, s.output, s.error,
    CASE WHEN s.state = 'queued' THEN now() END,
    CASE WHEN s.state = 'queued' THEN now() + %(patience)s END,
    CASE WHEN s.state NOT IN ('pending', 'queued') THEN now() END
FROM unnest(%(ids)s::uuid[], %(keys)s::text[], %(kinds)s::text[], %(states)s::text[],
    %(plains)s::bool[], %(lights)s::bool[], %(repeatables)s::bool[], %(queues)s::text[],
    %(lefts)s::int[], %(opens)s::int[], %(outputs)s::jsonb[], %(errors)s::jsonb[])
    AS s(id, key, kind, state, plain, light, repeatable, queue, needs_left, needs_open, output,
         error)
"""


def insert_steps(
    run: Run,
    plan: Plan,
    reused: Mapping[str, Reused],
    *,
    existing: frozenset[str] = frozenset(),
    ids: Mapping[str, UUID] | None = None,
) -> list[Moved]:
    """One row for each step that is not ``existing``, and the hidden join; what was written.

    ``ids`` are given to the steps that they name; others get new ones.
    """
    handlings = _handlings(plan, run.priority)
    rows: list[Moved] = []
    outputs, errors = [], []
    for key, step in plan.steps.items():
        if key in existing:
            continue
        taken = reused.get(key)
        left, open_ = counters(plan, step, reused)
        handling = handlings[key]
        state = taken.state if taken else StepState.PENDING
        if taken is None and step.is_plain and left <= 0:
            state = StepState.QUEUED
        row_id = (ids or {}).get(key) or uuid7()
        rows.append(_row(row_id, run, key, step.kind, state, left, open_, handling))
        outputs.append(_json(taken.output) if taken else None)
        errors.append(_json(taken.error) if taken else None)
    left = sum(1 for key in plan.ends if key not in reused)
    ending = Handling("", False, True)
    rows.append(_row(uuid7(), run, endings.END, "end", StepState.PENDING, left, left, ending))
    execute(
        _INSERT,
        {
            "run": run.pk,
            "patience": fanout.PATIENCE,
            "ids": [row.step_id for row in rows],
            "keys": [row.key for row in rows],
            "kinds": [row.kind for row in rows],
            "states": [str(row.state) for row in rows],
            "plains": [row.key in plan.steps and plan.steps[row.key].is_plain for row in rows],
            "lights": [row.is_light for row in rows],
            "repeatables": [
                row.key not in handlings or handlings[row.key].is_repeatable for row in rows
            ],
            "queues": [row.queue for row in rows],
            "lefts": [row.needs_left for row in rows],
            "opens": [row.needs_open for row in rows],
            "outputs": [*outputs, None],
            "errors": [*errors, None],
        },
    )
    return rows


def counters(plan: Plan, step: Step, ended: Mapping[str, Reused]) -> tuple[int, int]:
    """What the join of a step still needs and what may still come, given what has ended."""
    left, open_ = step.needed, 0
    incoming = [(key, False) for key in step.needs] + [(key, True) for key in step.failures_of]
    for key, on_failure in incoming:
        outcome = ended.get(key)
        if outcome is None:
            open_ += 1
        elif satisfies(
            outcome.state,
            continued=plan.steps[key].on_error == "continue",
            mode=step.mode,
            on_failure=on_failure,
        ):
            left -= 1
    return max(left, 0), open_


def _handlings(plan: Plan, priority: str) -> dict[str, Handling]:
    seen: dict[tuple[str, str], Handling] = {}
    found: dict[str, Handling] = {}
    for key, step in plan.steps.items():
        what = (step.kind, step.target)
        if step.until is not None or step.timeout_seconds is not None or what not in seen:
            handling = handling_of(step, priority=priority)
            if step.until is None and step.timeout_seconds is None:
                seen[what] = handling
            found[key] = handling
        else:
            found[key] = seen[what]
    return found


def _row(
    row_id: UUID,
    run: Run,
    key: str,
    kind: str,
    state: StepState,
    left: int,
    open_: int,
    handling: Handling,
) -> Moved:
    return Moved(
        "join", row_id, run.pk, key, -1, 1, kind, state, left, open_, handling.queue,
        handling.is_light, 0, None,
    )  # fmt: skip


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, default=str)
