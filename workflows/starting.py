"""Starting a run: the run, its steps and the counters of its joins, in one transaction."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import jsonschema
from django.db import IntegrityError, transaction

from config import logs
from config.access.callers import Caller
from config.access.ids import uuid7
from config.errors import Conflict, Forbidden, IdempotencyMismatch, InvalidInput, NotFound
from workflows import artifacts, dispatch, endings, fanout, places, queries, rights, splits
from workflows.advance import Advance, Moved
from workflows.contexts import RunFacts
from workflows.database import database_time, execute
from workflows.dispatch import Ready
from workflows.domain.definition import Plan, Step
from workflows.domain.documents import json_text
from workflows.domain.transitions import RunState, StepState, satisfies
from workflows.models import Run, WorkflowVersion
from workflows.plans import Handling, handling_of, plan_for

logger = logging.getLogger(__name__)
PRIORITIES = ("high", "default", "low")
# Workflows in workflows in workflows: deeper than this is a mistake.
MAX_NESTING = 5


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


# All that a start asks of the database about its workflow, its client and the time, in one look.
_STANDING = """
SELECT v.id, s.id IS NOT NULL,
       EXISTS (SELECT 1 FROM access_client c WHERE c.id = %(client)s AND c.is_demo), now()
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
        chosen = named_version(workflow, version).pk
    elif is_split and not is_demo:
        met = splits.meet(workflow, run_id=run_id, client_id=client)
        chosen = met.version.pk if met and met.version else chosen
    if chosen is None:
        raise NotFound("workflow", workflow)
    plan = plan_for(chosen)
    require_start(caller, plan)
    if not caller.sees(client):
        raise NotFound("client", client)
    if priority is not None and priority not in PRIORITIES:
        raise InvalidInput("priority", priority, f"one of {', '.join(PRIORITIES)}")
    if deadline_at is not None and deadline_at <= now:
        raise InvalidInput("deadline_at", deadline_at.isoformat(), "must lie in the future")
    options = {"version": version, "priority": priority, "deadline_at": deadline_at}
    more = {name: value for name, value in options.items() if value is not None}
    digest = digest_of(workflow, [inputs, more] if more else inputs)
    if idempotency_key:
        existing = Run.objects.filter(client_id=client, idempotency_key=idempotency_key).first()
        if existing is not None:
            return _same(existing, digest, idempotency_key, caller), False
    inputs = with_defaults(plan, inputs)
    check_inputs(plan, inputs, client_id=client)
    queries.require_artifacts(caller, given_artifacts(plan, inputs))
    run = Run(
        id=run_id, client_id=client, version_id=chosen, workflow_name=plan.name, inputs=inputs,
        split_epoch=met.epoch if met else None, bucket=met.bucket if met else None,
        deadline_at=deadline_at, inputs_digest=digest, idempotency_key=idempotency_key or None,
        started_by_id=caller.user_id, priority=priority or plan.priority,
        is_demo=is_demo or of_demo,
    )  # fmt: skip
    try:
        with transaction.atomic():
            create(run, plan, now=now)
    except IntegrityError:
        existing = Run.objects.filter(client_id=client, idempotency_key=idempotency_key).first()
        if not idempotency_key or existing is None:
            raise
        return _same(existing, digest, idempotency_key, caller), False
    return run, True


