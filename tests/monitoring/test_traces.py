"""Traces of agents that run elsewhere: counted once, weighted, and sampled whole at their end."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Http
from django.utils import timezone
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

from config.access import callers
from config.access.models import Client, Membership, User
from monitoring import queries, rollups, traces
from monitoring.addresses import rows_behind
from monitoring.domain import otlp
from monitoring.models import AlertRule, ExternalTrace, Incident
from tests.monitoring.alarming import again, live
from tests.monitoring.figures_of import read

pytestmark = pytest.mark.django_db


@pytest.fixture
def http() -> Http:
    firm = Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )[0]
    user = User.objects.create_user("boss", password="x")
    Membership.objects.create(user=user, client=firm, role="administrator")
    scopes = ["telemetry:write", "monitoring:read"]
    _, secret = callers.create_key(user=user, client=firm, name="k", scopes=scopes)
    return Http(headers={"Authorization": f"Bearer {secret}"})


def an_agents_spans(
    count: int = 1, *, fails: bool = False, agent: str = "dunning"
) -> Sequence[ReadableSpan]:
    """What the SDK of somebody else makes: an agent's call with a model's and a tool's in it."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": "billing"}))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("theirs")
    for _ in range(count):
        with tracer.start_as_current_span("invoke_agent") as call:
            call.set_attributes({otlp.OPERATION: "invoke_agent", otlp.AGENT: agent,
                                 "gen_ai.input.messages": "private words"})  # fmt: skip
            if fails:
                call.set_attribute(otlp.ERROR, "timeout")
                call.set_status(Status(StatusCode.ERROR))
            with tracer.start_as_current_span("chat") as chat:
                chat.set_attributes({otlp.OPERATION: "chat", "gen_ai.request.model": "m",
                                     "gen_ai.provider.name": "their.ai",
                                     "server.address": "eu.their.ai",
                                     otlp.INPUT: 100, otlp.OUTPUT: 20})  # fmt: skip
            with tracer.start_as_current_span("execute_tool") as tool:
                tool.set_attributes({otlp.OPERATION: "execute_tool", otlp.TOOL: "lookup"})
    provider.shutdown()
    return kept.get_finished_spans()


def send(http: Http, body: bytes, kind: str = "application/x-protobuf", **headers: str) -> Any:
    return http.post("/v1/traces", body, content_type=kind, headers=headers)


def total(metric: str, key: str = "external:dunning", scope: str = "agent") -> float:
    rollups.roll_up()
    now = timezone.now()
    return queries.total(metric, scope=scope, key=key, since=now - timedelta(hours=1),
                         until=now + timedelta(minutes=1)).total  # fmt: skip


def test_an_sdks_own_bytes_are_counted_once_however_often_they_come(http: Http) -> None:
    body = encode_spans(an_agents_spans(2)).SerializeToString()
    for _ in range(2):
        answer = send(http, gzip.compress(body), **{"Content-Encoding": "gzip"})
        assert answer.status_code == 200, answer.content
        assert answer["Content-Type"] == "application/x-protobuf"
        assert not ExportTraceServiceResponse.FromString(
            answer.content
        ).partial_success.rejected_spans
    assert total("invocations") == 2
    assert (total("input_tokens"), total("output_tokens")) == (200, 40)
    assert (total("model_calls"), total("tool_calls")) == (2, 2)
    place = "external:their.ai|external:eu.their.ai"
    assert total("model_calls", place, "provider_endpoint") == 2
    assert ExternalTrace.objects.count() == 2
    assert "private" not in json.dumps(list(ExternalTrace.objects.values_list("spans", flat=True)))


def in_json(trace: str = "5b8efff798038103d269b633813fc60c", **more: Any) -> dict[str, Any]:
    nanoseconds = int(timezone.now().timestamp() * 1e9)
    span = {
        "traceId": trace, "spanId": "eee19b7ec3c1b174", "name": "invoke_agent x",
        "startTimeUnixNano": str(nanoseconds - 2 * 10**9), "endTimeUnixNano": str(nanoseconds),
        "attributes": [
            {"key": otlp.OPERATION, "value": {"stringValue": "invoke_agent"}},
            {"key": otlp.INPUT, "value": {"intValue": "7"}},
        ],
        "status": {"code": 2}, **more,
    }  # fmt: skip
    name = {"key": "service.name", "value": {"stringValue": "dunning"}}
    return {
        "resourceSpans": [{"resource": {"attributes": [name]}, "scopeSpans": [{"spans": [span]}]}]
    }


def test_json_counts_a_sampled_trace_for_all_that_it_stands_for(http: Http) -> None:
    # ot=th:c: three of four were dropped before they left.
    answer = send(http, json.dumps(in_json(traceState="ot=th:c")).encode(), "application/json")
    assert (answer.status_code, answer.json()) == (200, {"partialSuccess": {}})
    assert total("invocations") == total("invocation_errors") == 4
    assert total("input_tokens") == 28
    listed = http.get("/api/v1/traces").json()["results"]
    assert (listed[0]["agent"], listed[0]["is_error"]) == ("external:dunning", True)


