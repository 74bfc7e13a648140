"""Finishing: the outcome, the joins it counts down and what becomes ready, in one transaction.

A worker hands in what it claimed; it learns which rows it still owned, and which light steps it
may go on with under the next token. Everything else that became ready is published on commit.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from config.access.ids import uuid7
from config.errors import AppError
from workflows import advance, dispatch, endings, fanout, repeated, statements
from workflows.advance import Advance, Moved, Outcome, edges, fails_the_run, moved, storable
from workflows.contexts import RunFacts, with_steps
from workflows.database import as_json, execute, repeat_if_deadlocked
from workflows.dispatch import ROOM, Ready
from workflows.domain.definition import Plan, Step
from workflows.domain.transitions import StepState
from workflows.undoing import Rows


def finish(
    facts: RunFacts,
    plan: Plan,
    *,
    token: UUID,
    outcomes: list[Outcome],
    next_token: UUID,
    worker: str,
    room: int = ROOM,
) -> list[Moved]:
    """Record outcomes of steps claimed under ``token``; rows that are this worker's to go on with.

    An outcome whose row was taken over by another claim changes nothing.
    """
    if not outcomes:
        return []
    outcomes, again = _judged(facts, plan, outcomes)
    outcomes, columns = storable(outcomes, facts)
    shared: dict[str, Any] = {
        "token": token,
        "next_token": next_token,
        "worker": worker,
        # A failure may stop the run: then nothing is taken on that would have to be given back.
        "room": 0 if any(o.state is StepState.FAILED for o in outcomes) else room,
        "patience": fanout.PATIENCE,
        "lease": settings.STEP_LEASE,
    }
    if _needs_no_thought(plan, outcomes):
        rows = _finish_plainly(plan, outcomes, columns, shared)
        rows = rows or repeated.won(facts, outcomes, token=token, next_token=next_token)
        if all(row.what == "ended" for row in rows):
            # Its joins are gone: the run may be being stopped.
            endings.settle_if_ending(facts.run_id)
    else:
        rows = _finish_and_decide(facts, plan, outcomes, again, {**columns, **shared})
        rows = rows or repeated.won(facts, outcomes, token=token, next_token=next_token)
    dispatch.publish(
        Ready(row.step_id, row.run_id, row.queue, row.is_light)
        for row in rows
        if row.state == StepState.QUEUED and row.what != "ended"
    )
    return [row for row in rows if row.state == StepState.RUNNING]


def _finish_plainly(
    plan: Plan, outcomes: list[Outcome], columns: dict[str, Any], shared: dict[str, Any]
) -> list[Moved]:
    """Outcomes that need no thought, in one statement and so in one transaction."""
    outcome = outcomes[0]
    if len(outcomes) > 1 or len(plan.successors[outcome.key]) > ROOM:
        arrays = {**columns, **edges(plan, outcomes), **shared}
        return moved(execute(statements.FINISH, arrays))
    parameters = {
        **shared,
        "id": outcome.step_id,
        "key": outcome.key,
        "output": columns["outputs"][0],
        "input": columns["inputs"][0],
        "cost": outcome.cost_usd,
        "call": outcome.invocation_id,
        "targets": [key for key, _ in plan.successors[outcome.key]],
        "goes_on": shared["room"] > 0,
    }
    return moved(execute(statements.FINISH_ONE, parameters))


def _needs_no_thought(plan: Plan, outcomes: list[Outcome]) -> bool:
    """Whether one statement does it all: successes, and only plain joins of all needs behind."""
    return all(
        outcome.state is StepState.SUCCEEDED
        and plan.steps[outcome.key].until is None
        and outcome.key not in plan.ends
        and all(
            plan.steps[key].is_plain and plan.steps[key].mode == "all" and not on_failure
            for key, on_failure in plan.successors[outcome.key]
        )
        for outcome in outcomes
    )


@repeat_if_deadlocked
@transaction.atomic
def _finish_and_decide(
    facts: RunFacts,
    plan: Plan,
    outcomes: list[Outcome],
    again: frozenset[UUID],
    shared: dict[str, Any],
) -> list[Moved]:
    last: list[Outcome] = []
    repeated: list[Outcome] = []
    for one in outcomes:
        goes_on = one.step_id in again and one.state is not StepState.FAILED
        (repeated if goes_on else last).append(one)
    joined = edges(plan, last)
    rows = moved(execute(statements.FINISH, {**joined, **shared}))
    ended = {row.step_id: row for row in rows if row.what == "ended"}
    for outcome in repeated:
        if outcome.step_id in ended:
            _next_iteration(facts, plan.steps[outcome.key], outcome.step_id)
    for outcome in last:
        if outcome.step_id in ended and fails_the_run(plan, outcome):
            endings.fail(facts.run_id, {**(outcome.error or {}), "step": outcome.key})
            return []
    joins = [row for row in rows if row.what == "join"]
    following = Advance(facts, plan)
    following.withdraw_needless(row.key for row in joins if row.state != StepState.PENDING)
    following.run(row for row in joins if row.state == StepState.PENDING)
    if ended and not joins:
        endings.settle(facts.run_id)  # nothing follows: the run may be failing or cancelling
    return rows


def _judged(
    facts: RunFacts, plan: Plan, outcomes: list[Outcome]
) -> tuple[list[Outcome], frozenset[UUID]]:
    """The outcomes, and the rows whose step goes round again.

    What gives nothing that its condition can judge has failed: it is no good end.
    """
    if all(plan.steps[outcome.key].until is None for outcome in outcomes):
        return outcomes, frozenset()
    judged: list[Outcome] = []
    again: set[UUID] = set()
    for outcome in outcomes:
        try:
            if _goes_round_again(facts, plan, outcome):
                again.add(outcome.step_id)
        except AppError as error:
            outcome = replace(outcome, state=StepState.FAILED, output=None, error=error.as_dict())
        judged.append(outcome)
    return judged, frozenset(again)


def _goes_round_again(facts: RunFacts, plan: Plan, outcome: Outcome) -> bool:
    step = plan.steps[outcome.key]
    if step.until is None or outcome.state is not StepState.SUCCEEDED:
        return False
    iteration = _iteration_of(outcome.step_id)
    if iteration >= step.max_iterations:
        return False
    context = with_steps(
        facts, step.until.steps, names=step.until.names, output=outcome.output,
        iteration=iteration,
    )  # fmt: skip
    return not advance.holds(step.until, context)


def _iteration_of(step_id: UUID) -> int:
    rows = execute("SELECT iteration FROM workflows_steprun WHERE id = %(id)s", {"id": step_id})
    return int(rows[0][0]) if rows else 1


_NEXT_ITERATION = """
INSERT INTO workflows_steprun (id, run_id, key, kind, item, iteration, state, is_plain, is_light,
    is_repeatable, queue, needs_left, needs_open, attempt, deliveries, cost_usd, queued_at, wake_at)
