"""Reading runs: lists, one run with its steps and attempts, its events, figures of a workflow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from config.access.callers import Caller
from config.errors import InvalidInput
from workflows import artifacts, rights, wording
from workflows.database import execute, from_json
from workflows.domain.definition import Plan, Step
from workflows.domain.transitions import RunState
from workflows.models import Approval, Artifact, Run, StepRun, WorkflowVersion
from workflows.plans import plan_for

# Items of one fan-out that a run's document shows; the rest is behind /runs/{id}/steps.
SHOWN_ITEMS = 100


def visible_runs(caller: Caller) -> QuerySet[Run]:
    """Runs that the caller may see, by client and by what their workflows say, newest first."""
    rows = Run.objects.select_related("client", "started_by").order_by("-id")
    return rights.visible(caller, rows)


def filtered_runs(rows: QuerySet[Run], asked: Mapping[str, str]) -> QuerySet[Run]:
    """``rows`` narrowed by what a list's address says; raises InvalidInput for what is no value."""
    if name := asked.get("workflow"):
        rows = rows.filter(workflow_name=name)
    if states := asked.get("state"):
        known = {state.value for state in RunState}
        for state in states.split(","):
            if state not in known:
                raise InvalidInput("state", state, f"some of {', '.join(sorted(known))}")
        rows = rows.filter(state__in=states.split(","))
    if priority := asked.get("priority"):
        rows = rows.filter(priority=priority)
    for name in ("client_id", "started_by", "parent_step_id"):
        if text := asked.get(name):
            rows = rows.filter(**{name: _uuid(name, text)})
    for name, edge in (("since", "created_at__gte"), ("until", "created_at__lt")):
        if text := asked.get(name):
            rows = rows.filter(**{edge: _moment(name, text)})
    return rows


