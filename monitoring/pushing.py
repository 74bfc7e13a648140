"""The numbers of ``/metrics`` to an OTLP collector, where the standard variables name one.

They come from the database, not from a process, so one push of one worker tells of all of them,
and a counter goes on where it was after a restart.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings

from monitoring import prometheus

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_UNITS = {"seconds": "s", "usd": "USD", "tokens": "{token}", "total": "1"}


def push() -> int:
    """Send every family once; how many, 0 where nobody listens. Raises OSError if refused."""
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return 0
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import (
        MetricExportResult,
        MetricsData,
        ResourceMetrics,
        ScopeMetrics,
    )
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    metrics = list(_metrics(time.time_ns()))
    named = {
        "service.name": os.environ.get("OTEL_SERVICE_NAME", "ratchet"),
        "service.namespace": settings.INSTALLATION,
    }
    scope = ScopeMetrics(InstrumentationScope("ratchet"), metrics, "")
    data = MetricsData([ResourceMetrics(Resource.create(named), [scope], "")])
    exporter = OTLPMetricExporter()
    try:
        if exporter.export(data) is not MetricExportResult.SUCCESS:
            raise OSError("the collector did not take the metrics")
    finally:
        exporter.shutdown()
    return len(metrics)


def _metrics(now_nanoseconds: int) -> Iterator[Any]:
    from opentelemetry.sdk.metrics.export import (
        AggregationTemporality,
        Gauge,
        Metric,
        NumberDataPoint,
        Sum,
    )

    def points(samples: Sequence[Any]) -> list[Any]:
        return [NumberDataPoint(one.labels, 0, now_nanoseconds, one.value) for one in samples]

    for family in prometheus.families():
        by_name: dict[str, list[Any]] = {}
        for sample in family.samples:
            by_name.setdefault(sample.name, []).append(sample)
        for name, samples in by_name.items():
            if family.type == "gauge":
                data: Any = Gauge(points(samples))
            else:
                data = Sum(points(samples), AggregationTemporality.CUMULATIVE, True)
            yield Metric(name, family.documentation, _unit(name), data)


def _unit(name: str) -> str:
    parts = name.removesuffix("_total").removesuffix("_sum").split("_")
    return "1" if name.endswith("_count") else _UNITS.get(parts[-1], "1")
