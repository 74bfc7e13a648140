"""Carries out what incidents ask of workflows: hold back low-priority runs, and let them go on.

While shedding is in force every sweep pauses the low-priority runs that came since. A run that a
person paused is left alone when it ends.
"""

from __future__ import annotations

import logging
from uuid import UUID

from django.db import transaction
from django.db.models import OuterRef, Subquery

from config import logs
from monitoring import services as monitoring
from workflows import dispatch, endings
from workflows.domain.transitions import RunState
from workflows.models import Run, RunEvent

logger = logging.getLogger(__name__)
BY = "incident policy"
SHED, STOP = "shed_low_priority", "stop_shedding"
MOST_AT_ONCE = 500


def respond() -> int:
    """Do what is asked, and hold back what came since; how many runs moved."""
    moved = 0
    for action in monitoring.take_actions((SHED, STOP)):
        count = _hold_back() if action.kind == SHED else _let_go()
        said = f"{count} low-priority runs {'paused' if action.kind == SHED else 'resumed'}"
        monitoring.report_action(action.id, ok=True, result={"said": said})
        moved += count
    if monitoring.is_in_force(SHED):
        moved += _hold_back()
    if moved:
        logs.event(logger, "workflows.shedding.acted", runs=moved)
    return moved


def _hold_back() -> int:
    rows = Run.objects.filter(priority="low", state=RunState.RUNNING).order_by("id")
    return sum(
        _move(run_id, RunState.RUNNING, RunState.PAUSED, "run.paused")
        for run_id in list(rows.values_list("pk", flat=True)[:MOST_AT_ONCE])
    )


def _let_go() -> int:
    last = RunEvent.objects.filter(run_id=OuterRef("pk"), name__in=["run.paused", "run.resumed"])
    rows = (
        Run.objects.filter(priority="low", state=RunState.PAUSED)
        .annotate(paused_by=Subquery(last.order_by("-id").values("actor")[:1]))
        .filter(paused_by=BY)
    )
    return sum(
        _move(run_id, RunState.PAUSED, RunState.RUNNING, "run.resumed")
        for run_id in list(rows.values_list("pk", flat=True))
    )


@transaction.atomic
def _move(run_id: UUID, before: RunState, after: RunState, name: str) -> bool:
    if not Run.objects.filter(pk=run_id, state=before).update(state=after):
        return False
    endings.note(run_id, name, actor=BY)
    if after is RunState.RUNNING:
        dispatch.publish_on_commit(dispatch.queued_of(run_id))
    return True
