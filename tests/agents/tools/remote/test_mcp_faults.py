"""A server over HTTP that breaks in every way: a typed error, and the next call is fine."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest
from django.db import connection, connections

from agents import services
from agents.models import ToolSource
from agents.tools.remote import mcp_client
from config.access.models import Client
from config.errors import AppError

pytestmark = pytest.mark.django_db(transaction=True)
OBJECT = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}
LOOK = {"name": "look", "description": "Look.", "outputSchema": OBJECT,
        "inputSchema": {"type": "object", "properties": {"fault": {"type": "string"}}}}  # fmt: skip
GOOD = {"content": [{"type": "text", "text": "7"}], "structuredContent": {"total": 7}}
# What a call meets, and the code of its error.
FAULTS = {
    "status 500": "tool_failed",
    "status 429": "tool_failed",
    "html": "tool_failed",
    "garbage": "tool_failed",
    "no message": "tool_failed",
    "wrong schema": "tool_failed",
    "no result": "tool_failed",
    "hangs up": "unavailable",
    "hangs": "timeout",
    "trickles": "timeout",
    "refuses": "tool_failed",
    "packed": "tool_failed",
    "packed events": "tool_failed",
}
# What unpacks to a thousand times its size.
BOMB_BYTES = 8_000_000


class Breaking(BaseHTTPRequestHandler):
    """A server of the protocol whose one tool fails as it is asked to; or whose list does."""

    protocol_version = "HTTP/1.1"
    listing = ""
    during: Callable[[], None] | None = None

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        method, params = asked["method"], asked.get("params") or {}
        if "id" not in asked:
            self.say(202, b"")
        elif method == "initialize":
            self.result(asked, {
                "protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "breaking", "version": "1"},
            })  # fmt: skip
        elif method == "tools/list":
            if Breaking.during is not None:
                Breaking.during()
                connection.close()
            self.break_or(self.listing, asked, {"tools": [LOOK]})
        elif method == "tools/call":
            self.break_or(params.get("arguments", {}).get("fault", ""), asked, GOOD)
        else:
            self.error(asked, -32601, "no such method")

    def break_or(self, fault: str, asked: Any, good: Any) -> None:
        match fault:
            case "status 500" | "status 429":
                self.say(int(fault.split()[1]), b"busy", "text/plain")
            case "html":
                self.say(200, b"<html>sign in</html>", "text/html")
            case "garbage":
                self.say(200, b"{]")
            case "no message":
                self.say(200, b'["Anna Smith"]')
            case "wrong schema":
                self.result(asked, {**GOOD, "structuredContent": {"total": "many"}, "tools": 7})
            case "no result":
                self.result(asked, {})
            case "hangs up":
                self.close_connection = True
            case "hangs":
                time.sleep(8)
                self.close_connection = True
            case "trickles":
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", "100000")
                self.end_headers()
                for _ in range(80):
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    time.sleep(0.1)
                self.close_connection = True
            case "packed" | "packed events":
                self.packed(fault, asked)
            case "refuses":
                self.error(asked, -32602, "the archive is closed")
            case _:
                self.result(asked, good)

    def packed(self, fault: str, asked: Any) -> None:
        assert self.headers["accept-encoding"] == "identity"
        padded = {"content": [{"type": "text", "text": " " * BOMB_BYTES}], "structuredContent": {
            "total": 7}}  # fmt: skip
        body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": padded})
        kind = "application/json"
        if fault == "packed events":
            kind, body = "text/event-stream", f"data: {body}\n\n"
        self.say(200, gzip.compress(body.encode()), kind, {"content-encoding": "gzip"})

    def result(self, asked: Any, result: Any) -> None:
        said = {"jsonrpc": "2.0", "id": asked["id"], "result": result}
        self.say(200, json.dumps(said).encode())

    def error(self, asked: Any, code: int, message: str) -> None:
        said = {"jsonrpc": "2.0", "id": asked["id"], "error": {"code": code, "message": message}}
        self.say(200, json.dumps(said).encode())

    def do_GET(self) -> None:
        self.say(405, b"")

    def do_DELETE(self) -> None:
        self.say(405, b"")

    def say(
        self,
        status: int,
        body: bytes,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def add(api: Callable[..., Any], settings: Any) -> Iterator[Callable[[], Any]]:
    """Add the server as a source of tools."""
    Breaking.listing, Breaking.during = "", None
    with ThreadingHTTPServer(("127.0.0.1", 0), Breaking) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        settings.TOOL_PRIVATE_HOSTS = [f"127.0.0.1:{server.server_port}"]
        address = f"http://127.0.0.1:{server.server_port}/mcp"
        body = {"name": "breaking", "kind": "mcp_http", "url": address, "allowed": ["look"],
                "timeout_seconds": 3}  # fmt: skip
        yield lambda: api("post", "/api/v1/tool-sources", body)
        mcp_client.close_all()
        server.shutdown()
        thread.join()


def test_each_fault_of_a_tool_is_a_typed_error_and_the_next_call_is_answered(
    add: Callable[[], Any], firm: Client, caplog: pytest.LogCaptureFixture
) -> None:
    assert add().status_code == 201
    met = {}
    for fault in FAULTS:
        started = time.monotonic()
        with pytest.raises(AppError) as error:
            services.call_tool("mcp.breaking.look", {"fault": fault}, client_id=firm.pk)
        met[fault] = error.value.code
        assert time.monotonic() - started < 30, fault
        good = services.call_tool("mcp.breaking.look", {}, client_id=firm.pk)
        assert good == {"total": 7}, fault
    assert met == FAULTS
    assert "Anna" not in caplog.text


@pytest.mark.parametrize("fault", ["hangs", "trickles"])
def test_a_call_is_answered_though_another_gave_its_connection_up_meanwhile(
    add: Callable[[], Any], firm: Client, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    assert add().status_code == 201
    begun, ready = Event(), mcp_client._Link.ready

    async def slowly(link: Any) -> None:
        await ready(link)
        late = begun.is_set()
        begun.set()
        while late and link in mcp_client._links.values():
            await asyncio.sleep(0.01)

    monkeypatch.setattr(mcp_client._Link, "ready", slowly)
    source = ToolSource.objects.get()
    with ThreadPoolExecutor(1) as other:
        failing = other.submit(mcp_client.call, source, "look", {"fault": fault})
        assert begun.wait(60)
        assert mcp_client.call(source, "look", {}) == {"total": 7}
        with pytest.raises(AppError) as error:
            failing.result(60)
    assert error.value.code == "timeout"


@pytest.mark.parametrize("fault", ["status 500", "garbage", "wrong schema", "hangs up", "hangs"])
def test_a_server_whose_list_is_broken_is_refused_with_a_reason(
    add: Callable[[], Any], fault: str
) -> None:
    Breaking.listing = fault
    refused = add()
    assert refused.status_code in (502, 503, 504), refused.content
    assert refused.json()["detail"]
    assert not ToolSource.objects.exists()
    Breaking.listing = ""
    assert add().status_code == 201


def test_a_source_that_was_made_while_its_server_was_asked_is_a_conflict(
    add: Callable[[], Any],
) -> None:
    def overtake() -> None:
        ToolSource.objects.create(name="breaking", kind="rest", url="https://other.example")

    Breaking.during = overtake
    late = add()
    assert (late.status_code, late.json()["code"]) == (409, "conflict"), late.content
    assert ToolSource.objects.get().kind == "rest"


def test_a_source_that_was_changed_or_taken_away_while_its_server_was_asked_stays_so(
    add: Callable[[], Any], api: Callable[..., Any]
) -> None:
    assert add().status_code == 201
    refresh = "/api/v1/tool-sources/breaking/refresh"
    assert api("post", refresh).status_code == 200

    def move() -> None:
        ToolSource.objects.update(url="https://moved.example", tools=[])

    Breaking.during = move
    late = api("post", refresh)
    assert (late.status_code, late.json()["code"]) == (409, "conflict"), late.content
    assert ToolSource.objects.get().tools == []  # what the old address offers is not the new one's

    def remove() -> None:
        ToolSource.objects.all().delete()

    Breaking.during = remove
    assert add().status_code == 409
    assert not ToolSource.objects.exists()


def test_no_connection_is_held_while_a_server_is_asked_for_its_tools(
    add: Callable[[], Any], api: Callable[..., Any], settings: Any
) -> None:
    settings.DATABASE_POOL = True  # what releasing looks at
    asking = connections["default"]
    held: list[bool] = []
    Breaking.during = lambda: held.append(asking.connection is not None)
    assert add().status_code == 201
    assert add().status_code == 200
    assert api("post", "/api/v1/tool-sources/breaking/refresh").status_code == 200
    assert held == [False, False, False]
