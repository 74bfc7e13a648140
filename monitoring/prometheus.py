"""Prometheus' text format, computed from the database at each scrape.

No process counts for itself, so a scrape sees the same whichever process answers it, and a
restart loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connection
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitoring.signs import QUEUE, TASK

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition() -> bytes:
    """All families as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Database())
    return generate_latest(registry)


class _Database(Collector):
    """Reads everything at collection; describes nothing beforehand."""

    def collect(self) -> Iterator[Metric]:
        yield from _signs()

    def describe(self) -> Iterator[Metric]:
        return iter(())


def _signs() -> Iterator[Metric]:
    queues = GaugeMetricFamily(
        "ratchet_queue_last_consumed_seconds",
        "Seconds since a worker last started a task of the queue.",
        labels=["queue"],
    )
    tasks = GaugeMetricFamily(
        "ratchet_periodic_task_last_success_seconds",
        "Seconds since the periodic task last succeeded.",
        labels=["task"],
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, extract(epoch FROM now() - seen_at)::float8 FROM monitoring_heartbeat "
            "WHERE seen_at IS NOT NULL ORDER BY name"
        )
        for name, age in cursor.fetchall():
            kind = queues if name.startswith(QUEUE) else tasks
            kind.add_metric([name.removeprefix(QUEUE).removeprefix(TASK)], age)
    yield queues
    yield tasks
