"""A worker's side of a step: claim, do, finish, and go on with what is light and ready.

Nothing is held while a step works: no transaction, no database connection.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from agents import services as agents
from agents.errors import ReviewRequired
from agents.invoke import Answer, Call, invoke
from agents.tools.registry import ToolContext, get
from config import logs
from config.errors import AppError
from workflows import artifacts, asking, children, engine, fanout, statements
from workflows.advance import Moved, Outcome
from workflows.contexts import RunFacts, kept_facts, run_facts, with_steps
from workflows.database import execute, from_json
from workflows.domain.definition import Plan, Step
from workflows.domain.expressions import compile_template
from workflows.domain.transitions import (
    RETRY_CAP_SECONDS,
    Retry,
    StepState,
    duration_seconds,
    retry_delay,
)
from workflows.endings import COMPENSATE
from workflows.leases import leases, worker_name
from workflows.plans import plan_for

logger = logging.getLogger(__name__)

# A worker lets go of a chain of light steps now and then, so that others get their turn.
LONGEST_CHAIN = 2000
# How long a finish is tried again while the database is away; after it the lease has ended.
FINISH_PATIENCE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row that this worker owns under a token."""

    step_id: UUID
    run_id: UUID
    key: str
    item: int
    iteration: int
    kind: str
    attempt: int
    value: Any


class BrokenStep(AppError):
    """A step raised what no tool declares; the log has its trace."""

    code, http_status = "step_crashed", 500

    def __init__(self, what: str, error: str) -> None:
        super().__init__(what, error)
        self.what, self.error = what, error

    def __str__(self) -> str:
        return f"{self.what} crashed: {self.error}"


def run_steps(step_ids: list[UUID], run_id: UUID) -> int:
    """Do the given steps of a run, as far as they are still to do; how many were done."""
    worker = worker_name()
    token = uuid4()
    claimed = claim(step_ids, token=token, worker=worker)
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
        items: dict[str, list[Outcome]] = {}
        for row in claimed:
            outcome = _do(row, facts, plan, token, worker)
            if outcome is None:
                continue
            if row.kind == COMPENSATE:
                _patiently(
                    lambda o=outcome: engine.finish_compensation(
                        facts, token=token, outcome=o, worker=worker
                    )
                )
            elif row.item >= 0:
                items.setdefault(row.key, []).append(outcome)
            else:
                static.append(outcome)
        room = engine.ROOM if light and go_on else 0
        following = _patiently(
            lambda: engine.finish(
                facts, plan, token=token, outcomes=static, next_token=next_token,
                worker=worker, room=room,
            )
        )  # fmt: skip
        for key, outcomes in items.items():
            following += _patiently(
                lambda key=key, outcomes=outcomes: engine.finish_items(
                    facts, plan, plan.steps[key], token=token, outcomes=outcomes,
                    next_token=next_token, worker=worker, room=room,
                )
            )  # fmt: skip
    finally:
        if not light:
            leases.let_go(ids)
    return [_taken_on(row) for row in following]


def _taken_on(row: Moved) -> Claimed:
    return Claimed(
        row.step_id, row.run_id, row.key, row.item, row.iteration, row.kind, row.attempt, row.value
    )


def _is_light(row: Claimed, plan: Plan) -> bool:
    return row.kind == "tool" and get(plan.steps[row.key].target).light


def _do(row: Claimed, facts: RunFacts, plan: Plan, token: UUID, worker: str) -> Outcome | None:
    """The outcome of one step; None if it was sent round again, now waits or is left to its lease.

    A database that is away is no failure of the step. Whether it acted before is not known here,
    so nothing is decided: its lease ends, and the sweep does what is right for such a step.
    """
    key = row.key.removesuffix(f".{COMPENSATE}")
    step = plan.steps[key]
    started = time.monotonic()
    arguments: Any = None
    failure: AppError
    try:
        arguments = _arguments(row, step, facts)
        if row.kind == "workflow":
            return children.start(
                row.step_id, step, facts, arguments, token=token, is_item=row.item >= 0
            )
        result, cost, call = _perform(row, step, facts, arguments, started)
        return Outcome(
            row.step_id, row.key, StepState.SUCCEEDED, output=result, input=arguments,
            cost_usd=cost, invocation_id=call,
        )  # fmt: skip
    except ReviewRequired as error:
        if error.review:
            ended: Outcome | None = _patiently(
                lambda asked=error: asking.wait(row.step_id, row.key, facts, asked, token=token)
            )
            return ended
        failure = error
    except AppError as error:
        failure = error
    except (OperationalError, InterfaceError) as error:
        logs.event(
            logger, "workflows.step.left", level=logging.WARNING, step=str(row.step_id),
            error=type(error).__name__,
        )  # fmt: skip
        connection.close()
        return None
    except Exception as error:
        logger.exception("workflows.step.crashed", extra={"fields": {"step": str(row.step_id)}})
        failure = BrokenStep(f"step {key}", f"{type(error).__name__}: {error}"[:300])
    return _failed(row, step, facts, failure, arguments, token, worker)


