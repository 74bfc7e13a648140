"""The rows of a run's steps: one for each, and a hidden join over its last ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from config import statements
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


# One parameter for all rows: an array a column costs psycopg more than the rest of the statement.
_INSERT = """
INSERT INTO workflows_steprun (id, run_id, key, kind, item, iteration, state, is_plain, is_light,
    is_repeatable, queue, needs_left, needs_open, attempt, deliveries, cost_usd, output, error,
    queued_at, wake_at, ended_at)
SELECT s.id, %(run)s, s.key, s.kind, -1, 1, s.state, s.plain, s.light, s.repeatable, s.queue,
    s.needs_left, s.needs_open, 0, 0, 0, s.output, s.error,
    CASE WHEN s.state = 'queued' THEN now() END,
    CASE WHEN s.state = 'queued' THEN now() + %(patience)s END,
    CASE WHEN s.state NOT IN ('pending', 'queued') THEN now() END
FROM jsonb_to_recordset(%(rows)s::jsonb) AS s(id uuid, key text, kind text, state text, plain bool,
    light bool, repeatable bool, queue text, needs_left int, needs_open int, output jsonb,
    error jsonb)
"""

_COLUMNS = ", ".join(str(field.column) for field in Run._meta.concrete_fields)

_INSERT_RUN = f"""
WITH made AS (
    INSERT INTO workflows_run ({_COLUMNS})
    SELECT {_COLUMNS} FROM jsonb_populate_recordset(NULL::workflows_run, %(made)s::jsonb)
), noted AS (
    INSERT INTO workflows_runevent (run_id, key, item, attempt, name, actor)
    VALUES (%(run)s, '', -1, 0, 'run.created', %(actor)s)
)
{_INSERT}"""  # noqa: S608  columns of the model


def insert_run(run: Run, plan: Plan, reused: Mapping[str, Reused], *, actor: str) -> list[Moved]:
    """A new run, its first event and its steps, in one statement; the rows of the steps."""
    rows, written = _written(run, plan, reused)
    made = {"made": statements.rows_of([run]), "actor": actor}
    execute(_INSERT_RUN, {"run": run.pk, "patience": fanout.PATIENCE, "rows": written, **made})
    run._state.adding, run._state.db = False, "default"
    return rows


def insert_steps(
    run: Run,
    plan: Plan,
    reused: Mapping[str, Reused],
    *,
    existing: frozenset[str],
    ids: Mapping[str, UUID],
) -> list[Moved]:
    """One row for each step of a run that is not ``existing``, and the hidden join.

    ``ids`` are given to the steps that they name; others get new ones.
    """
    rows, written = _written(run, plan, reused, existing, ids)
    execute(_INSERT, {"run": run.pk, "patience": fanout.PATIENCE, "rows": written})
    return rows


def _written(
    run: Run,
    plan: Plan,
    reused: Mapping[str, Reused],
    existing: frozenset[str] = frozenset(),
    ids: Mapping[str, UUID] | None = None,
) -> tuple[list[Moved], str]:
    """The rows of a run's steps, and the same as JSON."""
    handlings = _handlings(plan, run.priority)
    rows: list[Moved] = []
    values: list[dict[str, Any]] = []

    def add(row: Moved, *, plain: bool, repeatable: bool, taken: Reused | None) -> None:
        rows.append(row)
        values.append(
            {
                "id": str(row.step_id), "key": row.key, "kind": row.kind, "state": row.state,
                "plain": plain, "light": row.is_light, "repeatable": repeatable,
                "queue": row.queue, "needs_left": row.needs_left, "needs_open": row.needs_open,
                "output": taken and taken.output, "error": taken and taken.error,
            }
        )  # fmt: skip

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
        row = _row(row_id, run, key, step.kind, state, left, open_, handling)
        add(row, plain=step.is_plain, repeatable=handling.is_repeatable, taken=taken)
    left = sum(1 for key in plan.ends if key not in reused)
    none = Handling("", False, True)
    ending = _row(uuid7(), run, endings.END, "end", StepState.PENDING, left, left, none)
    add(ending, plain=False, repeatable=True, taken=None)
    return rows, json.dumps(values, default=str)


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
