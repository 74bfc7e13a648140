"""One trace from a request through Celery to each model and tool call, at a real OTLP receiver."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from agents.invoke import invoke
from agents.models import Invocation
from config import tracing
from tests.agents.web import serve_web
from tests.workflows.workers import QUICK, wait_for, worker

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Receiver(ThreadingHTTPServer):
    """Keeps the spans that are sent to it, and the headers of what it passes on as a proxy."""

    def __init__(self, model: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        self.model, self.headers_seen = model, list[str]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def is_whole(self) -> bool:
        """Whether every span up from the agent's call has come; the outer ones end last."""
        ids = {one.span_id for one in self.spans}
        called = self.named("invoke_agent")
        tasks = [one for one in self.spans if called and one.span_id == called[0].parent_span_id]
        return bool(tasks) and tasks[0].parent_span_id in ids

    def named(self, start: str) -> list[Any]:
        return [one for one in self.spans if one.name.startswith(start)]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, answer = 200, b""
        if self.path == "/v1/traces":
            sent = ExportTraceServiceRequest.FromString(body)
            for of_resource in sent.resource_spans:
                self.server.resources.append(_told(of_resource.resource.attributes))
                for scope in of_resource.scope_spans:
                    self.server.spans.extend(scope.spans)
        elif not self.path.endswith(("/metrics", "/logs")):  # on the way to the model
            self.server.headers_seen.append(self.headers.get("traceparent", ""))
            reply = httpx.post(
                f"{self.server.model}{self.path.removeprefix('/v1')}",
                content=body, headers={"Content-Type": "application/json"},
            )  # fmt: skip
            status, answer = reply.status_code, reply.content
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def receiving(model: str = "") -> Iterator[Receiver]:
    server = Receiver(model)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _told(attributes: Any) -> dict[str, Any]:
    told = {}
    for one in attributes:
        kind = one.value.WhichOneof("value")
        told[one.key] = getattr(one.value, kind) if kind else None
    return told


@pytest.mark.worker
@pytest.mark.django_db(transaction=True)
def test_a_run_is_one_trace_from_the_request_to_each_model_and_tool_call(
    process_environment: dict[str, str], agent: Any, key: str, offline: Any, tmp_path: Path
) -> None:
    definition = f"name: traced\nsteps:\n  a:\n    agent: {agent.slug}\n    with: " + json.dumps(
        agent.cases[0]["input"]
    )
    with receiving(offline.url) as receiver:
        environment = {
            **process_environment, **QUICK,
            "OFFLINE_MODEL_URL": f"{receiver.url}/v1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }  # fmt: skip
        headers = {"Authorization": f"Bearer {key}", "traceparent": f"00-{TRACE}-{PARENT}-01"}
        with serve_web(environment) as web, worker(environment, tmp_path) as one:
            httpx.post(f"{web}/api/v1/workflows", json={"definition": definition},
                       headers=headers, timeout=60).raise_for_status()  # fmt: skip
            httpx.post(f"{web}/api/v1/runs", json={"workflow": "traced", "inputs": {}},
                       headers=headers, timeout=60).raise_for_status()  # fmt: skip
            wait_for(receiver.is_whole, 120, lambda: one.said)
    spans = {span.span_id: span for span in receiver.spans}
    (request,) = receiver.named("POST /api/v1/runs")
    (called,) = receiver.named("invoke_agent")
    chats, tools = receiver.named("chat "), receiver.named("execute_tool ")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    task = spans[called.parent_span_id]
    assert task.name == "process workflows.run_steps"
    assert spans[task.parent_span_id] is request
    assert len(chats) >= 2
    assert tools
    assert {one.parent_span_id for one in (*chats, *tools)} == {called.span_id}
    assert {one.trace_id.hex() for one in (task, called, *chats, *tools)} == {TRACE}
    row = Invocation.objects.get()
    assert row.trace_id == TRACE
    said = _told(called.attributes)
    assert said["gen_ai.operation.name"] == "invoke_agent"
    assert said["gen_ai.agent.name"] == agent.slug
    assert said["ratchet.invocation.id"] == str(row.pk)
    chat = _told(chats[0].attributes)
    assert chat["gen_ai.provider.name"] == "offline-model"
    assert sum(_told(c.attributes)["gen_ai.usage.output_tokens"] for c in chats) == (
        row.output_tokens + row.reasoning_tokens
    )
    # Each request to the model names the span that it is.
    assert set(receiver.headers_seen) == {f"00-{TRACE}-{c.span_id.hex()}-01" for c in chats}
    assert {r["service.name"] for r in receiver.resources} == {"ratchet"}
    everything = "".join(str(span) for span in receiver.spans)
    assert row.prompt.strip()[:40] not in everything
    assert row.output["text"][:40] not in everything


@pytest.mark.django_db
def test_without_a_collector_nothing_is_traced_or_sent(
    model: Any, call_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in tracing._ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    assert not tracing.start(service="ratchet")
    assert tracing.span("a") is tracing.span("b")  # one object for all: nothing is made
    assert tracing.outgoing() == {}
    invoke(call_of())
    assert Invocation.objects.get().trace_id == ""


@pytest.mark.django_db
def test_a_failed_call_says_why_by_its_code(
    model: Any, call_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.behave({"faults": [{"kind": "server_error"}]})
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setattr(tracing, "_follow_messages", lambda: None)
        assert tracing.start(service="ratchet")
        try:
            assert invoke(call_of(use_cache=False)).is_fallback
        finally:
            tracing.stop()
    codes = {_told(span.attributes).get("error.type") for span in receiver.named("chat ")}
    assert codes == {"unavailable"}
    (called,) = receiver.named("invoke_agent")
    assert _told(called.attributes)["ratchet.invocation.state"] == "fallback"
