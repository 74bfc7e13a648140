"""The drill's task, apart from others: I/O workers load it and no library for analyses."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from learning import rollouts
from learning.rollouts import drilling


@shared_task(name="learning.rollback_drill", ignore_result=True)
def rollback_drill(rollout_id: str, seconds: float) -> None:
    """Send a drill its calls until it is taken back."""
    drilling.run(rollouts.find(UUID(rollout_id)), seconds=seconds)
