"""Prometheus' text format, computed from the database at each scrape.

No process counts for itself, so a scrape sees the same whichever process answers it, and a
restart loses nothing. Counters are all that was ever folded: settled days in one row each
(``MetricTotal``), what came after from the rollups. No client and no user is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from monitoring import queries
from monitoring.domain.metrics import METRICS, SCOPES, SEPARATOR, Kind
from monitoring.domain.rules import AlertState
from monitoring.models import Alert, Incident, MetricTotal, RollupMark
from monitoring.rollups import TOTALS
from monitoring.signs import QUEUE, TASK

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Which metrics are told by what. Quantiles are left to the histograms of the dashboards.
FAMILIES: dict[str, tuple[str, ...]] = {
    "agent": ("invocations", "invocation_errors", "invocation_fallbacks", "cache_hits",
              "invocation_duration_seconds", "input_tokens", "output_tokens", "cost_usd"),
    "endpoint": ("invocations", "invocation_errors", "invocation_fallbacks",
                 "model_duration_seconds"),
    "workflow": ("runs", "run_errors", "run_duration_seconds", "run_cost_usd"),
    "queue": ("queue_wait_seconds",),
}  # fmt: skip


def exposition() -> bytes:
    """All families as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Database())
    return generate_latest(registry)


def families() -> Iterator[Metric]:
    """All families as they are now."""
    return _Database().collect()


class _Database(Collector):
    """Reads everything at collection; describes nothing beforehand."""

    def collect(self) -> Iterator[Metric]:
        with _one_moment():
            found = [*_signs(), *_alerts()]
            for scope, names in FAMILIES.items():
                found += _family(scope, names)
        return iter(found)

    def describe(self) -> Iterator[Metric]:
        return iter(())


@contextmanager
def _one_moment() -> Iterator[None]:
    """All is read as of one moment: a day that is being added to the totals counts once.

    A counter that fell for one scrape would be taken for a restart, and all of it for new.
    """
    if connection.in_atomic_block:  # its owner has chosen already
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


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


def _alerts() -> Iterator[Metric]:
    firing = GaugeMetricFamily(
        "ratchet_alerts_firing", "Alerts that fire now.", labels=["rule", "severity"]
    )
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for row in Alert.objects.filter(state=AlertState.FIRING).values_list("rule__slug", "severity"):
        counts[row] += 1
    for place, alerts in sorted(counts.items()):
        firing.add_metric(list(place), alerts)
    yield firing
    incidents = GaugeMetricFamily("ratchet_incidents_open", "Incidents that are not resolved.")
    open_ = Incident.objects.filter(state__in=[Incident.State.OPEN, Incident.State.ACKNOWLEDGED])
    incidents.add_metric([], open_.count())
    yield incidents


def _family(scope: str, names: tuple[str, ...]) -> Iterator[Metric]:
    values: dict[tuple[str, str], tuple[float, float]] = {}
    for key, name, count, total in MetricTotal.objects.filter(
        scope=scope, metric__in=names
    ).values_list("key", "metric", "count", "total"):
        values[key, name] = (float(count), total)
    mark = RollupMark.objects.filter(pk=TOTALS).first()
    now = timezone.now()
    since = mark.through if mark else now - queries.LONGEST + timedelta(days=1)
    until = now + timedelta(minutes=2)
    found = queries.totals(names, scope=scope, since=since, until=until, ranked=())
    for key, stats in found.items():
        for name, stat in stats.items():
            seen, summed = values.get((key, name), (0.0, 0.0))
            values[key, name] = (seen + stat.count, summed + stat.total)
    labels = list(SCOPES[scope])
    for name in names:
        metric = METRICS[name]
        family: CounterMetricFamily | SummaryMetricFamily
        title = f"ratchet_{scope}_{name}"
        if metric.kind is Kind.COUNTER:
            family = CounterMetricFamily(title, f"{metric.title}, ever.", labels=labels)
        else:
            family = SummaryMetricFamily(title, f"{metric.title}, ever.", labels=labels)
        for (key, other), (observations, total) in sorted(values.items()):
            if other != name:
                continue
            place = key.split(SEPARATOR)
            if isinstance(family, SummaryMetricFamily):
                family.add_metric(place, count_value=int(observations), sum_value=total)
            else:
                family.add_metric(place, total)
        yield family