def test_errors_and_slow_ones_are_kept_and_the_rest_stand_for_those_dropped(
    http: Http, settings: Any
) -> None:
    settings.TRACE_SHARE, settings.TRACE_SLOW = 0.25, timedelta(seconds=5)
    send(http, encode_spans(an_agents_spans(60)).SerializeToString())
    send(http, encode_spans(an_agents_spans(3, fails=True)).SerializeToString())
    assert traces.decide(now=timezone.now()) == (0, 0)  # more of them may come
    kept, dropped = traces.decide(now=timezone.now() + timedelta(minutes=1))
    assert kept + dropped == 63
    rows = ExternalTrace.objects.filter(state="kept")
    assert rows.filter(is_error=True).count() == 3
    assert {row.weight for row in rows.filter(is_error=False)} == {4.0}
    assert 5 <= rows.filter(is_error=False).count() <= 30
    gone = ExternalTrace.objects.filter(state="dropped").first()
    assert gone is not None
    assert set(gone.spans.values()) == {None}
    assert total("invocations") == 63  # numbers are taken of all of them
    assert traces.forget(now=timezone.now() + timedelta(hours=3)) == dropped


@pytest.mark.parametrize(
    ("trace_state", "weight"),
    [("", 1), ("ot=th:0", 1), ("ot=th:8", 2), ("x=1,ot=rv:1;th:c", 4), ("ot=th:zz", 1),
     ("ot=th:ffffffffffffff", otlp.MOST_WEIGHT)],
)  # fmt: skip
def test_a_threshold_says_for_how_many_a_trace_stands(trace_state: str, weight: float) -> None:
    assert otlp.weight_of(trace_state) == pytest.approx(weight)


def test_what_cannot_be_read_is_refused_and_what_makes_no_sense_is_told(http: Http) -> None:
    assert Http().post("/v1/traces", b"", content_type="application/json").status_code == 401
    assert send(http, b"\xff\xff\xff").status_code == 422
    assert send(http, b"{", "application/json").status_code == 422
    assert send(http, b"x", **{"Content-Encoding": "gzip"}).status_code == 422
    assert send(http, b"x", "text/plain").status_code == 415
    body = in_json(trace="00000000000000000000000000000000")
    answer = send(http, json.dumps(body).encode(), "application/json")
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"
    old = in_json(startTimeUnixNano="1000", endTimeUnixNano="2000")
    told = send(http, json.dumps(old).encode(), "application/json").json()["partialSuccess"]
    assert "too far from now" in told["errorMessage"]
    assert not ExternalTrace.objects.exists()


def test_figures_of_an_agent_elsewhere_lead_to_its_traces(http: Http) -> None:
    for fails, count in ((False, 4), (True, 3)):
        send(http, encode_spans(an_agents_spans(count, fails=fails)).SerializeToString())
    assert total("invocations") == 7
    browser = Http()
    browser.force_login(User.objects.get())
    leaders = read(browser.get("/dashboard/_top?range=24h").content.decode())
    by_label = {one.label: one.href for one in leaders.figures}
    for label, rows in (("Calls", 7), ("Errors", 3), ("p95", 7)):
        path, _, query = by_label[label].partition("?")
        file = browser.get(f"{path}.csv?{query}").getvalue().decode()
        assert len(file.splitlines()) == 1 + rows, (label, by_label[label])
        assert browser.get(by_label[label]).status_code == 200
    whole = "external:their.ai|external:eu.their.ai"
    of = {"endpoint": "external:eu.their.ai", "model": "external:m", "provider_endpoint": whole}
    for scope, key in of.items():
        assert total("model_calls", key, scope) == 7
        path, _, query = rows_behind("model_calls", scope, key, range="24h").partition("?")
        assert len(browser.get(f"{path}.csv?{query}").getvalue().decode().splitlines()) == 1 + 7
    nowhere = browser.get("/dashboard/traces.csv?endpoint=external:other").getvalue().decode()
    assert len(nowhere.splitlines()) == 1
    pages = [one for one in leaders.links if one.startswith("/dashboard/traces?agent=")]
    assert browser.get(pages[0]).status_code == 200
    # Figures of everything count them too, so the list of calls says where they are.
    beside = [
        one
        for one in read(
            browser.get("/dashboard/invocations?range=24h&state=failed").content.decode()
        ).links
        if one.startswith("/dashboard/traces?")
    ]
    assert beside == ["/dashboard/traces?state=failed&range=24h"]
    assert (
        "/dashboard/traces" not in browser.get("/dashboard/invocations?endpoint=x").content.decode()
    )
    old = ("since=1960-01-01T00:00:00Z", "since=0001-01-01T00:00:00Z", "until=9999-12-31T23:00:00Z")
    for wrong in (*old, "state=x", "client=x", "before=x", "range=1y"):
        assert browser.get(f"/dashboard/traces?{wrong}").status_code == 422


@pytest.mark.usefixtures("shipped")
def test_agents_elsewhere_that_fail_at_once_lead_to_their_endpoint(http: Http) -> None:
    AlertRule.objects.filter(kind="burn_rate").update(is_active=False)
    for name in ("one", "two", "three"):
        spans = an_agents_spans(25, fails=True, agent=name)
        send(http, encode_spans(spans).SerializeToString())
    again()
    assert len(live("error-rate")) == 3
    assert Incident.objects.get().cause == "endpoint:external:eu.their.ai"
