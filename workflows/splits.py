"""Shares of a workflow's new runs between its versions, and what the runs came to."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now

from agents.domain import traffic
from config import logs
from config.errors import InvalidInput, NotFound
from config.partitions import first_id
from workflows.models import Run, Workflow, WorkflowSplit, WorkflowVersion

logger = logging.getLogger(__name__)
# Ids are made a little before the row is written.
SLACK = timedelta(hours=1)
FETCHED = 2_000


@dataclass(frozen=True, slots=True)
class Met:
    """The epoch and the bucket of a new run; ``version`` None: in no arm, so the current one."""

    epoch: int
    bucket: int
    version: WorkflowVersion | None = None


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What one unit met, over all its ended runs in some epochs.

    ``failures`` counts the runs that did not succeed, also those that hang where these count.
    """

    unit: str
    bucket: int
    first_at: datetime
    calls: int
    failures: int
    cost_usd: float
    seconds: float
    tokens: int
    version: str


def open_split(
    workflow: str,
    arms: Sequence[Mapping[str, Any]],
    *,
    unit: str,
    seed: str,
    gates: Sequence[Mapping[str, Any]] = (),
    reason: str = "",
    by: str = "",
) -> int:
    """Open the workflow's next epoch and return its number; it counts from the next run's start.

    ``arms``: ``{"version_id", "ranges"}``, each with buckets of its own. Raises NotFound,
    InvalidInput.
    """
    found = Workflow.objects.filter(name=workflow).first()
    if found is None:
        raise NotFound("workflow", workflow)
    if unit not in WorkflowSplit.Unit.values:
        raise InvalidInput("unit", unit, f"one of {', '.join(WorkflowSplit.Unit.values)}")
    traffic.check_arms({str(index): arm["ranges"] for index, arm in enumerate(arms)})
    own = set(map(str, found.versions.values_list("id", flat=True)))
    if unknown := sorted({str(arm["version_id"]) for arm in arms} - own):
        raise InvalidInput("arms", ", ".join(unknown), f"versions of {workflow}")
    with transaction.atomic():
        Workflow.objects.select_for_update().get(pk=found.pk)
        last = WorkflowSplit.objects.filter(workflow=found).order_by("-epoch").first()
        WorkflowSplit.objects.filter(workflow=found, closed_at=None).update(closed_at=Now())
        split = WorkflowSplit.objects.create(
            workflow=found, epoch=(last.epoch if last else 0) + 1, seed=seed, unit=unit,
            arms=[{"version_id": str(a["version_id"]), "ranges": a["ranges"]} for a in arms],
            gates=[dict(gate) for gate in gates], reason=reason[:300], opened_by=by[:80],
        )  # fmt: skip
    logs.event(logger, "workflows.split.opened", workflow=workflow, epoch=split.epoch, by=by)
    return split.epoch


def close_split(workflow: str, *, by: str = "") -> bool:
    """Let new runs have the current version again; False if no split was open."""
    closed = WorkflowSplit.objects.filter(workflow__name=workflow, closed_at=None).update(
        closed_at=Now()
    )
    if closed:
        logs.event(logger, "workflows.split.closed", workflow=workflow, by=by)
    return bool(closed)


def epochs_named(workflow: str, reason: str) -> list[int]:
    """All epochs of the workflow that were opened for exactly this reason, in order."""
    rows = WorkflowSplit.objects.filter(workflow__name=workflow, reason=reason)
    return list(rows.order_by("epoch").values_list("epoch", flat=True))


def meet(
    workflow: str, *, run_id: UUID, client_id: UUID, opened_until: datetime | None = None
) -> Met | None:
    """What a new run meets while a split of its workflow is open; None if it is not in one.

    ``opened_until``: one that was opened later is not for this run.
    """
    split = WorkflowSplit.objects.filter(workflow__name=workflow, closed_at=None).first()
    if split is None or (opened_until is not None and split.opened_at > opened_until):
        return None
    unit = str(run_id if split.unit == WorkflowSplit.Unit.RUN else client_id)
    if not traffic.passes(split.gates, unit):
        return None
    bucket = traffic.bucket_of(split.seed, unit)
    for arm in split.arms:
        if any(start <= bucket < end for start, end in arm["ranges"]):
            version = WorkflowVersion.objects.get(pk=arm["version_id"])
            return Met(split.epoch, bucket, version)
    return Met(split.epoch, bucket)


def outcomes(
    workflow: str, epochs: Sequence[int], *, unit: str, since: datetime, until: datetime,
    hanging_after: timedelta | None = None,
) -> Iterator[RunOutcome]:  # fmt: skip
    """Every unit that met the workflow in ``epochs``, its first run before ``until``.

    Only runs that have ended count, and with ``hanging_after`` those that began before ``until``
    and have not: they did not succeed, and count with that much time, which is the same at each
    look. What a run cost is what its steps did.
    """
    query = _OUTCOMES.format(unit="r.id" if unit == WorkflowSplit.Unit.RUN else "r.client_id")
    # Nobody is late before the beginning.
    hang = since if hanging_after is None else until
    spent = hanging_after or timedelta()
    given: list[Any] = [spent, workflow, first_id(since - SLACK), since, list(epochs), hang, until]
    with connection.cursor() as cursor:
        cursor.execute(query, given)
        while rows := cursor.fetchmany(FETCHED):
            for who, bucket, first_at, calls, failures, cost, seconds, version in rows:
                yield RunOutcome(
                    who, bucket, first_at, calls, failures, float(cost), float(seconds), 0, version
                )


def units_of_runs(
    workflow: str, epochs: Sequence[int], *, unit: str, since: datetime
) -> dict[UUID, str]:
    """Run → its unit, of all runs in ``epochs``."""
    rows = Run.objects.filter(
        workflow_name=workflow, split_epoch__in=list(epochs), pk__gte=first_id(since - SLACK)
    )
    by_run = unit == WorkflowSplit.Unit.RUN
    return {
        run_id: str(run_id if by_run else client_id)
        for run_id, client_id in rows.values_list("pk", "client_id")
    }


_OUTCOMES = """
    SELECT {unit}::text, min(r.bucket), min(r.created_at), count(*),
           count(*) FILTER (WHERE r.state <> 'succeeded'),
           coalesce(sum(c.cost), 0),
           sum(extract(epoch FROM coalesce(r.ended_at - r.created_at, %s))),
           (array_agg(r.version_id::text ORDER BY r.id))[1]
    FROM workflows_run r
    LEFT JOIN LATERAL (
        SELECT sum(s.cost_usd) AS cost FROM workflows_steprun s WHERE s.run_id = r.id
    ) c ON true
    WHERE r.workflow_name = %s AND r.id >= %s AND r.created_at >= %s
      AND r.split_epoch = ANY(%s) AND r.bucket IS NOT NULL AND NOT r.is_demo
      AND (r.ended_at IS NOT NULL OR r.created_at < %s)
    GROUP BY 1 HAVING min(r.created_at) < %s
"""
