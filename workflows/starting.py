"""Starting a run: the run, its steps and the counters of its joins, in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from config import logs
from config.access.callers import Caller
from config.access.ids import uuid7
from config.errors import Forbidden, IdempotencyMismatch, InvalidInput, NotFound
from workflows import (
    artifacts,
    dispatch,
    given,
    payloads,
    places,
    queries,
    rights,
    splits,
    step_rows,
    versions,
)
from workflows.advance import Advance
from workflows.contexts import RunFacts
from workflows.database import database_time, execute, from_json
from workflows.dispatch import Ready
from workflows.domain.definition import Plan
from workflows.domain.transitions import RunState, StepState
from workflows.models import Run
from workflows.plans import plan_for

logger = logging.getLogger(__name__)
PRIORITIES = queries.PRIORITIES
# Workflows in workflows in workflows: deeper than this is a mistake.
MAX_NESTING = 5


# All that a start asks of the database about its workflow, its client and the time, in one look.
_STANDING = """
SELECT v.id, s.id IS NOT NULL,
       (SELECT c.is_demo FROM access_client c WHERE c.id = %(client)s), now()
FROM (SELECT 1) AS asked
LEFT JOIN workflows_workflow w ON w.name = %(workflow)s
LEFT JOIN workflows_workflowversion v ON v.workflow_id = w.id AND v.is_current
LEFT JOIN workflows_workflowsplit s ON s.workflow_id = w.id AND s.closed_at IS NULL
"""


def start_run(
    *,
    caller: Caller,
    workflow: str,
    inputs: dict[str, Any],
    client_id: UUID | None = None,
    idempotency_key: str | None = None,
    priority: str | None = None,
    deadline_at: datetime | None = None,
    version: str | None = None,
    is_demo: bool = False,
) -> tuple[Run, bool]:
    """Start ``workflow`` (its current version, or the numbered or labelled one); is it new?

    While a split of the workflow is open, the version is its arm's unless one is named.

    The same key with the same inputs gives the same run. Raises NotFound, Forbidden, InvalidInput
    (inputs against the workflow's JSON Schema), IdempotencyMismatch.
    """
    run_id, client = uuid7(), client_id or caller.home_client_id
    met = None
    asked = {"workflow": workflow, "client": client}
    chosen, is_split, of_demo, now = execute(_STANDING, asked)[0]
    if version is not None:
        chosen = versions.named_version(workflow, version).pk
    elif is_split and not is_demo:
        met = splits.meet(workflow, run_id=run_id, client_id=client)
        chosen = met.version.pk if met and met.version else chosen
    if chosen is None:
        raise NotFound("workflow", workflow)
    plan = plan_for(chosen)
    require_start(caller, plan)
    if of_demo is None or not caller.sees(client):
        raise NotFound("client", client)
    if priority is not None and priority not in PRIORITIES:
        raise InvalidInput("priority", priority, f"one of {', '.join(PRIORITIES)}")
    if deadline_at is not None and deadline_at <= now:
        raise InvalidInput("deadline_at", deadline_at.isoformat(), "must lie in the future")
    options = {"version": version, "priority": priority, "deadline_at": deadline_at}
    more = {name: value for name, value in options.items() if value is not None}
    digest = given.digest_of(workflow, [inputs, more] if more else inputs)
    if idempotency_key:
        existing = Run.objects.filter(client_id=client, idempotency_key=idempotency_key).first()
        if existing is not None:
            return _same(existing, digest, idempotency_key, caller), False
    inputs = given.with_defaults(plan, inputs)
    given.check_inputs(plan, inputs, client_id=client)
    queries.require_artifacts(caller, given.given_artifacts(plan, inputs))
    run = Run(
        id=run_id, client_id=client, version_id=chosen, workflow_name=plan.name, inputs=inputs,
        split_epoch=met.epoch if met else None, bucket=met.bucket if met else None,
        deadline_at=deadline_at, inputs_digest=digest, idempotency_key=idempotency_key or None,
        started_by_id=caller.user_id, priority=priority or plan.priority,
        is_demo=is_demo or of_demo, pins=versions.pins_of(plan, chosen),
    )  # fmt: skip
    try:
        with transaction.atomic():
            create(run, plan, actor=caller.name, now=now)
    except IntegrityError:
        existing = Run.objects.filter(client_id=client, idempotency_key=idempotency_key).first()
        if not idempotency_key or existing is None:
            raise
        return _same(existing, digest, idempotency_key, caller), False
    return run, True


# What a run inside another one takes over from it, itself among the versions that it lies in.
_LINEAGE = """
SELECT coalesce(r.family_id, r.id), r.within || r.version_id, coalesce(r.root_id, r.id),
       r.pins::text, root.created_at
FROM workflows_run r LEFT JOIN workflows_run root ON root.id = coalesce(r.root_id, r.id)
WHERE r.id = %(run)s
"""


def start_child(
    *,
    step_id: UUID,
    workflow: str,
    inputs: dict[str, Any],
    facts: RunFacts,
    timeout_seconds: float | None = None,
) -> None:
    """Start the run of a sub-workflow step, unless it was started before.

    Its version is what the outermost run has pinned, or an arm's of a split that was open by then.
    With ``timeout_seconds`` it has so long, if its own workflow does not give it less.
    """
    if Run.objects.filter(parent_step_id=step_id).exists():
        return
    run_id = uuid7()
    family, within, root, kept, since = execute(_LINEAGE, {"run": facts.run_id})[0]
    pins = from_json(kept)
    pinned = (pins or {}).get(workflow)
    met = None if facts.is_demo else splits.meet(
        workflow, run_id=run_id, client_id=facts.client_id, opened_until=since if pinned else None
    )  # fmt: skip
    if met and met.version:
        version = met.version.pk
    else:
        version = UUID(pinned) if pinned else versions.current_version(workflow).pk
    plan = plan_for(version)
    if len(within) >= MAX_NESTING:
        raise InvalidInput("workflow", workflow, f"workflows nest at most {MAX_NESTING} deep")
    inputs = given.with_defaults(plan, inputs)
    given.check_inputs(plan, inputs, client_id=facts.client_id)
    for name, file in given.given_artifacts(plan, inputs).items():
        artifacts.require(name, file, client_id=facts.client_id, run_id=facts.run_id)
    run = Run(
        id=run_id, client_id=facts.client_id, version_id=version, workflow_name=plan.name,
        split_epoch=met.epoch if met else None, bucket=met.bucket if met else None,
        inputs=inputs, inputs_digest=given.digest_of(workflow, inputs), parent_step_id=step_id,
        started_by_id=facts.started_by, priority=facts.priority, is_demo=facts.is_demo,
        family_id=family, within=within, root_id=root, pins=pins,
        deadline_at=database_time() + timedelta(seconds=timeout_seconds)
        if timeout_seconds else None,
    )  # fmt: skip
    try:
        with transaction.atomic():
            create(run, plan)
    except IntegrityError:  # an earlier attempt was quicker; its child is the one
        if not Run.objects.filter(parent_step_id=step_id).exists():
            raise


def create(
    run: Run,
    plan: Plan,
    reused: Mapping[str, step_rows.Reused] | None = None,
    *,
    actor: str = "engine",
    now: datetime | None = None,
) -> None:
    """Write a run and its steps and send off what is ready; in the transaction at hand.

    ``actor`` is who asked for it, by name; a run inside another is the engine's.
    ``now`` is the database's time, where the caller knows it. Inputs too large for the row go to
    files, known as given by who started the run.
    """
    files, whole = given.given_artifacts(plan, run.inputs), run.inputs
    run.inputs = payloads.short_each(
        whole, client_id=run.client_id, name="inputs", run_id=run.pk,
        user_id=None if run.parent_step_id else run.started_by_id,
    )  # fmt: skip
    now = now or database_time()
    latest = now + timedelta(seconds=plan.timeout_seconds)
    run.deadline_at = min(run.deadline_at or latest, latest)
    run.budget_usd = plan.budget_usd
    facts = RunFacts(
        run.pk, run.version_id, run.client_id, run.inputs, run.started_by_id, run.is_demo,
        run.deadline_at, run.budget_usd, now, run.workflow_name, run.priority, whole=whole,
    )  # fmt: skip
    dispatch.know_root(run.pk, run.root_id or run.pk)
    run.concurrency_key = places.key_of(plan, facts)
    run.state = places.take(plan, run.concurrency_key)
    run.started_at = now if run.state == RunState.RUNNING else None
    run.created_at = now
    rows = step_rows.insert_run(run, plan, reused or {}, actor=actor)
    artifacts.used_by_run(files, run_id=run.pk)
    logs.event(
        logger, "workflows.run.started", run=str(run.pk), workflow=plan.name, steps=len(rows)
    )
    if run.state != RunState.RUNNING:
        return
    dispatch.publish_on_commit(
        [Ready(r.step_id, run.pk, r.queue, r.is_light) for r in rows if r.state == "queued"]
    )
    Advance(facts, plan).run(
        row
        for row in rows
        if row.state == StepState.PENDING
        and (row.needs_left <= 0 or row.needs_left > row.needs_open)
    )


def require_start(caller: Caller, plan: Plan) -> None:
    """Raise Forbidden unless the caller may start runs, and those of this workflow."""
    caller.require("runs:start", "start runs")
    if not rights.may(caller, plan, "start"):
        raise Forbidden(f"start {plan.name}", rights.in_words(plan, "start"))


def _same(run: Run, digest: str, key: str, caller: Caller) -> Run:
    if run.inputs_digest != digest or not rights.may_see(caller, run):
        raise IdempotencyMismatch(key)
    return run
