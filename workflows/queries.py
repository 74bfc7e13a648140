"""Which runs, files, versions, approvals and dead letters a caller sees, and figures of runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from config.access.callers import Caller, any_reader
from config.errors import InvalidInput
from workflows import artifacts, rights
from workflows.database import execute
from workflows.domain.transitions import RunState
from workflows.models import Approval, Artifact, Run, StepRun, WorkflowVersion

PRIORITIES = ("high", "default", "low")


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
        if priority not in PRIORITIES:
            raise InvalidInput("priority", priority, f"one of {', '.join(PRIORITIES)}")
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


# A step that a run has no more need of is done with; one that its end cut off is not done. Items
# count beside the one row of their fan-out, which would stand at nothing until the last of them.
_COSTS = """
WITH rows AS (
    SELECT s.run_id, s.key, s.cost_usd,
        s.item = -1 AND s.kind NOT IN ('end', 'chunk', 'compensate') AS is_step,
        s.item >= 0 AND s.kind <> 'compensate' AS is_item, s.kind = 'approval' AS is_by_hand,
        s.started_at IS NOT NULL AND s.ended_at IS NOT NULL AS was_worked_on,
        s.state IN ('succeeded', 'failed', 'skipped', 'unreachable') OR s.state = 'cancelled'
            AND r.state NOT IN ('cancelling', 'cancelled', 'failing', 'failed') AS is_done,
        CASE WHEN s.item = -1 AND s.value IS NOT NULL
            THEN coalesce((s.value->>'length')::int, jsonb_array_length(s.value)) END AS length
    FROM workflows_steprun s JOIN workflows_run r ON r.id = s.run_id
    WHERE s.run_id = ANY(%(runs)s)
), parts AS (
    SELECT run_id, sum(cost_usd) AS cost, count(*) FILTER (WHERE is_step) AS steps,
        count(*) FILTER (WHERE is_step AND is_done) AS done, coalesce(max(length), 0) AS items,
        count(*) FILTER (WHERE is_item AND is_done) AS items_done,
        count(*) FILTER (WHERE was_worked_on) AS worked_on,
        count(*) FILTER (WHERE was_worked_on AND is_by_hand) AS by_hand
    FROM rows GROUP BY run_id, key
)
SELECT run_id, sum(cost), sum(steps)::int, sum(done)::int, sum(items)::int,
    sum(CASE WHEN items > 0 THEN items_done ELSE 0 END)::int,
    coalesce(sum(items_done::float8 / items) FILTER (WHERE items > 0 AND done = 0), 0),
    sum(worked_on)::int, sum(by_hand)::int
FROM parts GROUP BY run_id
"""


def figures_of(runs: Iterable[UUID]) -> dict[UUID, dict[str, Any]]:
    """Cost in USD, progress and the share of its steps without a hand of each run.

    Progress is of its steps and of the items of its fan-outs; its ``ratio`` (0 to 1) counts each
    step alike and a fan-out under way by its items.
    """
    rows = execute(_COSTS, {"runs": list(runs)})
    return {
        run: {
            "cost_usd": f"{cost:f}",
            "progress": {
                "done": done, "total": total, "items": {"done": items_done, "total": items},
                "ratio": round((done + under_way) / total, 4) if total else 0.0,
            },
            "by_hand": by_hand,
            "automated_ratio": 1 - by_hand / steps if steps else None,
        }
        for run, cost, total, done, items, items_done, under_way, steps, by_hand in rows
    }  # fmt: skip


_ENDED = ("id", "client_id", "workflow_name", "started_by_id", "ended_at")


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that a person began and that has ended."""

    id: UUID
    client_id: UUID
    workflow: str
    person_id: UUID
    ended_at: datetime


def ended_openly(since: datetime, until: datetime, *, limit: int) -> list[Ended]:
    """Runs that ended in this time, the newest first: begun by a person and hidden from nobody.

    Without demonstrations, runs inside others, and what was cancelled.
    """
    rows = rights.visible(any_reader(), Run.objects.all()).filter(
        ended_at__gte=since, ended_at__lt=until, is_demo=False, parent_step_id=None,
        started_by__isnull=False, state__in=[RunState.SUCCEEDED, RunState.FAILED],
    )  # fmt: skip
    return [
        Ended(run.pk, run.client_id, run.workflow_name, run.started_by_id, run.ended_at)
        for run in rows.order_by("-ended_at").only(*_ENDED)[:limit]
        if run.started_by_id is not None and run.ended_at is not None
    ]


def parts_of(run_ids: Iterable[UUID]) -> dict[UUID, set[UUID]]:
    """Each run's own id with those of its steps and of the calls that they made."""
    found = {run_id: {run_id} for run_id in run_ids}
    steps = StepRun.objects.filter(run_id__in=found).values_list("run_id", "pk", "invocation_id")
    for run_id, step_id, invocation_id in steps:
        found[run_id] |= {step_id, invocation_id or step_id}
    return found


def is_workflow(name: str) -> bool:
    return WorkflowVersion.objects.filter(workflow__name=name).exists()