def _uuid(name: str, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput(name, text, "must be a UUID") from None


def _moment(name: str, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(name, text, "must be an RFC 3339 time") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def visible_artifacts(caller: Caller) -> QuerySet[Artifact]:
    """Files that the caller may see, newest first."""
    return rights.visible_artifacts(caller).order_by("-id")


def require_artifacts(caller: Caller, given: Mapping[str, Any]) -> None:
    """Raise InvalidInput if the caller may not see an artifact that it gives to a run."""
    ids = {str(ref): name for name, ref in given.items()}
    if ids:
        seen = visible_artifacts(caller).filter(pk__in=list(ids)).values_list("pk", flat=True)
        for ref in ids.keys() - set(map(str, seen)):
            raise artifacts.no_artifact(ids[ref], ref)


def visible_versions() -> QuerySet[WorkflowVersion]:
    rows = WorkflowVersion.objects.select_related("workflow").prefetch_related("labels")
    return rows.order_by("workflow__name", "-number")


def open_approvals(caller: Caller) -> QuerySet[Approval]:
    """Approvals that wait, oldest first, with those of later levels behind theirs."""
    rows = Approval.objects.select_related("run", "step").filter(state=Approval.State.WAITING)
    return rights.visible(caller, rows.order_by("-id"), "run__")


def dead_letters(caller: Caller) -> QuerySet[StepRun]:
    rows = StepRun.objects.select_related("run").filter(state="dead")
    return rights.visible(caller, rows.order_by("-id"), "run__")


_COSTS = """
SELECT run_id, sum(cost_usd), count(*) FILTER (WHERE item = -1 AND kind NOT IN ('end', 'chunk')),
    count(*) FILTER (WHERE item = -1 AND kind NOT IN ('end', 'chunk')
        AND state IN ('succeeded', 'failed', 'skipped', 'unreachable', 'cancelled'))
FROM workflows_steprun WHERE run_id = ANY(%(runs)s) GROUP BY run_id
"""


def figures_of(runs: Iterable[UUID]) -> dict[UUID, dict[str, Any]]:
    """Cost in USD and progress of each run."""
    rows = execute(_COSTS, {"runs": list(runs)})
    return {
        run: {"cost_usd": str(cost), "progress": {"done": done, "total": total}}
        for run, cost, total, done in rows
    }


def run_summary(run: Run, figures: dict[str, Any] | None = None) -> dict[str, Any]:
    """A run as a row of a list."""
    figures = figures or {"cost_usd": "0", "progress": {"done": 0, "total": 0}}
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
    return {**run_summary(run), "inputs": run.inputs, "outputs": None, "error": None, "steps": []}


def run_document(run: Run, *, all_items: bool = False) -> dict[str, Any]:
    """A run with its inputs, outputs, error and steps."""
    plan = plan_for(run.version_id)
    steps = steps_of(run, plan, limit=None if all_items else SHOWN_ITEMS)
    version = WorkflowVersion.objects.only("number").get(pk=run.version_id)
    return {
        **run_summary(run, figures_of([run.pk]).get(run.pk)),
        "title": plan.title,
        "version": version.number,
        "inputs": run.inputs,
        "outputs": run.outputs,
        "error": run.error,
        "forked_from": str(run.forked_from_id) if run.forked_from_id else None,
        "parent_step_id": str(run.parent_step_id) if run.parent_step_id else None,
        "steps": steps,
        "approvals": [approval_document(a) for a in _approvals(run)],
    }


def steps_of(run: Run, plan: Plan, *, limit: int | None) -> list[dict[str, Any]]:
    """All steps in the plan's order, items behind their fan-out, at most ``limit`` of each."""
    rows = StepRun.objects.filter(run=run).exclude(kind__in=["end", "chunk"])
    if limit is not None:
        rows = rows.filter(item__lt=limit)
    counts = _item_counts(run.pk)
    attempts = attempts_of(run.pk)
    order = {key: place for place, key in enumerate(plan.steps)}
    found = [_step(row, plan, counts, attempts) for row in rows]
    return sorted(
        found,
        key=lambda s: (order.get(s["key"].split(".")[0], 0), s["key"], s["index"] or 0,
                       s["index"] is not None, s["iteration"]),
    )  # fmt: skip


def _step(
    row: StepRun, plan: Plan, counts: dict[str, dict[str, int]], attempts: dict[UUID, Any]
) -> dict[str, Any]:
    step = plan.steps.get(row.key)
    return {
        "id": str(row.pk),
        "key": row.key,
        "title": step.title if step else row.key,
        "kind": row.kind,
        "target": step.target if step else "",
        "needs": list(step.needs) if step else [],
        "index": row.item if row.item >= 0 else None,
        "place": _place(row, step),
        "iteration": row.iteration,
        "state": row.state,
        "queue": row.queue,
        "attempt": row.attempt,
        "attempts": attempts.get(row.pk, _only_attempt(row)),
        "items": counts.get(row.key) if row.item < 0 else None,
        "input": row.input,
        "output": row.output,
        "error": row.error,
        "cost_usd": str(row.cost_usd),
        "invocation_id": str(row.invocation_id) if row.invocation_id else None,
        "queued_at": row.queued_at,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "duration_seconds": _seconds(row.started_at, row.ended_at),
    }


def _place(row: StepRun, step: Step | None) -> list[int] | None:
    """Where an item of a nested fan-out lies: in the outer list and in its own."""
    if step is None or step.each is None or row.item < 0 or not isinstance(row.value, list):
        return None  # no such item, or erased with its person
    return row.value[:2]


def item_name(row: StepRun, step: Step | None) -> str:
    """What people call an item of a fan-out: ``13``, or ``3.2`` in a nested one."""
    return wording.item_name(row.item, _place(row, step))


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
            "SELECT key, jsonb_array_length(value) FROM workflows_steprun WHERE run_id = %(run)s "
            "AND item = -1 AND jsonb_typeof(value) = 'array'",
            {"run": run_id},
        )
    )
    return {
        key: {"total": totals.get(key, written), "succeeded": good, "failed": bad, "running": busy}
        for key, written, good, bad, busy in rows
    }


_ATTEMPTS = """
SELECT step_id, attempt, name, at, detail->>'code', actor FROM workflows_runevent
WHERE run_id = %(run)s AND step_id IS NOT NULL AND attempt > 0 ORDER BY id
"""


