"""Queues as they are now: what waits, who takes it, and how long steps waited lately."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from config.celery import QUEUES
from monitoring import depths, health, queries

# Long enough for a percentile of a quiet queue, short enough to be of now.
LATELY = timedelta(hours=1)
WAIT = "queue_wait_seconds"


@dataclass(frozen=True, slots=True)
class Queue:
    """``waiting`` messages; ``consumed_at`` is when a worker last began a task of it, or None.

    ``steps`` and ``wait_p95_seconds`` are of those that ended in the last hour.
    """

    name: str
    waiting: int
    consumed_at: datetime | None
    steps: int
    wait_p95_seconds: float | None


def read(*, now: datetime) -> list[Queue]:
    """Every queue, by name. Raises Unavailable while the broker is away."""
    waiting, seen = depths.waiting(), health.heartbeats()
    waits = queries.totals([WAIT], scope="queue", since=now - LATELY,
                           until=now + timedelta(minutes=1))  # fmt: skip
    found = []
    for name in sorted(QUEUES):
        stat = waits.get(name, {}).get(WAIT, queries.EMPTY)
        found.append(Queue(name, waiting[name], seen.get(health.QUEUE + name), stat.count,
                           stat.percentile(0.95)))  # fmt: skip
    return found
