"""When an instance counts as up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from config.supervisor import readiness
from config.supervisor.errors import StartFailed
from config.supervisor.readiness import wait_ready


@contextmanager
def server(answers: dict[str, list[tuple[int, str]]]) -> Iterator[str]:
    """Each path's answers in turn; the last one stays."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            left = answers[self.path]
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{made.server_port}"
        finally:
            made.shutdown()
            thread.join()


def test_it_is_ready_once_work_is_consumed_and_not_when_the_web_answers() -> None:
    said: list[str] = []
    answers = {
        "/healthz": [(200, "ok")],
        "/readyz": [(503, '{"detail": "no worker"}'), (503, ""), (200, "{}")],
    }
    with server(answers) as url:
        assert wait_ready(url, stopped=threading.Event(), trouble=lambda: None, say=said.append)
    assert answers["/readyz"] == [(200, "{}")]
    assert len(said) == 1


def test_time_that_is_up_is_told_with_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "READY_SECONDS", 2.0)
    answers = {"/healthz": [(200, "")], "/readyz": [(503, '{"detail": "no worker answers"}')]}
    with server(answers) as url, pytest.raises(StartFailed, match="no worker answers"):
        wait_ready(url, stopped=threading.Event(), trouble=lambda: None, say=print)


def test_a_process_that_keeps_dying_ends_the_wait() -> None:
    failed = StartFailed("web", "no such module")
    with pytest.raises(StartFailed, match="no such module"):
        wait_ready(
            "http://127.0.0.1:1", stopped=threading.Event(), trouble=lambda: failed, say=print
        )


def test_a_stop_ends_the_wait() -> None:
    stopped = threading.Event()
    stopped.set()
    assert not wait_ready("http://127.0.0.1:1", stopped=stopped, trouble=lambda: None, say=print)
