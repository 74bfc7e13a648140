"""Celery's doors to the engine. Names and payloads are wire format; a task decides nothing."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from celery import shared_task
from celery.exceptions import Ignore

from workflows import lost, notices, schedules, sealing, steps, stopping, sweeps, watches


@shared_task(name="workflows.run_steps", acks_late=True, ignore_result=True)
def run_steps(step_ids: list[str], run_id: str) -> None:
    """Do these steps of one run, and go on with what is light."""
    steps.run_steps([UUID(step_id) for step_id in step_ids], UUID(run_id))


@shared_task(name="workflows.wake_step", acks_late=True, ignore_result=True)
def wake_step(step_id: str) -> None:
    """Look at a waiting step now rather than at the next sweep."""
    sweeps.wake(UUID(step_id))


@shared_task(name="workflows.scout_arrived", acks_late=True, ignore_result=True)
def scout_arrived(lane: str, sent_at: str) -> None:
    """All that was sent through this lane before has been taken."""
    lost.arrived(lane, datetime.fromisoformat(sent_at))


@shared_task(name="workflows.sweep", ignore_result=True)
def sweep() -> None:
    """Find what got lost."""
    sweeps.sweep()


@shared_task(name="workflows.run_schedule", ignore_result=True)
def run_schedule(schedule_id: str) -> None:
    """A tick of a schedule has come, says beat."""
    schedules.run_due(UUID(schedule_id))


@shared_task(name="workflows.tell", ignore_result=True)
def tell() -> None:
    """Tell approvers that they are asked."""
    notices.tell()


@shared_task(name="workflows.seal_history", ignore_result=True)
def seal_history() -> None:
    """Seal what happened in runs into the audit log.

    While another pass goes on this one is no success: a pass that hangs would never be missed.
    """
    if sealing.seal() is None:
        raise Ignore


@shared_task(name="workflows.watch", ignore_result=True)
def watch() -> None:
    """Look at what is watched, and make or withdraw suggestions."""
    watches.sweep()


__all__ = [
    "run_schedule",
    "run_steps",
    "scout_arrived",
    "seal_history",
    "stopping",
    "sweep",
    "tell",
    "wake_step",
    "watch",
]
