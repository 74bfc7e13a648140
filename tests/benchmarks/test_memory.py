"""The long measurement of memory outlives connections that break on its way."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import httpx
import pytest

from tests.benchmarks import memory

LOST_EVERY = 5


class Server(ThreadingHTTPServer):
    """Takes calls, and hangs up on each fifth without an answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Calls)
        self.seen, self.taken = count(1), count(1)
        self.answered = 0

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.server_port}", timeout=30.0)

    def rows(self, _statement: str) -> list[tuple[Any, ...]]:
        return [(self.answered,)]


class Calls(BaseHTTPRequestHandler):
    """The door of the server."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if next(self.server.seen) % LOST_EVERY == 0:
            self.close_connection = True
            return
        self.server.answered = next(self.server.taken)
        body = json.dumps({"state": "queued"}).encode()
        self.send_response(202)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_call_that_lost_its_connection_is_told_counted_and_not_waited_for(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = 40
    lost = memory._ask(server, map(str, range(asked)), asked)  # type: ignore[arg-type]
    assert lost == asked // LOST_EVERY
    assert server.answered == asked - lost
    assert capsys.readouterr().err.count("a call lost its connection") == lost


def test_the_wait_for_answers_grows_with_the_calls() -> None:
    assert memory._patience(1_000) == memory.SHORTEST_WAIT_SECONDS
    assert memory._patience(100_000) == 100_000 / memory.ANSWERED_PER_SECOND