SELECT %(new)s, run_id, key, kind, -1, iteration + 1, 'queued', true, false, is_repeatable, queue,
    0, 0, 0, 0, 0, clock_timestamp(), now() + %(patience)s
FROM workflows_steprun WHERE id = %(id)s
ON CONFLICT DO NOTHING
RETURNING id, queue
"""


def _next_iteration(facts: RunFacts, step: Step, step_id: UUID) -> None:
    rows = execute(_NEXT_ITERATION, {"new": uuid7(), "id": step_id, "patience": fanout.PATIENCE})
    dispatch.publish_on_commit([Ready(i, facts.run_id, queue) for i, queue in rows])


_FINISH_COMPENSATIONS = """
WITH outcome AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(states)s::text[], %(outputs)s::jsonb[],
        %(errors)s::jsonb[], %(inputs)s::jsonb[]) AS o(id, state, output, error, input)
), ended AS (
    UPDATE workflows_steprun s
    SET state = o.state, output = o.output, error = o.error, input = coalesce(o.input, s.input),
        lease_until = NULL, wake_at = NULL, ended_at = clock_timestamp()
    FROM outcome o
    WHERE s.id = o.id AND s.token = %(token)s AND s.state = 'running'
    RETURNING s.run_id, s.id, s.key, s.item, s.attempt, s.state, s.error
)
INSERT INTO workflows_runevent (run_id, step_id, key, item, attempt, name, detail, actor)
SELECT run_id, id, key, item, attempt, 'step.' || state, error, %(worker)s FROM ended ORDER BY id
RETURNING id
"""


@repeat_if_deadlocked
@transaction.atomic
def finish_compensations(
    facts: RunFacts,
    *,
    token: UUID,
    outcomes: list[Outcome],
    next_token: UUID | None,
    worker: str,
) -> Rows:
    """Record compensations and start the next ones, or end the run.

    Those that came in one message end together. As many light ones as ended are this worker's to
    go on with under ``next_token``, if it has one.
    """
    if not outcomes:
        return []
    _, columns = storable(outcomes, facts)
    if not execute(_FINISH_COMPENSATIONS, {**columns, "token": token, "worker": worker}):
        return []
    return endings.undo_next(facts, next_token)


def retry_later(
    step_id: UUID,
    *,
    token: UUID,
    run_id: UUID,
    delay_seconds: float,
    error: dict[str, Any],
    cost_usd: Decimal,
    worker: str,
) -> None:
    """Queue a failed attempt again after a delay."""
    rows = execute(
        statements.RETRY,
        {
            "id": step_id,
            "token": token,
            "delay": timedelta(seconds=delay_seconds),
            "patience": fanout.PATIENCE,
            "error": as_json(error),
            "cost": cost_usd,
            "worker": worker,
        },
    )
    dispatch.publish(Ready(i, run_id, queue, delay_seconds=delay_seconds) for i, queue in rows)


_PUT_ASIDE = """
WITH aside AS (
    UPDATE workflows_steprun SET state = 'dead', lease_until = NULL, wake_at = NULL,
        error = %(error)s
    WHERE id = %(id)s AND token = %(token)s AND state = 'running'
    RETURNING run_id, id, key, item, attempt
)
INSERT INTO workflows_runevent (run_id, step_id, key, item, attempt, name, detail, actor)
SELECT run_id, id, key, item, attempt, 'step.dead', %(error)s, %(worker)s FROM aside
RETURNING id
"""


@repeat_if_deadlocked
@transaction.atomic
def put_aside(
    step_id: UUID, *, token: UUID, run_id: UUID, error: dict[str, Any], worker: str
) -> None:
    """Make a dead letter of a step that may have acted: a person finds out and decides."""
    asked = {"id": step_id, "token": token, "error": as_json(error), "worker": worker}
    if execute(_PUT_ASIDE, asked):
        endings.settle_if_ending(run_id)


@repeat_if_deadlocked
@transaction.atomic
def answer(facts: RunFacts, plan: Plan, outcome: Outcome) -> None:
    """End a step that waited for a person, a signal, a time or a child run, or go round again."""
    [outcome], again = _judged(facts, plan, [outcome])
    if not again:
        advance.resolve(facts, plan, [outcome])
        return
    # Held against a cancel that would not see the next turn.
    execute("SELECT FROM workflows_run WHERE id = %(run)s FOR SHARE", {"run": facts.run_id})
    [stored], columns = storable([outcome], facts)
    if stored.state is StepState.FAILED:
        advance.resolve(facts, plan, [outcome])
        return
    shared = {
        "worker": advance.WORKER,
        "patience": fanout.PATIENCE,
        "room": 0,
        "next_token": uuid7(),
        "lease": timedelta(0),
    }
    if execute(statements.RESOLVE, {**columns, **edges(plan, []), **shared}):
        _next_iteration(facts, plan.steps[outcome.key], outcome.step_id)
