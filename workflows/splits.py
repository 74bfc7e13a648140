"""Shares of a workflow's new runs between its versions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from agents.domain import traffic
from config import logs
from config.errors import InvalidInput, NotFound
from workflows.models import Workflow, WorkflowSplit, WorkflowVersion

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Met:
    """The epoch and the bucket of a new run; ``version`` None: in no arm, so the current one."""

    epoch: int
    bucket: int
    version: WorkflowVersion | None = None


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
