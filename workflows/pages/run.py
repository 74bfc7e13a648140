"""The page of one run: its moving part, the panel of a step, what it found, and its controls."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Case, QuerySet, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from config.access.callers import Caller
from config.access.models import Client
from config.errors import AppError, Conflict, InvalidInput, NotFound
from config.pages import page
from workflows import (
    again,
    controls,
    dead_letters,
    decisions,
    documents,
    findings,
    history,
    payloads,
    queries,
    wording,
)
from workflows.domain.transitions import CONTROLS, RunState
from workflows.models import Approval, Run, StepRun, WorkflowVersion
from workflows.picture import MAX_DRAWN, run_picture
from workflows.plans import plan_for
from workflows.timeline import worker_that_went_on

SHOWN_EVENTS = 400
FAILED_STATES = ("failed", "dead")


@require_GET
@page("runs:read")
def one_run(request: HttpRequest, caller: Caller, run_id: UUID) -> HttpResponse:
    """``/dashboard/runs/{id}``; ``?step=`` opens the panel of a step.

    ``?stage= begin=`` choose what the time line shows of a large run.
    """
    run = controls.find_run(caller, run_id)
    plan = plan_for(run.version_id)
    context = {
        **_moving(request, run, caller),
        "client": Client.objects.filter(pk=run.client_id).first(),
        "version": WorkflowVersion.objects.only("number").get(pk=run.version_id),
        # Nobody chooses from thousands.
        "plan_steps": [(key, step.title) for key, step in plan.steps.items()]
        if len(plan.steps) <= MAX_DRAWN
        else [],
        # Whoever sees a run sees its files; a page of some megabytes is no help.
        "input_files": payloads.references_in(run.inputs),
        "inputs_text": json.dumps(run.inputs, indent=2, ensure_ascii=False, default=str),
        "may_fork": caller.has("runs:control") and caller.has("runs:start"),
        # Whoever sees a run sees what is around it.
        "around": run.parent_step_id and Run.objects.filter(steps=run.parent_step_id).first(),
    }
    if wanted := request.GET.get("step"):
        context["panel"] = _panel(run, caller, wanted)
    return render(request, "runs/run.html", context)


@require_GET
@page("runs:read")
def live(request: HttpRequest, caller: Caller, run_id: UUID) -> HttpResponse:
    """The moving part alone, asked for whenever the run has moved."""
    run = controls.find_run(caller, run_id)
    return render(request, "runs/_live.html", _moving(request, run, caller))


def _moving(request: HttpRequest, run: Run, caller: Caller) -> dict[str, Any]:
    now, asked = timezone.now(), request.GET
    begin = asked.get("begin", "")
    picture = run_picture(
        run, now=now, stage=asked.get("stage", ""),
        begin=int(begin) if begin.isdecimal() and len(begin) < 9 else 0,
    )  # fmt: skip
    titles = {step["key"]: step["title"] for step in picture["steps"]}
    events, total, cursor = history.latest(run.pk, limit=SHOWN_EVENTS)
    called = picture["items"]
    sentences = [{**e, "words": wording.event_words(e, titles, called)} for e in events]
    waiting = picture["waiting"]
    if waiting:
        approval = run.approvals.get(pk=waiting[0]["id"])
        waiting[0]["refusal"] = decisions.may_answer(caller, approval)
    state = RunState(run.state)
    allowed = {
        action for action, states in CONTROLS.items()
        if state in states and (caller.has("runs:control") or (
            action in ("cancel", "signal") and run.started_by_id == caller.user_id))
    }  # fmt: skip
    signals = signals_of(run)
    if not signals:
        allowed.discard("signal")
    return {
        "run": run, "picture": picture, "history": sentences,
        "events_total": total,
        "cursor": cursor, "allowed": allowed,
        "is_final": state.is_final, "now": now, "has_outputs": bool(run.outputs),
        "signals": signals, "calls": any(waits for _, _, waits in signals),
    }  # fmt: skip


@require_GET
@page("runs:read")
def step(request: HttpRequest, caller: Caller, run_id: UUID, step_id: UUID | str) -> HttpResponse:
    """The panel of one step, for the page of its run."""
    run = controls.find_run(caller, run_id)
    panel = _panel(run, caller, str(step_id))
    return render(request, "runs/_panel.html", {"run": run, "panel": panel})


def _panel(run: Run, caller: Caller, wanted: str) -> dict[str, Any]:
    try:
        row = StepRun.objects.filter(run=run, pk=UUID(wanted)).first()
    except ValueError:
        row = StepRun.objects.filter(run=run, key=wanted, item=-1).order_by("-iteration").first()
    if row is None:
        raise NotFound("step", wanted)
    plan = plan_for(run.version_id)
    known = plan.steps.get(row.key)
    attempts = history.attempts_of(run.pk).get(row.pk, [])
    items = _items(run, row) if row.item < 0 else StepRun.objects.none()
    approvals = (
        Approval.objects.filter(step=row).select_related("decided_by").order_by("turn", "level")
    )
    return {
        "step": row,
        "title": documents.title_of(row.key, plan),
        "target": documents.target_of(row.key, plan),
        "needs": [plan.steps[n] for n in known.needs] if known else [],
        "attempts": attempts,
        "went_on": worker_that_went_on({"kind": row.kind, "attempts": attempts}),
        "seconds": round((row.ended_at - row.started_at).total_seconds(), 3)
        if row.started_at and row.ended_at else None,
        "items": [(documents.item_name(i, plan), i) for i in items[: documents.SHOWN_ITEMS]],
        "item_count": items.count(),
        "failed_count": items.filter(state__in=FAILED_STATES).count(),
        "number": documents.item_name(row, plan) if row.item >= 0 else None,
        "approvals": list(approvals),
        "child": queries.visible_runs(caller).filter(parent_step_id=row.pk).first(),
        "may_fork": known is not None and row.item < 0 and caller.has("runs:control")
        and RunState(run.state) in CONTROLS["fork"],
        "is_unknown": (row.error or {}).get("code") in dead_letters.UNKNOWN,
        "has_ended": RunState(run.state).is_final,
        "may_requeue": row.state == "dead" and caller.has("runs:control"),
    }  # fmt: skip


def _items(run: Run, row: StepRun) -> QuerySet[StepRun]:
    """The items of a fan-out, those that failed first: nobody should have to look for them."""
    bad = Case(When(state__in=FAILED_STATES, then=0), default=1)
    rows = StepRun.objects.filter(run=run, key=row.key, item__gte=0)
    return rows.order_by(bad, "item")


@require_GET
@page("runs:read")
def found(request: HttpRequest, caller: Caller, run_id: UUID) -> HttpResponse:
    """What a finished run found, as a piece of its page; ``?rows=all`` for whole tables."""
    run = controls.find_run(caller, run_id)
    every = request.GET.get("rows") == "all"
    limit = findings.ALL_ROWS if every else findings.SHOWN_ROWS
    shown = findings.of_run(run, limit=limit)
    return render(request, "runs/_findings.html", {"run": run, "found": shown})


@require_GET
@page("runs:read")
def line(request: HttpRequest, caller: Caller, run_id: UUID, line_id: str) -> HttpResponse:
    """One line of the ledger that a run read, with what the run says about it."""
    run = controls.find_run(caller, run_id)
    shown = findings.line_of_run(run, line_id)
    return render(request, "runs/line.html", {"run": run, "line_id": line_id, **shown})


@require_POST
@page("runs:read")
def control(request: HttpRequest, caller: Caller, run_id: UUID, action: str) -> HttpResponse:
    """Cancel, pause, resume, retry, fork or signal, and back to the page that shows it."""
    here = f"/dashboard/runs/{run_id}"
    try:
        if action == "fork":
            run = again.fork_run(
                caller, run_id, from_step=request.POST.get("from_step", ""),
                inputs=_object(request.POST.get("inputs", "")),
            )  # fmt: skip
            messages.success(request, "Forked: this is the new run.")
            return redirect(f"/dashboard/runs/{run.pk}")
        if action == "signal":
            name = request.POST.get("name", "")
            payload = _value("payload", request.POST.get("payload", ""))
            controls.send_signal(caller, run_id, name=name, payload=payload)
            messages.success(request, f"The signal “{name}” is sent.")
        elif action == "cancel":
            controls.cancel_run(caller, run_id, reason=request.POST.get("reason", ""))
        else:
            act = {"pause": controls.pause_run, "resume": controls.resume_run,
                   "retry": again.retry_run}[action]  # fmt: skip
            act(caller, run_id)
    except AppError as error:
        messages.add_message(request, messages.WARNING, str(error), extra_tags="bad")
    return redirect(here)


@require_POST
@page("runs:control")
def requeue(request: HttpRequest, caller: Caller, run_id: UUID, step_id: UUID) -> HttpResponse:
    """Give a dead letter out again, perhaps with what was found out about it."""
    run = controls.find_run(caller, run_id)
    outcome = request.POST.get("outcome", "")
    try:
        output = _object(request.POST.get("output", "")) if outcome == "happened" else None
        dead_letters.requeue(caller, step_id, outcome=outcome, output=output)
    except (InvalidInput, Conflict) as error:
        messages.add_message(request, messages.WARNING, str(error), extra_tags="bad")
    else:
        if request.POST.get("back") == "list":
            messages.success(request, "It is given out again.")
            return redirect("/dashboard/dead-letters")
    return redirect(f"/dashboard/runs/{run.pk}?step={step_id}")


def signals_of(run: Run) -> list[tuple[str, str, bool]]:
    """The signals that steps of a run wait for: name, title of the step, whether it waits now."""
    steps = plan_for(run.version_id).steps.items()
    named = {key: str(s.options["signal"]) for key, s in steps if s.options.get("signal")}
    if not named:
        return []
    waiting = set(run.steps.filter(state="waiting", key__in=named).values_list("key", flat=True))
    titles = {key: step.title for key, step in steps}
    found = [(name, titles[key], key in waiting) for key, name in named.items()]
    return sorted(found, key=lambda signal: not signal[2])


def _value(field: str, text: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInput(field, text[:200], f"must be JSON: {error}") from None


def _object(text: str) -> dict[str, Any] | None:
    value = _value("inputs", text)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InvalidInput("inputs", text, "must be a JSON object")
    return value
