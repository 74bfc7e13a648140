"""The months of the record: made ahead of time, dropped when their time is over."""

from __future__ import annotations

import logging
from datetime import datetime

from agents.models import AsyncCall, EffectAnswer, IdempotentToolResult
from config import logs, partitions

logger = logging.getLogger(__name__)
TABLES = ("agents_invocation", "agents_modelcall", "agents_toolcall")
# Two years: an engagement, the next one that compares with it, and a margin.
KEEP_DAYS = 730


def prepare(now: datetime) -> list[str]:
    """Create the partitions of this month and the next ones; returns the new ones."""
    made = [name for table in TABLES for name in partitions.ensure_months("agents", table, now=now)]
    if made:
        logs.event(logger, "agents.partitions.created", names=made)
    return made


def forget(before: datetime) -> list[str]:
    """Drop whole months that ended before ``before``, and what only made sense with them."""
    gone = [
        name
        for table in TABLES
        for name in partitions.drop_months_before("agents", table, before=before)
    ]
    for model in (EffectAnswer, AsyncCall):
        model.objects.filter(created_at__lt=before).delete()
    IdempotentToolResult.objects.filter(ended_at__lt=before).delete()
    if gone:
        logs.event(logger, "agents.partitions.dropped", names=gone)
    return gone
