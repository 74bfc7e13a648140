"""A run as clients and pages see it: as a row of a list, or whole with its steps and approvals."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from config.errors import NotFound, Unavailable
from workflows import history, payloads, queries, wording
from workflows.database import execute
from workflows.domain.definition import Plan
from workflows.models import Approval, Run, StepRun, WorkflowVersion
from workflows.plans import plan_for
from workflows.undoing import COMPENSATE, undoes

# Items of one fan-out that a run's document shows; the rest is behind /runs/{id}/steps.
SHOWN_ITEMS = 100
_NOTHING = {"done": 0, "total": 0}
_NO_FIGURES = {"cost_usd": "0", "progress": {**_NOTHING, "items": _NOTHING, "ratio": 0.0}}


def run_summary(run: Run, figures: dict[str, Any] | None = None) -> dict[str, Any]:
    """A run as a row of a list."""
    figures = figures or _NO_FIGURES
    return {
        "id": str(run.pk),
        "workflow": run.workflow_name,
        "version_id": str(run.version_id),
        "state": run.state,
        "priority": run.priority,
        "client_id": str(run.client_id),
        "started_by": _name_of_starter(run),
        "is_demo": run.is_demo,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "deadline_at": run.deadline_at,
        "duration_seconds": _seconds(run.started_at, run.ended_at),
        "cost_usd": figures["cost_usd"],
        "currency": "USD",
        "progress": figures["progress"],
    }


def new_run_document(run: Run) -> dict[str, Any]:
    """A run that has just been made: what is known without reading it back."""
    inputs = _whole(run.inputs, run.client_id, run.pk)
    return {**run_summary(run), "inputs": inputs, "outputs": None, "error": None, "steps": []}


def run_document(run: Run, *, all_items: bool = False) -> dict[str, Any]:
    """A run with its inputs, outputs, error and steps."""
    plan = plan_for(run.version_id)
    steps = steps_of(run, plan, limit=None if all_items else SHOWN_ITEMS)
    version = WorkflowVersion.objects.only("number").get(pk=run.version_id)
    return {
        **run_summary(run, queries.figures_of([run.pk]).get(run.pk)),
        "title": plan.title,
        "version": version.number,
        "inputs": _whole(run.inputs, run.client_id, run.pk),
        "outputs": _whole(run.outputs, run.client_id, run.pk),
        "error": run.error,
        "forked_from": str(run.forked_from_id) if run.forked_from_id else None,
        "parent_step_id": str(run.parent_step_id) if run.parent_step_id else None,
        "steps": steps,
        "approvals": [approval_document(a) for a in _approvals(run)],
    }


def _whole(values: Any, client_id: UUID, run_id: UUID) -> Any:
    """Inputs, outputs or an answer with what is kept in files; null for what can't be read.

    That is what was erased, or lost with its disk.
    """
    try:
        return payloads.expand_each(values, client_id=client_id, run_id=run_id)
    except (NotFound, Unavailable):
        return None


def steps_of(run: Run, plan: Plan, *, limit: int | None) -> list[dict[str, Any]]:
    """All steps in the plan's order, items behind their fan-out, at most ``limit`` of each."""
    rows = StepRun.objects.filter(run=run).exclude(kind__in=["end", "chunk"])
    if limit is not None:
        rows = rows.filter(item__lt=limit)
    counts = _item_counts(run.pk)
    attempts = history.attempts_of(run.pk)
    order = {key: place for place, key in enumerate(plan.steps)}
    found = [_step(row, plan, counts, attempts) for row in rows]
    return sorted(
        found,
        key=lambda s: (order.get(s["key"].split(".")[0], 0), s["key"], s["index"] or 0,
                       s["index"] is not None, s["iteration"]),
    )  # fmt: skip


def approval_document(approval: Approval) -> dict[str, Any]:
    """An approval as clients see it."""
    return {
        **approval_summary(approval),
        "form": approval.form,
        "shown": _whole(approval.shown, approval.client_id, approval.run_id),
        "answer": _whole(approval.answer, approval.client_id, approval.run_id),
    }


