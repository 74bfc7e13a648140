"""Celery's doors to monitoring. Names are wire format; a task decides nothing."""

from __future__ import annotations

from celery import shared_task

from monitoring import health


@shared_task(name="monitoring.canary", ignore_result=True)
def canary() -> None:
    """Do nothing: that it was started at all is what ``monitoring.signs`` writes down."""


@shared_task(name="monitoring.send_canaries", ignore_result=True)
def send_canaries() -> None:
    """Ask the queues that nobody heard of lately."""
    health.send_canaries()
