"""What learning reads of failed steps: plain values, live runs only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from config.partitions import first_id
from workflows.models import StepRun

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


def _message(error: Any) -> str:
    if not isinstance(error, dict):
        return "no error recorded"
    return f"{error.get('code', '')}: {error.get('message', '')}".strip(": ")