def attempts_of(run_id: UUID) -> dict[UUID, list[dict[str, Any]]]:
    """Every attempt at every step, from the run's history."""
    found: dict[UUID, dict[int, dict[str, Any]]] = defaultdict(dict)
    for step_id, attempt, name, at, code, actor in execute(_ATTEMPTS, {"run": run_id}):
        one = found[step_id].setdefault(
            attempt, {"attempt": attempt, "started_at": None, "ended_at": None, "state": "running"}
        )
        what = name.removeprefix("step.")
        if what == "started":
            one["started_at"], one["worker"] = at, actor
            continue
        one["ended_at"], one["state"] = at, "failed" if what == "retried" else what
        one["error_code"] = code
        if one["started_at"] is None:  # a light step that its worker went on with
            one["started_at"], one["worker"] = at, actor
    return {step: [by[n] for n in sorted(by)] for step, by in found.items()}


# A reader that remembers the last event it saw misses none if it sees them in the order of their
# transactions: one that is still open, anywhere on the server, makes later ones unsettled.
_EVENTS = """
SELECT transaction, id, step_id, key, item, attempt, name, detail::text, actor, at,
    transaction < pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS settled
FROM workflows_runevent
WHERE run_id = %(run)s AND (transaction, id) > (%(transaction)s, %(id)s)
    AND (%(all)s OR transaction < pg_snapshot_xmin(pg_current_snapshot())::text::bigint)
ORDER BY transaction, id LIMIT %(limit)s
"""


def events_after(
    run_id: UUID, cursor: str = "", *, limit: int = 500, has_ended: bool = False
) -> list[dict[str, Any]]:
    """Events of a run behind ``cursor`` (an event's ``id``), oldest first.

    Of a run that ``has_ended`` nothing more is waited for, so unsettled ones are among them.
    """
    return [_event(row) for row in _events(run_id, cursor, limit, unsettled=has_ended)]


def history(run_id: UUID, *, limit: int = 500) -> tuple[list[dict[str, Any]], str]:
    """Events of a run as they are now, oldest first, and the cursor of a reader that goes on."""
    rows = _events(run_id, "", limit, unsettled=True)
    cursor = next((f"{row[0]}-{row[1]}" for row in reversed(rows) if row[-1]), "")
    return [_event(row) for row in rows], cursor


def _events(run_id: UUID, cursor: str, limit: int, *, unsettled: bool) -> list[Any]:
    transaction, _, number = cursor.partition("-")
    return execute(
        _EVENTS,
        {
            "run": run_id,
            "transaction": int(transaction) if transaction.isdigit() else 0,
            "id": int(number) if number.isdigit() else 0,
            "all": unsettled,
            "limit": limit,
        },
    )


def _event(row: Any) -> dict[str, Any]:
    transaction, number, step_id, key, item, attempt, name, detail, actor, at, _ = row
    return {
        "id": f"{transaction}-{number}", "name": name, "key": key,
        "step_id": str(step_id) if step_id else None,
        "index": item if item >= 0 else None, "attempt": attempt,
        "detail": from_json(detail), "actor": actor, "at": at,
    }  # fmt: skip


def _approvals(run: Run) -> Iterable[Approval]:
    return run.approvals.select_related("decided_by").order_by("step_id", "turn", "level")


def approval_document(approval: Approval) -> dict[str, Any]:
    """An approval as clients see it."""
    return {
        "id": str(approval.pk),
        "run_id": str(approval.run_id),
        "step_id": str(approval.step_id),
        "level": approval.level,
        "levels": approval.levels,
        "role": approval.role,
        "state": approval.state,
        "form": approval.form,
        "shown": approval.shown,
        "answer": approval.answer,
        "reason": approval.reason,
        "decided_by": str(approval.decided_by) if approval.decided_by_id else None,
        "decided_at": approval.decided_at,
        "expires_at": approval.expires_at,
        "created_at": approval.created_at,
    }


def _name_of_starter(run: Run) -> str | None:
    if run.started_by_id is None:
        return None
    # A list reads the people along; a new run's starter is not worth a query of its own.
    return (
        str(run.started_by) if "started_by" in run._state.fields_cache else str(run.started_by_id)
    )


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return round((end - start).total_seconds(), 3) if start and end else None
