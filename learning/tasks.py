"""Celery's doors to learning. Names and payloads are wire format; a task decides nothing."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from learning import replay


@shared_task(name="learning.replay", acks_late=True, ignore_result=True)
def run_replay(replay_id: str) -> None:
    """Ask what a replay has still to ask, and conclude it."""
    replay.work(UUID(replay_id))
