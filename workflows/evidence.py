"""What learning reads of failed steps: plain values, live runs only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from agents.tools import registry
from config.partitions import first_id
from workflows import versions
from workflows.domain.definition import Step
from workflows.models import StepRun, WorkflowVersion
from workflows.plans import plan_for

# A run may wait for people this long before a step of it fails.
LONGEST_RUN = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class FailedStep:
    """One failed step that was no agent's: ``name`` is ``workflow.step``."""

    id: UUID
    client_id: UUID
    name: str
    user_id: UUID | None
    run_id: UUID
    message: str
    cost_usd: Decimal
    at: datetime


def failed_steps(since: datetime, until: datetime, *, limit: int) -> list[FailedStep]:
    """The newest failed tool and sub-workflow steps that ended in [since, until), oldest first.

    Steps of agents are left out: their invocations tell the same failure.
    """
    rows = (
        StepRun.objects.filter(
            state="failed", ended_at__gte=since, ended_at__lt=until, run__is_demo=False,
            id__gte=first_id(since - LONGEST_RUN),
        )
        .exclude(kind="agent")
        .order_by("-id")
        .values_list("id", "run__client_id", "run__workflow_name", "key", "run__started_by_id",
                     "run_id", "error", "cost_usd", "ended_at")[:limit]
    )  # fmt: skip
    return [
        FailedStep(pk, client, f"{workflow}.{key}", user, run, _message(error), cost, at)
        for pk, client, workflow, key, user, run, error, cost, at in reversed(rows)
        if at is not None
    ]


def runs_of(step_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """The run of each of these steps that is on record."""
    return dict(StepRun.objects.filter(pk__in=list(step_ids)).values_list("id", "run_id"))


def version_values(workflow: str, reference: str = "") -> dict[str, Any]:
    """A version's id, number and what its steps do: whom they ask, what they write, who approves.

    ``reference`` is a number, a label, or empty for the current one. Raises NotFound, Conflict for
    a deprecated version.
    """
    found = (
        versions.named_version(workflow, reference)
        if reference
        else versions.current_version(workflow)
    )
    steps = plan_for(found.pk).steps.values()
    undone = frozenset(
        str(step.compensate["tool"])
        for step in steps
        if step.compensate is not None and "tool" in step.compensate
    )
    tools = undone | _targets(steps, "tool")
    return {
        "id": found.pk,
        "number": found.number,
        "agents": _targets(steps, "agent"),
        "workflows": _targets(steps, "workflow"),
        "writes": frozenset(name for name in tools if not registry.get(name).idempotent),
        "approvals": {
            step.key: (str(step.when), dict(step.options))
            for step in steps
            if step.kind == "approval"
        },
    }


def _targets(steps: Iterable[Step], kind: str) -> frozenset[str]:
    return frozenset(step.target for step in steps if step.kind == kind)


def agents_by_workflow() -> dict[str, frozenset[str]]:
    """Workflow → the agents that steps of its current version ask."""
    rows = WorkflowVersion.objects.filter(is_current=True)
    return {
        name: frozenset(step.target for step in plan_for(pk).steps.values() if step.kind == "agent")
        for pk, name in rows.values_list("pk", "workflow__name")
    }


def agents_of_version(version_id: UUID) -> frozenset[str]:
    """The agents that a version's steps ask, also one that is deprecated. Raises NotFound."""
    return _targets(plan_for(version_id).steps.values(), "agent")


def _message(error: Any) -> str:
    if not isinstance(error, dict):
        return "no error recorded"
    return f"{error.get('code', '')}: {error.get('message', '')}".strip(": ")
