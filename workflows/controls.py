"""What people may ask of runs: cancel, pause, resume, signal, requeue. The rest is in ``again``."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction

from config.access.callers import Caller
from config.errors import Conflict, Forbidden, InvalidInput, NotFound
from workflows import dispatch, endings, engine, measuring, queries, rights, waits
from workflows.advance import Outcome
from workflows.contexts import run_facts
from workflows.database import execute, repeat_if_deadlocked
from workflows.domain.documents import json_text
from workflows.domain.transitions import CONTROLS, STOPPING_STATES, RunState, StepState
from workflows.models import Run, Signal
from workflows.plans import plan_for


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
    if not rights.may_see(caller, run):
        raise NotFound("run", run_id)
    return run


def controlled(caller: Caller, run_id: UUID | str, action: str, *, firm: bool = False) -> Run:
    """A run of which the caller may ask ``action`` in its state.

    Raises NotFound, Forbidden, Conflict.
    """
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
    run = controlled(caller, run_id, "cancel", firm=firm)
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
    run = controlled(caller, run_id, action)
    if not Run.objects.filter(pk=run.pk, state=before).update(state=after):
        run.refresh_from_db()
        raise Conflict(f"run {run.pk}", run.state, before.value)
    endings.note(run.pk, f"run.{action}d", actor=caller.name)
    measuring.audit_control(caller, run.pk, run.client_id, f"run.{action}d")
    if after is RunState.RUNNING:
        dispatch.publish_on_commit(dispatch.queued_of(run.pk))
    run.refresh_from_db()
    return run


@repeat_if_deadlocked
@transaction.atomic
def send_signal(caller: Caller, run_id: UUID | str, *, name: str, payload: Any = None) -> Signal:
    """Give a signal to a run; a step that waits for it goes on, a later one finds it."""
    run = controlled(caller, run_id, "signal")
    if not name or len(name) > 64:
        raise InvalidInput("name", name, "1 to 64 characters")
    json_text(payload, field="payload")
    # A step that is about to wait has been seen to, or sees the signal once this is committed.
    [(state,)] = execute(
        "SELECT state FROM workflows_run WHERE id = %(run)s FOR NO KEY UPDATE", {"run": run.pk}
    )
    if RunState(state) not in CONTROLS["signal"]:
        raise Conflict(f"run {run.pk}", state, "a run that has not ended")
    signal = Signal.objects.create(run=run, name=name, payload=payload, sent_by_id=caller.user_id)
    endings.note(run.pk, "run.signalled", actor=caller.name, detail={"name": name})
    measuring.audit_control(caller, run.pk, run.client_id, "run.signalled", {"name": name})
    _deliver(run, name)
    return signal


def _deliver(run: Run, name: str) -> None:
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
