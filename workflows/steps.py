"""A worker's side of a step: claim, do, finish, and go on with what is light and ready.

Nothing is held while a step works: no transaction, no database connection.
"""

from __future__ import annotations

from uuid import UUID, uuid4

from django.conf import settings

from agents.tools.registry import get
from workflows import dispatch, engine, items, statements
from workflows.advance import Moved, Outcome
from workflows.contexts import RunFacts, kept_facts
from workflows.database import execute, from_json
from workflows.domain.definition import Plan
from workflows.leases import leases, worker_name
from workflows.patience import patiently
from workflows.plans import plan_for
from workflows.undoing import COMPENSATE, undoes
from workflows.work import Claimed, outcome_of

# A worker lets go of a chain of light steps now and then, so that others get their turn.
LONGEST_CHAIN = 2000


def run_steps(step_ids: list[UUID], run_id: UUID) -> int:
    """Do the given steps of a run, as far as they are still to do; how many were done."""
    worker = worker_name()
    token = uuid4()
    claimed = patiently(lambda: claim(step_ids, token=token, worker=worker))
    if not claimed:
        return 0
    facts = kept_facts(run_id)
    plan = plan_for(facts.version_id)
    done = 0
    while claimed:
        next_token = uuid4()
        claimed = _do_all(
            claimed, facts, plan, token, next_token, worker, go_on=done < LONGEST_CHAIN
        )
        token = next_token
        done += 1
    return done


def claim(step_ids: list[UUID], *, token: UUID, worker: str) -> list[Claimed]:
    """Claim queued steps in one conditional write; those that had moved on are not among them."""
    rows = execute(
        statements.CLAIM,
        {"ids": step_ids, "token": token, "lease": settings.STEP_LEASE, "worker": worker},
    )
    return [
        Claimed(sid, run, key, item, iteration, kind, attempt, from_json(value))
        for sid, run, key, item, iteration, kind, attempt, _, value, _ in rows
    ]


def _do_all(
    claimed: list[Claimed],
    facts: RunFacts,
    plan: Plan,
    token: UUID,
    next_token: UUID,
    worker: str,
    *,
    go_on: bool,
) -> list[Claimed]:
    """Do claimed steps and hand in what came of them; those to go on with, under the next token."""
    ids = [row.step_id for row in claimed]
    light = all(_is_light(row, plan) for row in claimed)
    if not light:  # a light step ends long before its lease does
        leases.hold(ids, token)
    try:
        static: list[Outcome] = []
        undone: list[Outcome] = []
        of_fans: dict[str, list[Outcome]] = {}
        for row in claimed:
            outcome = outcome_of(row, facts, plan, token, worker)
            if outcome is None:
                continue
            if row.kind == COMPENSATE:
                undone.append(outcome)
            elif row.item >= 0:
                of_fans.setdefault(row.key, []).append(outcome)
            else:
                static.append(outcome)
        taken = patiently(
            lambda: engine.finish_compensations(
                facts, token=token, outcomes=undone, worker=worker,
                next_token=next_token if light and go_on else None,
            )
        )  # fmt: skip
        room = dispatch.ROOM if light and go_on else 0
        following = patiently(
            lambda: engine.finish(
                facts, plan, token=token, outcomes=static, next_token=next_token,
                worker=worker, room=room,
            )
        )  # fmt: skip
        for key, outcomes in of_fans.items():
            following += patiently(
                lambda key=key, outcomes=outcomes: items.finish_items(
                    facts, plan, plan.steps[key], token=token, outcomes=outcomes,
                    next_token=next_token, worker=worker, room=room,
                )
            )  # fmt: skip
    finally:
        if not light:
            leases.let_go(ids)
    undone_next = [
        Claimed(sid, run, key, item, iteration, kind, attempt, from_json(value))
        for sid, run, key, item, iteration, kind, attempt, value in taken
    ]
    return undone_next + [_taken_on(row) for row in following]


def _taken_on(row: Moved) -> Claimed:
    return Claimed(
        row.step_id, row.run_id, row.key, row.item, row.iteration, row.kind, row.attempt, row.value
    )


def _is_light(row: Claimed, plan: Plan) -> bool:
    if row.kind == COMPENSATE:
        return get((plan.steps[undoes(row.key)].compensate or {})["tool"]).light
    return row.kind == "tool" and get(plan.steps[row.key].target).light
