"""Celery's doors to the engine. Names and payloads are wire format; a task decides nothing."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from workflows import steps, stopping, sweeps


@shared_task(name="workflows.run_steps", acks_late=True, ignore_result=True)
def run_steps(step_ids: list[str], run_id: str) -> None:
    """Do these steps of one run, and go on with what is light."""
    steps.run_steps([UUID(step_id) for step_id in step_ids], UUID(run_id))


@shared_task(name="workflows.wake_step", acks_late=True, ignore_result=True)
def wake_step(step_id: str) -> None:
    """Look at a waiting step now rather than at the next sweep."""
    sweeps.wake(UUID(step_id))


@shared_task(name="workflows.sweep", ignore_result=True)
def sweep() -> None:
    """Find what got lost."""
    sweeps.sweep()


__all__ = ["run_steps", "stopping", "sweep", "wake_step"]
