"""The sweep: lost messages, dead leases, due timers, runs past their deadline.

It re-enters the same path that messages take; there is no second one for recovery. Every part is
safe to run twice at once, and to be killed anywhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction

from config import logs
from config.errors import RunTimeout
from workflows import (
    children,
    dispatch,
    endings,
    engine,
    fanout,
    items,
    lost,
    places,
    schedules,
    shedding,
    statements,
)
from workflows.advance import Advance, Outcome, moved
from workflows.contexts import RunFacts, run_facts
from workflows.database import TRANSIENT, database_time, execute, repeat_if_deadlocked
from workflows.domain.definition import Plan
from workflows.domain.transitions import StepState
from workflows.models import Approval
from workflows.plans import plan_for

T = TypeVar("T")
logger = logging.getLogger(__name__)


def sweep() -> dict[str, int]:
    """One pass; how much of each was found. What breaks in one part or row stops no other."""
    parts: dict[str, Callable[[], int]] = {
        "leases_expired": expire_leases,
        "republished": lost.publish_again,
        "scouts": lost.send_scouts,
        "woken": wake_due,
        "overdue": end_overdue,
        "abandoned": abandon_running,
        "settled": settle_ending,
        "started": pass_places_on,
        "scheduled": schedules.run_due,
        "shed": shedding.respond,
    }
    found = {name: _guarded(part, name) or 0 for name, part in parts.items()}
    if any(found.values()):
        logs.event(logger, "workflows.sweep.acted", **found)
    return found


def _guarded(work: Callable[[], T], what: str) -> T | None:
    try:
        return work()
    except (OperationalError, InterfaceError) as error:
        if not isinstance(error.__cause__, TRANSIENT):
            raise  # the database is away: so it is for all the rest
        logs.event(logger, "workflows.sweep.outrun", level=logging.WARNING, what=what)
        return None  # somebody who acted at the same moment won; the next pass looks again
    except Exception:
        logger.exception("workflows.sweep.failed", extra={"fields": {"what": what}})
        return None


def expire_leases() -> int:
    """Give out again what dead workers held."""
    rows = execute(statements.EXPIRE, {"most": settings.MAX_DELIVERIES})
    return len(rows)


def wake_due() -> int:
    """Look at waiting steps whose time has come."""
    rows = execute(statements.WAKE_DUE, {})
    for (step_id,) in rows:
        if not _guarded(partial(_woken, step_id), str(step_id)):
            execute(
                "UPDATE workflows_steprun SET wake_at = now() + interval '1 minute' "
                "WHERE id = %(id)s AND state IN ('waiting', 'pending')",
                {"id": step_id},
            )
    return len(rows)


def _woken(step_id: UUID) -> bool:
    wake(step_id)
    return True


def wake(step_id: UUID) -> None:
    """Look at one waiting step: has its time come, its child ended, its fan-out stalled?

    Also at one that was ready when its run had to wait for a place.
    """
    rows = execute(
        "SELECT s.run_id, s.key, s.kind, s.item, s.state, s.wake_at <= now() "
        "FROM workflows_steprun s JOIN workflows_run r ON r.id = s.run_id "
        "WHERE s.id = %(id)s AND s.state IN ('waiting', 'pending') AND r.state = 'running'",
        {"id": step_id},
    )
    if not rows:
        _settle_around(step_id)
        return
    run_id, key, kind, item, state, due = rows[0]
    facts = run_facts(run_id)
    plan = plan_for(facts.version_id)
    if state == StepState.PENDING:
        if due:
            _start_ready(step_id, facts, plan)
        return
    step = plan.steps.get(key)
    if step is None:
        return
    if kind == "chunk" or (step.for_each is not None and item < 0):
        _wake_fan(step_id)
    elif kind == "workflow":
        _wake_parent(step_id)
    elif kind == "approval" and due:
        _wake_approval(step_id)
    elif kind == "wait" and due:
        _wake_wait(step_id)


def _settle_around(step_id: UUID) -> None:
    """Take a run that is being stopped on, now that the run inside its step has ended."""
    rows = execute("SELECT run_id FROM workflows_steprun WHERE id = %(id)s", {"id": step_id})
    for (run_id,) in rows:
        repeat_if_deadlocked(endings.settle_if_ending)(run_id)


@repeat_if_deadlocked
@transaction.atomic
def _start_ready(step_id: UUID, facts: RunFacts, plan: Plan) -> None:
    rows = execute(statements.READY_JOIN, {"id": step_id})
    Advance(facts, plan).run(moved(rows))


def _wake_fan(fan_id: UUID) -> None:
    rows = execute(
        "UPDATE workflows_steprun SET wake_at = now() + %(recheck)s WHERE id = %(id)s "
        "RETURNING run_id, key",
        {"id": fan_id, "recheck": fanout.RECHECK},
    )
    run_id, key = rows[0]
    facts = run_facts(run_id)
    plan = plan_for(facts.version_id)
    step = plan.steps[key]
    if items.fail_if_an_item_did(facts, plan, step):
        return
    fanout.write_rest(fan_id, step, facts)
    for chunk in items.finished_chunks(fan_id):
        items.end_part(facts, plan, step, chunk, is_chunk=True)
    items.end_part(facts, plan, step, fan_id, is_chunk=False)
    dispatch.publish(fanout.top_up(step, facts))


def _wake_parent(step_id: UUID) -> None:
    rows = execute(
        "UPDATE workflows_steprun SET wake_at = now() + %(recheck)s "
        "WHERE id = %(id)s AND state = 'waiting' RETURNING run_id, key, item",
        {"id": step_id, "recheck": children.RECHECK},
    )
    if not rows:
        return
    run_id, key, item = rows[0]
    facts = run_facts(run_id)
    plan = plan_for(facts.version_id)
    outcome = children.outcome_of(step_id, plan.steps[key])
    if outcome is None:
        return
    if item >= 0:
        items.answer_item(facts, plan, plan.steps[key], outcome)
    else:
        engine.answer(facts, plan, outcome)


def _wake_approval(step_id: UUID) -> None:
    now = database_time()
    open_ = Approval.objects.filter(step_id=step_id, state=Approval.State.WAITING)
    expired = open_.filter(expires_at__lte=now)
    if expired.exists():
        end_step(step_id, code="approval_expired", message="nobody answered in time")
        return
    for approval in open_.filter(escalates_at__lte=now, escalated_at=None):
        Approval.objects.filter(pk=approval.pk, escalated_at=None).update(
            escalated_at=now, role=approval.escalates_to or approval.role
        )
        endings.note(approval.run_id, "approval.escalated", detail={"to": approval.escalates_to})
    later = open_.exclude(expires_at=None).values_list("expires_at", flat=True).first()
    execute(
        "UPDATE workflows_steprun SET wake_at = %(at)s WHERE id = %(id)s AND state = 'waiting'",
        {"id": step_id, "at": later},
    )


def _wake_wait(step_id: UUID) -> None:
    rows = execute("SELECT run_id, key FROM workflows_steprun WHERE id = %(id)s", {"id": step_id})
    run_id, key = rows[0]
    facts = run_facts(run_id)
    plan = plan_for(facts.version_id)
    if plan.steps[key].options.get("signal"):
        end_step(step_id, code="signal_timeout", message="the signal did not come in time")
        return
    engine.answer(facts, plan, Outcome(step_id, key, StepState.SUCCEEDED))


def end_step(step_id: UUID, *, code: str, message: str) -> None:
    """Let a waiting step fail for a stated reason; its open approvals expire."""
    rows = execute("SELECT run_id, key FROM workflows_steprun WHERE id = %(id)s", {"id": step_id})
    run_id, key = rows[0]
    facts = run_facts(run_id)
    error = {"code": code, "message": message, "retryable": False}
    with transaction.atomic():
        Approval.objects.filter(step_id=step_id, state=Approval.State.WAITING).update(
            state=Approval.State.EXPIRED
        )
        engine.answer(
            facts, plan_for(facts.version_id), Outcome(step_id, key, StepState.FAILED, error=error)
        )


def end_overdue() -> int:
    """Let runs fail that are past their deadline."""
    rows = execute(
        "SELECT id FROM workflows_run WHERE deadline_at < now() "
        "AND state IN ('running', 'paused', 'waiting') ORDER BY deadline_at LIMIT 100",
        {},
    )
    error = RunTimeout().as_dict()
    for (run_id,) in rows:
        _guarded(partial(endings.fail, run_id, error, actor="sweep"), str(run_id))
    return len(rows)


def abandon_running() -> int:
    """Wait no longer for steps of runs that were stopped some time ago."""
    rows = execute(
        "SELECT r.id FROM workflows_run r WHERE r.state IN ('failing', 'cancelling') "
        "AND r.stopping_at < now() - %(grace)s "
        "AND EXISTS (SELECT 1 FROM workflows_steprun s WHERE s.run_id = r.id "
        "AND s.state = 'running' AND s.kind <> 'compensate') LIMIT 100",
        {"grace": settings.STOP_GRACE},
    )
    for (run_id,) in rows:
        _guarded(partial(endings.abandon, run_id, actor="sweep"), str(run_id))
    return len(rows)


def settle_ending() -> int:
    """Take failing and cancelling runs on that nobody else will."""
    rows = execute(
        "SELECT r.id FROM workflows_run r WHERE r.state IN ('failing', 'cancelling') "
        "AND NOT EXISTS (SELECT 1 FROM workflows_steprun s WHERE s.run_id = r.id "
        "AND (s.state = 'running' OR (s.kind = 'compensate' AND s.state = 'queued'))) "
        "AND NOT EXISTS (SELECT 1 FROM workflows_steprun s JOIN workflows_run c "
        "ON c.parent_step_id = s.id WHERE s.run_id = r.id AND s.kind = 'workflow' "
        "AND c.ended_at IS NULL) LIMIT 100",
        {},
    )
    for (run_id,) in rows:
        _guarded(partial(endings.settle, run_id), str(run_id))
    return len(rows)


def pass_places_on() -> int:
    """Start runs that wait for a place which has become free without anybody noticing."""
    for workflow, key in places.waiting():
        pass_on = repeat_if_deadlocked(transaction.atomic(places.pass_on))
        _guarded(partial(pass_on, workflow, key), f"{workflow}:{key}")
    return 0