def _failed(
    row: Claimed,
    step: Step,
    facts: RunFacts,
    failure: AppError,
    arguments: Any,
    token: UUID,
    worker: str,
) -> Outcome | None:
    error = failure.as_dict()
    cost = Decimal(str(getattr(failure, "cost_usd", 0) or 0))
    retry = step.retry if row.kind != COMPENSATE else Retry(max_attempts=5)
    if retry.allows(attempt=row.attempt, code=failure.code, retryable=failure.retryable):
        wait = retry_delay(
            row.attempt,
            base_seconds=retry.backoff_seconds,
            cap_seconds=RETRY_CAP_SECONDS,
            jitter=random.random(),
        )
        wait = max(wait, float(getattr(failure, "retry_after_seconds", 0) or 0))
        _patiently(
            lambda: engine.retry_later(
                row.step_id, token=token, run_id=row.run_id, delay_seconds=wait, error=error,
                cost_usd=cost, worker=worker,
            )
        )  # fmt: skip
        return None
    return Outcome(
        row.step_id, row.key, StepState.FAILED, error=error, input=arguments, cost_usd=cost
    )


def _arguments(row: Claimed, step: Step, facts: RunFacts) -> dict[str, Any]:
    if row.kind == COMPENSATE:
        template = compile_template((step.compensate or {}).get("with") or {})
    else:
        template = step.arguments
    if not template.expressions:
        return dict(template.value)
    extra = _item_names(row, step, template.names) if row.item >= 0 else {}
    rendered: dict[str, Any] = template.render(with_steps(facts, template.steps, **extra))
    return rendered


def _item_names(row: Claimed, step: Step, named: frozenset[str]) -> dict[str, Any]:
    """What expressions call the item at hand, and where it lies."""
    if step.each is None:
        return {step.item_name: row.value, "index": row.item}
    outer, place, value = row.value
    found = {step.each_name: value, "index": place, "outer_index": outer}
    if step.item_name in named:
        found[step.item_name] = fanout.outer_item(row.run_id, row.key, outer)
    return found


def _perform(
    row: Claimed, step: Step, facts: RunFacts, arguments: dict[str, Any], started: float
) -> tuple[Any, Decimal, UUID | None]:
    """Call the tool or agent; its result, what it cost and its invocation."""
    target = (step.compensate or {})["tool"] if row.kind == COMPENSATE else step.target
    effect = f"{row.step_id}"
    store = artifacts.store_for(facts.client_id, facts.run_id)
    if row.kind in ("tool", COMPENSATE):
        tool = get(target)
        if tool.light:  # a message of its own, perhaps, but never a thread
            context = ToolContext(store, str(facts.client_id), str(row.run_id), effect, row.attempt)
            return agents.call_light_tool(target, arguments, context), Decimal(0), None
        limit = step.timeout_seconds or settings.STEP_TIMEOUT.total_seconds()
        if row.kind == COMPENSATE and "timeout" in (step.compensate or {}):
            limit = duration_seconds((step.compensate or {})["timeout"])
        connection.close()  # nothing is held while a tool works
        result = agents.call_tool(
            target, arguments, client_id=facts.client_id, user_id=facts.started_by,
            run_id=row.run_id, step_id=row.step_id, effect_id=effect, attempt=row.attempt,
            deadline=_deadline(started, limit, facts), artifacts=store,
        )  # fmt: skip
        return result, Decimal(0), None
    limit = step.timeout_seconds or settings.STEP_TIMEOUT.total_seconds()
    connection.close()
    answer: Answer = invoke(
        Call(
            agent=target, inputs=arguments, client_id=facts.client_id, user_id=facts.started_by,
            run_id=row.run_id, workflow=facts.workflow_name, step_id=row.step_id, effect_id=effect,
            attempt=row.attempt, deadline=_deadline(started, limit, facts), artifacts=store,
            is_demo=facts.is_demo,
        )
    )  # fmt: skip
    return answer.output, answer.cost_usd, answer.invocation_id


def _deadline(started: float, limit_seconds: float, facts: RunFacts) -> float:
    """When the step gives up, on the monotonic clock: its own limit or the run's deadline."""
    deadline = facts.deadline
    if deadline is not None and deadline <= time.monotonic():
        # What this worker remembers may be older than a retry of the run.
        deadline = run_facts(facts.run_id).deadline
        connection.close()
    limit = started + limit_seconds
    return limit if deadline is None else max(started, min(limit, deadline))


def _patiently(write: Any) -> Any:
    """Do a write, again and again while the database is away, until the lease must have ended."""
    until = time.monotonic() + FINISH_PATIENCE_SECONDS
    for pause in _pauses():
        try:
            return write()
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() + pause > until:
                raise
            logs.event(
                logger,
                "workflows.finish.delayed",
                level=logging.WARNING,
                error=type(error).__name__,
            )
            connection.close()
            time.sleep(pause)
    return None


def _pauses() -> Iterator[float]:
    pause = 0.1
    while True:
        yield pause
        pause = min(2.0, pause * 2)
