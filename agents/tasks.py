"""Celery's doors to agents. Names and payloads are wire format; a task decides nothing."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from agents import (
    background,
    budget_use,
    budgets,
    cache,
    conversations,
    queueing,
    responding,
    retention,
    reviews,
)
from agents.knowledge import embedding, index


@shared_task(name="agents.invoke_async", acks_late=True, ignore_result=True)
def invoke_async(call_id: str) -> None:
    """Do one call that was queued."""
    background.run(UUID(call_id))


@shared_task(name="agents.run_batch", acks_late=True, ignore_result=True)
def run_batch(batch_id: str) -> None:
    """Bring one batch a step on."""
    queueing.run(UUID(batch_id))


@shared_task(name="agents.sweep", ignore_result=True)
def sweep() -> None:
    """Incidents' wishes, holds, budgets, lost calls, silent talks, missing vectors."""
    responding.respond()
    budgets.expire_holds()
    budget_use.measure_budgets()
    background.sweep()
    conversations.end_idle(now=timezone.now())
    queueing.sweep()
    index.cut_pending()
    index.embed_pending()
    embedding.embed_ahead()


@shared_task(name="agents.prepare_partitions", ignore_result=True)
def prepare_partitions() -> None:
    """Make the coming months' partitions, forget what has expired."""
    retention.prepare(timezone.now())
    before = timezone.now() - timedelta(days=retention.KEEP_DAYS)
    retention.forget(before)
    reviews.forget(before=before)
    cache.forget_expired()
