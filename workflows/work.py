"""The work of one claimed step: its arguments, the call, and what came of it.

Nothing is held meanwhile: no transaction, no database connection.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from agents import services as agents
from agents.errors import EffectUnknown, ReviewRequired
from agents.invoke import Answer, Call, invoke
from agents.tools.registry import ToolContext, get
from config import logs
from config.errors import AppError, RunTimeout, StepTimeout
from workflows import artifacts, asking, children, engine, fanout, items, money, payloads
from workflows.advance import Outcome
from workflows.contexts import RunFacts, run_facts, with_steps
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
from workflows.patience import patiently
from workflows.undoing import COMPENSATE, undoes

logger = logging.getLogger(__name__)


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


def outcome_of(
    row: Claimed, facts: RunFacts, plan: Plan, token: UUID, worker: str
) -> Outcome | None:
    """The outcome of one step; None if it was sent round again, now waits or is left to its lease.

    A database that is away is no failure of the step. Whether it acted before is not known here,
    so nothing is decided: its lease ends, and the sweep does what is right for such a step.
    """
    key = undoes(row.key)
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
            ended: Outcome | None = patiently(
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
    if isinstance(failure, StepTimeout) and row.kind != COMPENSATE and _is_past(facts):
        failure = RunTimeout()
    error = failure.as_dict()
    is_unknown = isinstance(failure, EffectUnknown) and row.kind in ("tool", COMPENSATE)
    if is_unknown and not failure.retryable:
        patiently(
            lambda: engine.put_aside(
                row.step_id, token=token, run_id=row.run_id, error=error, worker=worker
            )
        )
        return None
    cost = Decimal(str(getattr(failure, "cost_usd", 0) or 0))
    retry = step.retry if row.kind != COMPENSATE else Retry(max_attempts=5)
    again = retry.allows(attempt=row.attempt, code=failure.code, retryable=failure.retryable)
    if is_unknown or again:  # what may still happen is waited for, however many tries are left
        wait = retry_delay(
            row.attempt,
            base_seconds=retry.backoff_seconds,
            cap_seconds=RETRY_CAP_SECONDS,
            jitter=random.random(),
        )
        wait = max(wait, float(getattr(failure, "retry_after_seconds", 0) or 0))
        patiently(
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
        return _arguments_of_compensation(row, step, facts)
    template = step.arguments
    if not template.expressions:
        return dict(template.value)
    extra = _item_names(row, step, facts, template.names) if row.item >= 0 else {}
    if step.until is not None:
        extra = _turn_names(row, facts, template.names)
    context = with_steps(facts, template.steps, names=template.names, **extra)
    rendered: dict[str, Any] = template.render(context)
    return rendered


def _arguments_of_compensation(row: Claimed, step: Step, facts: RunFacts) -> dict[str, Any]:
    """A fan-out that failed has no output of its own; its items that succeeded have."""
    template = compile_template((step.compensate or {}).get("with") or {})
    own_names = _names_of_undone(row, step, facts, template.names)
    context = with_steps(facts, template.steps, names=template.names, **own_names)
    if step.for_each is not None and step.key in template.steps:
        done = items.outputs_of(facts.run_id, step)
        of: dict[str, Any] = {"client_id": facts.client_id, "run_id": facts.run_id}
        done = payloads.expand_items(done, depth=step.lists, **of)
        own = {**context["steps"][step.key], "output": done}
        context["steps"] = {**context["steps"], step.key: own}
    rendered: dict[str, Any] = template.render(context)
    return rendered


def _names_of_undone(
    row: Claimed, step: Step, facts: RunFacts, named: frozenset[str]
) -> dict[str, Any]:
    """What a compensation calls the item that it undoes, and what that (or the step) had given."""
    if not named & {"output", "index", "outer_index", step.item_name, step.each_name}:
        return {}
    value, output = execute(
        "SELECT value::text, output::text FROM workflows_steprun WHERE run_id = %(run)s "
        "AND key = %(key)s AND item = %(item)s ORDER BY iteration DESC LIMIT 1",
        {"run": row.run_id, "key": step.key, "item": row.item},
    )[0]
    given = payloads.expand(from_json(output), client_id=facts.client_id, run_id=facts.run_id)
    if row.item < 0:
        return {"output": given}
    undone = replace(row, key=step.key, value=from_json(value))
    return {"output": given, **_item_names(undone, step, facts, named)}


def _item_names(row: Claimed, step: Step, facts: RunFacts, named: frozenset[str]) -> dict[str, Any]:
    """What expressions call the item at hand, and where it lies."""
    of = {"client_id": facts.client_id, "run_id": facts.run_id}
    if step.each is None:
        return {step.item_name: payloads.expand(row.value, **of), "index": row.item}
    outer, place, value = row.value
    found = {step.each_name: payloads.expand(value, **of), "index": place, "outer_index": outer}
    if step.item_name in named:
        found[step.item_name] = fanout.outer_item(facts, row.key, outer)
    return found


def _turn_names(row: Claimed, facts: RunFacts, named: frozenset[str]) -> dict[str, Any]:
    """Which turn of a repeated step it is, and what the turn before gave; null for the first."""
    output = None
    if "output" in named and row.iteration > 1:
        before = execute(
            "SELECT output::text FROM workflows_steprun WHERE run_id = %(run)s AND key = %(key)s "
            "AND item = -1 AND iteration = %(before)s",
            {"run": row.run_id, "key": row.key, "before": row.iteration - 1},
        )
        of = {"client_id": facts.client_id, "run_id": facts.run_id}
        output = payloads.expand(from_json(before[0][0]), **of)
    return {"output": output, "iteration": row.iteration}


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
        # A run is undone also past its deadline, and mostly because of it.
        until = started + limit if row.kind == COMPENSATE else _deadline(started, limit, facts)
        connection.close()  # nothing is held while a tool works
        result = agents.call_tool(
            target, arguments, client_id=facts.client_id, user_id=facts.started_by,
            run_id=row.run_id, step_id=row.step_id, effect_id=effect, attempt=row.attempt,
            deadline=until, artifacts=store,
        )  # fmt: skip
        return result, Decimal(0), None
    limit = step.timeout_seconds or settings.STEP_TIMEOUT.total_seconds()
    capped = money.capped_runs(row.run_id)
    connection.close()
    answer: Answer = invoke(
        Call(
            agent=target, inputs=arguments, client_id=facts.client_id, user_id=facts.started_by,
            run_id=row.run_id, workflow=facts.workflow_name, step_id=row.step_id, effect_id=effect,
            attempt=row.attempt, deadline=_deadline(started, limit, facts), artifacts=store,
            is_demo=facts.is_demo, capped_runs=capped,
        )
    )  # fmt: skip
    return answer.output, answer.cost_usd, answer.invocation_id


def _deadline(started: float, limit_seconds: float, facts: RunFacts) -> float:
    """When the step gives up, on the monotonic clock: its own limit or the run's deadline."""
    deadline = _run_deadline(facts)
    limit = started + limit_seconds
    return limit if deadline is None else max(started, min(limit, deadline))


def _run_deadline(facts: RunFacts) -> float | None:
    """On the monotonic clock; what this worker remembers may be older than a retry of the run."""
    deadline = facts.deadline
    if deadline is not None and deadline <= time.monotonic():
        deadline = run_facts(facts.run_id).deadline
        connection.close()
    return deadline


def _is_past(facts: RunFacts) -> bool:
    deadline = _run_deadline(facts)
    return deadline is not None and deadline <= time.monotonic()