def approval_summary(approval: Approval) -> dict[str, Any]:
    """An approval without what is shown and answered, which may be megabytes."""
    return {
        "id": str(approval.pk),
        "run_id": str(approval.run_id),
        "step_id": str(approval.step_id),
        "level": approval.level,
        "levels": approval.levels,
        "role": approval.role,
        "state": approval.state,
        "reason": approval.reason,
        "decided_by": str(approval.decided_by) if approval.decided_by_id else None,
        "decided_at": approval.decided_at,
        "expires_at": approval.expires_at,
        "created_at": approval.created_at,
    }


def title_of(key: str, plan: Plan) -> str:
    """What people call a step, or the compensation of one."""
    if (step := plan.steps.get(key)) is not None:
        return step.title
    undone = plan.steps.get(undoes(key))
    return f"{wording.UNDO}{undone.title}" if undone else key


def target_of(key: str, plan: Plan) -> str:
    """The tool, agent or workflow of a step, or the tool of the compensation of one."""
    if (step := plan.steps.get(key)) is not None:
        return step.target
    undone = plan.steps.get(undoes(key))
    return str((undone.compensate or {}).get("tool", "")) if undone else ""


def item_name(row: StepRun, plan: Plan) -> str:
    """What people call an item of a fan-out: ``13``, or ``3.2`` in a nested one."""
    return wording.item_name(row.item, _place(row, plan))


def _step(
    row: StepRun, plan: Plan, counts: dict[str, dict[str, int]], attempts: dict[UUID, Any]
) -> dict[str, Any]:
    step = plan.steps.get(row.key)
    return {
        "id": str(row.pk),
        "key": row.key,
        "title": title_of(row.key, plan),
        "kind": row.kind,
        "target": target_of(row.key, plan),
        "needs": list(step.needs) if step else [],
        "index": row.item if row.item >= 0 else None,
        "place": _place(row, plan),
        "iteration": row.iteration,
        "state": row.state,
        "queue": row.queue,
        "attempt": row.attempt,
        "attempts": attempts.get(row.pk, _only_attempt(row)),
        "items": counts.get(row.key) if row.item < 0 else None,
        "input": row.input,
        "output": row.output,
        "error": row.error,
        "cost_usd": f"{row.cost_usd:f}",
        "invocation_id": str(row.invocation_id) if row.invocation_id else None,
        "queued_at": row.queued_at,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "duration_seconds": _seconds(row.started_at, row.ended_at),
    }


def _place(row: StepRun, plan: Plan) -> list[int] | None:
    """Where an item of a nested fan-out lies: in the outer list and in its own."""
    step = plan.steps.get(undoes(row.key))
    if step is None or step.each is None or row.item < 0 or not isinstance(row.value, list):
        return None  # no such item, or erased with its person
    return row.value[:2]


def _only_attempt(row: StepRun) -> list[dict[str, Any]]:
    if row.started_at is None:
        return []
    return [
        {"attempt": row.attempt, "started_at": row.started_at, "ended_at": row.ended_at,
         "state": row.state}
    ]  # fmt: skip


def _item_counts(run_id: UUID) -> dict[str, dict[str, int]]:
    rows = execute(
        "SELECT key, count(*), count(*) FILTER (WHERE state = 'succeeded'), "
        "count(*) FILTER (WHERE state = 'failed'), count(*) FILTER (WHERE state = 'running') "
        "FROM workflows_steprun WHERE run_id = %(run)s AND item >= 0 GROUP BY key",
        {"run": run_id},
    )
    totals = dict(
        execute(
            "SELECT key, coalesce((value->>'length')::int, jsonb_array_length(value)) "
            "FROM workflows_steprun WHERE run_id = %(run)s AND item = -1 AND value IS NOT NULL",
            {"run": run_id},
        )
    )
    for key, _, good, _, _ in rows:  # each that succeeded is undone, in rows not yet all written
        totals.setdefault(f"{key}.{COMPENSATE}", good)
    return {
        key: {"total": totals.get(key, written), "succeeded": good, "failed": bad, "running": busy}
        for key, written, good, bad, busy in rows
    }


def _approvals(run: Run) -> Iterable[Approval]:
    return run.approvals.select_related("decided_by").order_by("step_id", "turn", "level")


def _name_of_starter(run: Run) -> str | None:
    if run.started_by_id is None:
        return None
    # A list reads the people along; a new run's starter is not worth a query of its own.
    return (
        str(run.started_by) if "started_by" in run._state.fields_cache else str(run.started_by_id)
    )


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return round((end - start).total_seconds(), 3) if start and end else None
