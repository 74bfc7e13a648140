"""What people may ask of runs: cancel, pause, resume, retry, fork, signal, requeue."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from config.access.callers import Caller
from config.access.ids import uuid7
from config.errors import Conflict, Forbidden, InvalidInput, NotFound
from workflows import dispatch, endings, engine, measuring, queries, rights, starting, waits
from workflows.advance import Advance, Moved, Outcome
from workflows.contexts import RunFacts, run_facts
from workflows.database import execute, from_json, repeat_if_deadlocked
from workflows.domain.definition import Plan
from workflows.domain.documents import json_text
from workflows.domain.transitions import CONTROLS, STOPPING_STATES, RunState, StepState
from workflows.models import Run, Signal
from workflows.plans import plan_for
from workflows.starting import Reused


def find_run(caller: Caller, run_id: UUID | str) -> Run:
    """A run that the caller may see; raises NotFound."""
    caller.require("runs:read", "see runs")
    try:
        key = run_id if isinstance(run_id, UUID) else UUID(str(run_id))
    except ValueError:
        raise NotFound("run", run_id) from None
    run = caller.only_visible(Run.objects.select_related("started_by")).filter(pk=key).first()
    if run is None:
        raise NotFound("run", run_id)
    mine = run.started_by_id is not None and run.started_by_id == caller.user_id
    if not mine and not rights.may(caller, plan_for(run.version_id), "see"):
        raise NotFound("run", run_id)
    return run


def _controlled(caller: Caller, run_id: UUID | str, action: str, *, firm: bool = False) -> Run:
    run = find_run(caller, run_id)
    mine = run.started_by_id == caller.user_id and action in ("cancel", "signal")
    if not mine:
        caller.require("runs:control", f"{action} runs of others")
    plan = plan_for(run.version_id)
    if action == "cancel" and not mine and not rights.may(caller, plan, "cancel"):
        raise Forbidden("cancel this run", rights.in_words(plan, "cancel"))
    allowed = CONTROLS[action] | (STOPPING_STATES if firm else frozenset())
    if RunState(run.state) not in allowed:
        raise Conflict(
            f"run {run.pk}", run.state, f"one of {', '.join(sorted(s.value for s in allowed))}"
        )
    return run


def cancel_run(caller: Caller, run_id: UUID | str, *, reason: str = "", firm: bool = False) -> Run:
    """Stop a run: nothing new starts, running steps end, compensations run.

    ``firm`` waits for no step that still runs; a sweep does the same after STOP_GRACE (settings).
    """
    run = _controlled(caller, run_id, "cancel", firm=firm)
    stop = repeat_if_deadlocked(endings.cancel)
    stopped = stop(run.pk, actor=caller.name, reason=reason[:500])
    if firm:
        repeat_if_deadlocked(endings.abandon)(run.pk, actor=caller.name)
    elif not stopped:
        run.refresh_from_db()
        raise Conflict(f"run {run.pk}", run.state, "a run that has not ended")
    measuring.audit_control(
        caller, run.pk, run.client_id, "run.cancelled", {"reason": reason[:500]}
    )
    run.refresh_from_db()
    return run


def pause_run(caller: Caller, run_id: UUID | str) -> Run:
    """Start no more steps until the run is resumed; running ones end."""
    return _switch(caller, run_id, "pause", RunState.RUNNING, RunState.PAUSED)


def resume_run(caller: Caller, run_id: UUID | str) -> Run:
    """Go on with a paused run."""
    return _switch(caller, run_id, "resume", RunState.PAUSED, RunState.RUNNING)


@transaction.atomic
def _switch(
    caller: Caller, run_id: UUID | str, action: str, before: RunState, after: RunState
) -> Run:
    run = _controlled(caller, run_id, action)
    if not Run.objects.filter(pk=run.pk, state=before).update(state=after):
        run.refresh_from_db()
        raise Conflict(f"run {run.pk}", run.state, before.value)
    endings.note(run.pk, f"run.{action}d", actor=caller.name)
    measuring.audit_control(caller, run.pk, run.client_id, f"run.{action}d")
    if after is RunState.RUNNING:
        dispatch.publish_on_commit(endings.queued_of(run.pk))
    run.refresh_from_db()
    return run


def send_signal(caller: Caller, run_id: UUID | str, *, name: str, payload: Any = None) -> Signal:
    """Give a signal to a run; a step that waits for it goes on, a later one finds it."""
    run = _controlled(caller, run_id, "signal")
    if not name or len(name) > 64:
        raise InvalidInput("name", name, "1 to 64 characters")
    json_text(payload, field="payload")
    with transaction.atomic():
        signal = Signal.objects.create(
            run=run, name=name, payload=payload, sent_by_id=caller.user_id
        )
        endings.note(run.pk, "run.signalled", actor=caller.name, detail={"name": name})
        measuring.audit_control(caller, run.pk, run.client_id, "run.signalled", {"name": name})
    _deliver(run, name)
    return signal


@repeat_if_deadlocked
@transaction.atomic
def _deliver(run: Run, name: str) -> None:
    # After a step that is about to wait has either seen the signal or is seen waiting.
    execute("SELECT 1 FROM workflows_run WHERE id = %(run)s FOR NO KEY UPDATE", {"run": run.pk})
    facts = run_facts(run.pk)
    plan = plan_for(facts.version_id)
    keys = [
        k for k, s in plan.steps.items() if s.kind == "wait" and s.options.get("signal") == name
    ]
    rows = execute(
        "SELECT id, key FROM workflows_steprun WHERE run_id = %(run)s AND state = 'waiting' "
        "AND key = ANY(%(keys)s) ORDER BY id FOR UPDATE",
        {"run": run.pk, "keys": keys},
    )
    for step_id, key in rows:
        found, payload = waits.take_signal(run.pk, name, step_id)
        if found:
            engine.answer(facts, plan, Outcome(step_id, key, StepState.SUCCEEDED, output=payload))


def retry_run(caller: Caller, run_id: UUID | str) -> Run:
    """Go on with a failed or cancelled run from where it stopped; what succeeded is kept."""
    run = _controlled(caller, run_id, "retry")
    with transaction.atomic():
        moved = Run.objects.filter(pk=run.pk, state__in=CONTROLS["retry"]).update(
            state=RunState.RUNNING, ended_at=None, error=None, stopping_at=None
        )
        if not moved:
            run.refresh_from_db()
            raise Conflict(f"run {run.pk}", run.state, "failed or cancelled")
        endings.note(run.pk, "run.retried", actor=caller.name)
        measuring.audit_control(caller, run.pk, run.client_id, "run.retried")
        _reopen(run, plan_for(run.version_id))
    run.refresh_from_db()
    return run


def _reopen(run: Run, plan: Plan) -> None:
    """Take away what did not succeed and write it anew, with its joins counted afresh."""
    kept = _reusable(run, frozenset(plan.steps))
    tried = execute(
        "SELECT s.key, s.id, s.attempt FROM workflows_steprun s JOIN workflows_steprun f "
        "ON f.run_id = s.run_id AND f.key = s.key AND f.item = -1 AND f.state = 'failed' "
        "WHERE s.run_id = %(run)s AND s.item = -1 AND s.iteration = 1 AND s.kind <> 'compensate'",
        {"run": run.pk},
    )
    execute(
        "DELETE FROM workflows_steprun WHERE run_id = %(run)s AND NOT key = ANY(%(kept)s)",
        {"run": run.pk, "kept": list(kept)},
    )
    execute(
        "UPDATE workflows_run SET deadline_at = greatest(deadline_at, now() + %(more)s) "
        "WHERE id = %(run)s",
        {"run": run.pk, "more": timedelta(seconds=plan.timeout_seconds)},
    )
    # A step that is tried again keeps its id, and with it its history and the id of its effect.
    rows = starting.insert_steps(
        run, plan, kept, existing=frozenset(kept), ids={key: step for key, step, _ in tried}
    )
    execute(  # its attempts count on
        "UPDATE workflows_steprun s SET attempt = t.attempt "
        "FROM unnest(%(keys)s::text[], %(attempts)s::int[]) AS t(key, attempt) "
        "WHERE s.run_id = %(run)s AND s.key = t.key AND s.item = -1",
        {"run": run.pk, "keys": [row[0] for row in tried], "attempts": [row[2] for row in tried]},
    )
    if tried:
        measuring.again(run, len(tried))
    _send_ready(run, plan, rows)


def _send_ready(run: Run, plan: Plan, rows: list[Moved]) -> None:
    facts: RunFacts = run_facts(run.pk)
    dispatch.publish_on_commit(endings.queued_of(run.pk))
    Advance(facts, plan).run(
        row
        for row in rows
        if row.state == StepState.PENDING
        and (row.needs_left <= 0 or row.needs_left > row.needs_open)
    )


def _reusable(run: Run, keys: frozenset[str]) -> dict[str, Reused]:
    rows = execute(
        "SELECT DISTINCT ON (key) key, state, output::text, error::text FROM workflows_steprun "
        "WHERE run_id = %(run)s AND item = -1 "
        # What was compensated is undone, so it is done again.
        "AND NOT EXISTS (SELECT 1 FROM workflows_steprun c WHERE c.run_id = %(run)s "
        "AND c.kind = 'compensate' AND c.key = workflows_steprun.key || '.compensate') "
        "ORDER BY key, iteration DESC",
        {"run": run.pk},
    )
    return {
        key: Reused(StepState(state), from_json(output), from_json(error))
        for key, state, output, error in rows
        if key in keys and state in (StepState.SUCCEEDED, StepState.SKIPPED)
    }


def fork_run(
    caller: Caller,
    run_id: UUID | str,
    *,
    from_step: str,
    inputs: dict[str, Any] | None = None,
) -> Run:
    """A new run that takes over what ended before ``from_step`` and does the rest again.

    ``inputs`` replace single inputs of the original. Raises InvalidInput for an unknown step.
    """
    original = _controlled(caller, run_id, "fork")
    plan = plan_for(original.version_id)
    starting.require_start(caller, plan)
    if from_step not in plan.steps:
        raise InvalidInput("from_step", from_step, f"one of {', '.join(plan.steps)}")
    merged = {**original.inputs, **(inputs or {})}
    starting.check_inputs(plan, merged, client_id=original.client_id)
    queries.require_artifacts(caller, starting.given_artifacts(plan, inputs or {}))
    again = _downstream(plan, from_step)
    kept = {k: v for k, v in _reusable(original, frozenset(plan.steps)).items() if k not in again}
    run = Run(
        id=uuid7(), client_id=original.client_id, version_id=original.version_id,
        workflow_name=original.workflow_name, inputs=merged,
        inputs_digest=starting.digest_of(original.workflow_name, merged),
        started_by_id=caller.user_id, priority=original.priority, forked_from=original,
        is_demo=original.is_demo,
    )  # fmt: skip
    with transaction.atomic():
        starting.create(run, plan, kept)
        detail = {"run": str(original.pk), "step": from_step}
        endings.note(run.pk, "run.forked", actor=caller.name, detail=detail)
        measuring.audit_control(caller, run.pk, run.client_id, "run.forked", detail)
    return run


def _downstream(plan: Plan, key: str) -> set[str]:
    found, stack = {key}, [key]
    while stack:
        for follower, _ in plan.successors[stack.pop()]:
            if follower not in found:
                found.add(follower)
                stack.append(follower)
    return found


def requeue(caller: Caller, step_id: UUID | str) -> None:
    """Give a dead letter out again, with its deliveries forgotten; raises NotFound, Conflict."""
    caller.require("runs:control", "requeue dead letters")
    try:
        key = step_id if isinstance(step_id, UUID) else UUID(str(step_id))
    except ValueError:
        raise NotFound("dead letter", step_id) from None
    with transaction.atomic():
        rows = execute(
            "UPDATE workflows_steprun s SET state = 'queued', deliveries = 0, error = NULL, "
            "queued_at = now(), wake_at = now() + interval '30 seconds' FROM workflows_run r "
            "WHERE s.id = %(id)s AND s.state = 'dead' AND r.id = s.run_id "
            "AND (%(all)s OR r.client_id = ANY(%(clients)s)) "
            "RETURNING s.id, s.run_id, s.queue, r.client_id",
            {
                "id": key,
                "all": caller.client_ids is None,
                "clients": list(caller.client_ids or ()),
            },
        )
        if not rows:
            raise NotFound("dead letter", step_id)
        _, run_id, queue, client_id = rows[0]
        if not queries.visible_runs(caller).filter(pk=run_id).exists():
            raise NotFound("dead letter", step_id)
        endings.note(run_id, "step.requeued", actor=caller.name, detail={"step": str(key)})
        measuring.audit_control(caller, run_id, client_id, "step.requeued", {"step": str(key)})
        dispatch.publish_on_commit([dispatch.Ready(key, run_id, queue)])