# What a run inside another one takes over from it, itself among the versions that it lies in.
_LINEAGE = """
SELECT coalesce(family_id, id), within || version_id FROM workflows_run WHERE id = %(run)s
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

    With ``timeout_seconds`` it has so long, if its own workflow does not give it less.
    """
    if Run.objects.filter(parent_step_id=step_id).exists():
        return
    run_id = uuid7()
    met = None if facts.is_demo else splits.meet(
        workflow, run_id=run_id, client_id=facts.client_id
    )  # fmt: skip
    version = (met.version if met else None) or current_version(workflow)
    plan = plan_for(version.pk)
    family, within = execute(_LINEAGE, {"run": facts.run_id})[0]
    if len(within) >= MAX_NESTING:
        raise InvalidInput("workflow", workflow, f"workflows nest at most {MAX_NESTING} deep")
    inputs = with_defaults(plan, inputs)
    check_inputs(plan, inputs, client_id=facts.client_id)
    for name, given in given_artifacts(plan, inputs).items():
        artifacts.require(name, given, client_id=facts.client_id, run_id=facts.run_id)
    run = Run(
        id=run_id, client_id=facts.client_id, version=version, workflow_name=plan.name,
        split_epoch=met.epoch if met else None, bucket=met.bucket if met else None,
        inputs=inputs, inputs_digest=digest_of(workflow, inputs), parent_step_id=step_id,
        started_by_id=facts.started_by, priority=facts.priority, is_demo=facts.is_demo,
        family_id=family, within=within,
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
    reused: Mapping[str, Reused] | None = None,
    *,
    now: datetime | None = None,
) -> None:
    """Write a run and its steps and send off what is ready; in the transaction at hand.

    ``now`` is the database's time, where the caller knows it.
    """
    now = now or database_time()
    latest = now + timedelta(seconds=plan.timeout_seconds)
    run.deadline_at = min(run.deadline_at or latest, latest)
    run.budget_usd = plan.budget_usd
    facts = RunFacts(
        run.pk, run.version_id, run.client_id, run.inputs, run.started_by_id, run.is_demo,
        run.deadline_at, run.budget_usd, now, run.workflow_name, run.priority,
    )  # fmt: skip
    run.concurrency_key = places.key_of(plan, facts)
    run.state = places.take(plan, run.concurrency_key)
    run.started_at = now if run.state == RunState.RUNNING else None
    run.save(force_insert=True)
    artifacts.used_by_run(given_artifacts(plan, run.inputs), run_id=run.pk)
    endings.note(run.pk, "run.created", actor=str(run.started_by_id or "engine"))
    rows = insert_steps(run, plan, reused or {})
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


def current_version(workflow: str) -> WorkflowVersion:
    """The version that new runs use; raises NotFound."""
    found = WorkflowVersion.objects.filter(workflow__name=workflow, is_current=True).first()
    if found is None:
        raise NotFound("workflow", workflow)
    return found


def named_version(workflow: str, name: str) -> WorkflowVersion:
    """A version by its number or one of its labels.

    Raises NotFound, Conflict for a deprecated one.
    """
    by = {"number": int(name)} if name.isdigit() else {"labels__name": name}
    rows = WorkflowVersion.objects.filter(workflow__name=workflow)
    found = rows.filter(**by).first() if len(name) < 9 or not name.isdigit() else None
    if found is None:
        raise NotFound("workflow version", f"{workflow} {name}")
    if found.deprecated_at is not None:
        raise Conflict(f"{workflow} v{found.number}", "deprecated", "a version still in use")
    return found


@lru_cache(maxsize=256)
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        json.loads(schema), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


def with_defaults(plan: Plan, inputs: Any) -> Any:
    """``inputs`` with the schema's defaults for what was not given at the top level."""
    if not isinstance(inputs, dict):
        return inputs
    properties = plan.inputs_schema.get("properties") or {}
    defaults = {k: v["default"] for k, v in properties.items() if "default" in v}
    return {**defaults, **inputs}


def check_inputs(plan: Plan, inputs: Any, *, client_id: UUID) -> None:
    """Raise InvalidInput for inputs that the workflow's JSON Schema refuses, or no row can hold."""
    json_text(inputs, field="inputs")
    schema = plan.inputs_schema
    errors = _validator(json.dumps(schema, sort_keys=True)).iter_errors(inputs)
    error = jsonschema.exceptions.best_match(errors)
    if error is not None:
        where = ".".join(["inputs", *(str(part) for part in error.absolute_path)])
        raise InvalidInput(where, error.instance if error.absolute_path else "", error.message)
    for name, given in given_artifacts(plan, inputs).items():
        try:
            artifacts.find(given, client_id=client_id)
        except NotFound:
            raise artifacts.no_artifact(name, given) from None


def given_artifacts(plan: Plan, inputs: Any) -> dict[str, Any]:
    """The inputs that name artifacts, as the workflow's schema says."""
    properties = plan.inputs_schema.get("properties") or {}
    return {
        name: inputs[name]
        for name, part in properties.items()
        if part.get("format") == "artifact" and inputs.get(name) is not None
    }


def require_start(caller: Caller, plan: Plan) -> None:
    """Raise Forbidden unless the caller may start runs, and those of this workflow."""
    caller.require("runs:start", "start runs")
    if not rights.may(caller, plan, "start"):
        raise Forbidden(f"start {plan.name}", rights.in_words(plan, "start"))


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


def _same(run: Run, digest: str, key: str, caller: Caller) -> Run:
    if run.inputs_digest != digest or not rights.may_see(caller, run):
        raise IdempotencyMismatch(key)
    return run


def digest_of(workflow: str, inputs: Any) -> str:
    text = json.dumps([workflow, inputs], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, default=str)
