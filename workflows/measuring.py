"""What an ended run tells monitoring: its own numbers, and those of its steps by key."""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import DatabaseError, transaction

from config import logs
from config.access.callers import Caller
from monitoring import services
from monitoring.services import Audited, Measurement
from workflows.database import execute
from workflows.models import Run

logger = logging.getLogger(__name__)

_RUN = """
SELECT r.workflow_name, r.client_id, r.started_by_id, r.state, r.is_demo, r.ended_at,
    extract(epoch FROM r.ended_at - coalesce(r.started_at, r.created_at))::float8,
    coalesce(r.error->>'code', ''),
    s.by_hand, s.steps
FROM workflows_run r, LATERAL (
    SELECT count(*) AS steps, count(*) FILTER (WHERE kind = 'approval') AS by_hand
    FROM workflows_steprun WHERE run_id = r.id AND started_at IS NOT NULL AND ended_at IS NOT NULL
) s WHERE r.id = %(run)s
"""
# Of a retried run without what was told with its earlier ends; and with it.
_COST = """
SELECT greatest(0, s.spent - (
    SELECT coalesce(sum((detail->>'cost_usd')::numeric), 0) FROM workflows_runevent
    WHERE run_id = %(run)s AND name = 'run.retried'
)), s.spent
FROM (
    SELECT coalesce(sum(cost_usd), 0) AS spent FROM workflows_steprun WHERE run_id = %(run)s
) s
"""
# Joins and other bookkeeping were never started by anybody; what a retried run kept was told when
# it ended before.
_STEPS = """
SELECT key, queue, count(*) FILTER (WHERE iteration > 1),
    array_agg(extract(epoch FROM ended_at - started_at)::float8),
    array_agg(greatest(0, extract(epoch FROM started_at - queued_at))::float8)
        FILTER (WHERE queued_at IS NOT NULL),
    sum(greatest(attempt - 1, 0))
FROM workflows_steprun
WHERE run_id = %(run)s AND started_at IS NOT NULL AND ended_at IS NOT NULL
    AND ended_at > coalesce((SELECT max(at) FROM workflows_runevent
        WHERE run_id = %(run)s AND name = 'run.retried'), '-infinity')
GROUP BY key, queue
"""

# One entry seals all of a run's transitions; one for each of them would cost the engine its speed.
_HISTORY = """
SELECT encode(sha256(convert_to(coalesce(string_agg(concat_ws(chr(31), id::text, key, item::text,
    attempt::text, name, coalesce(detail::text, ''), actor,
    (extract(epoch FROM at) * 1000000)::bigint::text), chr(30) ORDER BY transaction, id), ''),
    'UTF8')), 'hex')
FROM workflows_runevent WHERE run_id = %(run)s
"""


def run_ended(run_id: UUID) -> None:
    """Record an ended run. Called after its commit: a lost number must not undo a run."""
    try:
        record_end(run_id)
    except DatabaseError as error:
        logs.event(logger, "workflows.run.unmeasured", level=logging.WARNING, run=str(run_id),
                   error=type(error).__name__)  # fmt: skip


def cost_of_end(run_id: UUID) -> Decimal:
    """What a run has cost since it was last retried, in USD: what is told with its end."""
    return costs_of_end(run_id)[0]


def costs_of_end(run_id: UUID) -> tuple[Decimal, Decimal]:
    """The same, and what its steps have cost in all."""
    told, spent = execute(_COST, {"run": run_id})[0]
    return Decimal(told), Decimal(spent)


def approval_answered(run_id: UUID, *, approved: bool) -> None:
    """Record a person's answer, in the transaction that stores it."""
    workflow, client = Run.objects.values_list("workflow_name", "client_id").get(pk=run_id)
    labels = {"workflow": workflow, "client": str(client)}
    numbers = {"approvals": 1.0, "approvals_given": float(approved)}
    services.record([Measurement(numbers, labels)])


def again(run: Run, steps: int) -> None:
    """Record that so many results of an ended run are made once more."""
    labels = {"workflow": run.workflow_name, "client": str(run.client_id)}
    services.record([Measurement({"rework": float(steps)}, labels)])


@transaction.atomic  # the numbers and the entry: what a crash leaves undone is made up whole
def record_end(run_id: UUID) -> None:
    """The same, for those who try again when it fails; raises DatabaseError."""
    rows = execute(_RUN, {"run": run_id})
    if not rows:
        return
    workflow, client, user, state, demo, ended_at, seconds, code, by_hand, steps = rows[0]
    labels = {"workflow": workflow, "client": str(client)}
    numbers = {
        "runs": 1.0,
        "run_errors": float(state == "failed"),
        "run_duration_seconds": seconds,
        "run_cost_usd": float(cost_of_end(run_id)),
    }
    if demo:
        numbers["demo_runs"] = 1.0
    if state == "succeeded" and steps:
        numbers["automated_ratio"] = 1 - by_hand / steps
    taken = [Measurement(numbers, {**labels, "code": code if state == "failed" else ""}, ended_at)]
    for key, queue, again, durations, waits, retries in execute(_STEPS, {"run": run_id}):
        step: dict[str, Any] = {
            "steps": float(len(durations)),
            "step_duration_seconds": durations,
            "step_retries": float(retries),
            "rework": float(again),
            "queue_wait_seconds": waits or [],
        }
        taken.append(Measurement(step, {**labels, "step": key, "queue": queue}, ended_at))
    services.record(taken)
    seal(run_id, client, state, user_id=user)


def seal(run_id: UUID, client_id: UUID, state: str, *, user_id: UUID | None = None) -> None:
    """Audit the end of a run with the digest of all that happened in it."""
    services.audit_all(
        [
            Audited(
                actor="system:engine",
                action=f"workflows.run.{state}",
                target=f"run:{run_id}",
                client_id=client_id,
                user_id=user_id,
                session=str(run_id),
                after_digest=history_digest(run_id),
            )
        ]
    )


def audit_control(
    caller: Caller, run_id: UUID, client_id: UUID, what: str, detail: Any = None
) -> None:
    """Audit what a person did to a run, in the transaction that does it."""
    services.audit(
        actor=caller.principal, action=f"workflows.{what}", target=f"run:{run_id}",
        client_id=client_id, user_id=caller.user_id, subject_id=caller.user_id, after=detail,
    )  # fmt: skip


def history_digest(run_id: UUID) -> str:
    """Hex SHA-256 over every transition of the run, in order: what its audit entry seals."""
    return str(execute(_HISTORY, {"run": run_id})[0][0])
