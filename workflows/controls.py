"""What people may ask of runs: cancel, pause, resume, signal. Trying again is in ``again``."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction

from config.access.callers import Caller
from config.errors import Conflict, Forbidden, InvalidInput, NotFound
from workflows import endings, engine, measuring, pausing, payloads, rights, waits
from workflows.advance import Outcome
from workflows.contexts import run_facts
from workflows.database import execute, repeat_if_deadlocked
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


@repeat_if_deadlocked
@transaction.atomic
def pause_run(caller: Caller, run_id: UUID | str) -> Run:
    """Start no more steps until the run is resumed, also in runs inside it; running ones end."""
    run = controlled(caller, run_id, "pause")
    return _switched(caller, run, "paused", pausing.hold(run.pk, actor=caller.name))


@repeat_if_deadlocked
@transaction.atomic
def resume_run(caller: Caller, run_id: UUID | str) -> Run:
    """Go on with a paused run, and with what was held inside it."""
    run = controlled(caller, run_id, "resume")
    return _switched(caller, run, "resumed", pausing.let_go(run.pk, actor=caller.name))


def _switched(caller: Caller, run: Run, what: str, won: bool) -> Run:
    if won:
        measuring.audit_control(caller, run.pk, run.client_id, f"run.{what}")
    run.refresh_from_db()
    if not won:
        raise Conflict(f"run {run.pk}", run.state, "running" if what == "paused" else "paused")
    return run


@repeat_if_deadlocked
@transaction.atomic
def send_signal(caller: Caller, run_id: UUID | str, *, name: str, payload: Any = None) -> Signal:
    """Give a signal to a run; a step that waits for it goes on, a later one finds it."""
    run = controlled(caller, run_id, "signal")
    if not name or len(name) > 64:
        raise InvalidInput("name", name, "1 to 64 characters")
    # A step that is about to wait has been seen to, or sees the signal once this is committed.
    [(state,)] = execute(
        "SELECT state FROM workflows_run WHERE id = %(run)s FOR NO KEY UPDATE", {"run": run.pk}
    )
    if RunState(state) not in CONTROLS["signal"]:
        raise Conflict(f"run {run.pk}", state, "a run that has not ended")
    kept = payloads.short_each(
        payload, client_id=run.client_id, name="payload", run_id=run.pk, user_id=caller.user_id
    )
    signal = Signal.objects.create(run=run, name=name, payload=kept, sent_by_id=caller.user_id)
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
        found, payload = waits.take_signal(facts, name, step_id)
        if found:
            engine.answer(facts, plan, Outcome(step_id, key, StepState.SUCCEEDED, output=payload))
