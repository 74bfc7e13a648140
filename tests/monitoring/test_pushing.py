"""Metrics and log lines reach a collector, as numbers and names and nothing else."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from config import log_export, logs
from monitoring import rollups, tasks
from monitoring.services import Measurement, record
from tests.monitoring.receiver import receiving


@pytest.mark.django_db
def test_the_numbers_of_all_processes_are_pushed_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    record([Measurement({"invocations": 1, "invocation_duration_seconds": 2.0},
                        {"agent": "a"})] * 3)  # fmt: skip
    rollups.roll_up()
    with receiving() as (url, got):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        tasks.push_metrics()
    (headers, body) = got[0]
    assert headers["path"] == "/v1/metrics"
    (resource,) = ExportMetricsServiceRequest.FromString(body).resource_metrics
    found = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    calls = found["ratchet_agent_invocations_total"].sum
    assert (calls.is_monotonic, calls.data_points[0].as_double) == (True, 3.0)
    seconds = found["ratchet_agent_invocation_duration_seconds_sum"]
    assert (seconds.unit, seconds.sum.data_points[0].as_double) == ("s", 6.0)
    assert "ratchet_incidents_open" in found


@pytest.mark.django_db
def test_nothing_is_pushed_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    tasks.push_metrics()
    assert log_export.start(service="ratchet") is False


def test_a_log_line_leaves_with_its_fields_and_without_an_errors_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logger = logging.getLogger("tests.log_export")
    logger.setLevel(logging.INFO)
    with receiving() as (url, got):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        assert log_export.start(service="ratchet", process="test")
        try:
            logs.event(logger, "tests.thing.done", run="r1", count=2, nothing=None)
            try:
                raise ValueError("a client's data")
            except ValueError:
                logger.exception("tests.thing.failed")
        finally:
            log_export.stop()
    bodies = [body for headers, body in got if headers["path"] == "/v1/logs"]
    records: list[Any] = [
        record
        for body in bodies
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs
        for record in resource.scope_logs[0].log_records
    ]
    done, failed = (one for one in records if one.body.string_value.startswith("tests.thing"))
    assert done.body.string_value == "tests.thing.done"
    fields = {pair.key: pair.value for pair in done.attributes}
    assert (fields["run"].string_value, fields["count"].int_value) == ("r1", 2)
    assert done.severity_text == "INFO"
    assert {p.key: p.value.string_value for p in failed.attributes}[
        "exception.type"
    ] == "ValueError"
    assert b"client's data" not in b"".join(bodies)
