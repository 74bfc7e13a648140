"""How an endpoint may send a whole reply: what is one is read, what is none is told and retried."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from agents import versions
from agents.endpoints import wire
from agents.endpoints.directory import forget
from agents.models import Agent, Budget, Endpoint, ModelCall

pytestmark = pytest.mark.django_db

REPLY = json.dumps(
    {"model": "wired", "usage": {"prompt_tokens": 5, "completion_tokens": 5},
     "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}]}
).encode()  # fmt: skip


class Wired(BaseHTTPRequestHandler):
    """An endpoint that sends its reply in the way that a test says."""

    protocol_version = "HTTP/1.1"
    way = ""
    seen: list[tuple[str, ...]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        said = [str(self.headers.get(name)) for name in ("authorization", "openai-organization")]
        self.seen.append((self.path, *said, self.headers["user-agent"].split(" ")[0]))
        getattr(self, self.way)()

    def gzipped(self) -> None:
        self._begin(200, ("content-encoding", "gzip"), body=gzip.compress(REPLY))

    def chunked(self) -> None:
        self._begin(200, ("transfer-encoding", "chunked"))
        for start in range(0, len(REPLY), 40):
            piece = REPLY[start : start + 40]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def trickling(self) -> None:
        self._begin(200, ("content-length", str(len(REPLY))))
        for byte in REPLY:
            self.wfile.write(bytes([byte]))
            time.sleep(0.1)

    def cut(self) -> None:
        self._begin(200, ("content-length", str(len(REPLY) + 5)))
        self.wfile.write(REPLY)
        self.close_connection = True

    def moved(self) -> None:
        self._begin(307, ("location", "http://127.0.0.1:1/"), body=b"")

    def endless(self) -> None:
        self._begin(200, ("content-length", str(2**40)))
        with suppress(OSError):
            while True:
                self.wfile.write(b" " * 2**16)
        self.close_connection = True

    def refusing(self) -> None:
        self._begin(401, body=b'{"error": {"message": "who are you?"}}')

    def _begin(self, status: int, *headers: tuple[str, str], body: bytes | None = None) -> None:
        self.send_response(status)
        if body is not None:
            self.send_header("content-length", str(len(body)))
        for header in headers:
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def wired(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Wired]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Wired) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        Endpoint.objects.update(state="paused")
        Endpoint.objects.create(
            name="wired", base_url=f"http://127.0.0.1:{server.server_port}/some/where/v1/",
            served=[{"name": "wired", "tier": "standard", "context_tokens": 9000,
                     "capabilities": []}],
        )  # fmt: skip
        versions.publish(agent=agent, content=versions.Content(prompt="Hi."), label="production")
        Agent.objects.update(limits={})
        monkeypatch.setattr(Wired, "seen", [])
        forget()
        yield Wired
        server.shutdown()
        thread.join()


def _chat(api: Any, agent: Agent) -> Any:
    asked = {"model": f"agent:{agent.slug}", "messages": [{"role": "user", "content": "Hi there"}]}
    return api("post", "/v1/chat/completions", asked)


@pytest.mark.parametrize("way", ["gzipped", "chunked"])
def test_a_whole_reply_is_read_in_every_form_that_http_has(
    wired: type[Wired], agent: Agent, api: Any, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    wired.way = way
    answer = _chat(api, agent)
    assert answer.status_code == 200, answer.content
    assert answer.json()["choices"][0]["message"]["content"] == "Hello."
    path = "/some/where/v1/chat/completions"
    assert wired.seen == [(path, "Bearer none", "org-1", "OpenAI/Python")]


@pytest.mark.parametrize(
    ("way", "code", "reason"),
    [
        ("trickling", "timeout", "no whole reply"),
        ("cut", "unavailable", "IncompleteRead"),
        ("moved", "unavailable", "HTTP 307"),
        ("endless", "unavailable", "more than 100000 bytes"),
        ("refusing", "unavailable", "HTTP 401: Error code: 401 - who are you?"),
    ],
)
def test_half_a_reply_or_none_is_told_and_its_money_given_back(
    wired: type[Wired], agent: Agent, api: Any, settings: Any, monkeypatch: pytest.MonkeyPatch,
    way: str, code: str, reason: str,
) -> None:  # fmt: skip
    # Only who trickles runs into it.
    settings.MODEL_TIMEOUT = timedelta(seconds=1 if way == "trickling" else 30)
    monkeypatch.setattr(wire, "MAX_REPLY_BYTES", 100_000)
    Agent.objects.update(fallback="")
    wired.way = way
    began = time.monotonic()
    answer = _chat(api, agent)
    assert answer.status_code >= 500, answer.content
    assert time.monotonic() - began < 15
    told = ModelCall.objects.order_by("number").last()
    assert told is not None and told.error_code == code
    assert reason in json.dumps(told.answer), told.answer
    assert not Budget.objects.filter(held_usd__gt=0).exists()


def test_a_key_that_fits_no_header_is_told_of_and_not_shown(
    wired: type[Wired], agent: Agent, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Agent.objects.update(fallback="")
    monkeypatch.setenv("WIRED_KEY", "very-secret\n")
    Endpoint.objects.filter(name="wired").update(api_key_env="WIRED_KEY")
    forget()
    wired.way = "gzipped"
    answer = _chat(api, agent)
    assert answer.status_code == 503, answer.content
    told = ModelCall.objects.order_by("number").last()
    assert told is not None and "no header may hold" in json.dumps(told.answer)
    assert "very-secret" not in json.dumps(told.answer) + answer.content.decode()
    assert not Budget.objects.filter(held_usd__gt=0).exists()


def test_a_connection_that_was_idle_is_not_trusted(
    wired: type[Wired], agent: Agent, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wired.way = "gzipped"
    ports: list[int] = []
    monkeypatch.setattr(Wired, "gzipped", _noting(ports, Wired.gzipped))
    for keep in (60.0, 60.0, 0.0):
        monkeypatch.setattr(wire, "KEEP_SECONDS", keep)
        asked = {"model": f"agent:{agent.slug}",
                 "messages": [{"role": "user", "content": f"Hi, {len(ports)}"}]}  # fmt: skip
        assert api("post", "/v1/chat/completions", asked).status_code == 200
    assert ports[0] == ports[1] != ports[2]


def _noting(ports: list[int], answer: Any) -> Any:
    def noted(handler: Wired) -> None:
        ports.append(handler.client_address[1])
        answer(handler)

    return noted
