"""What tests of alerts, incidents and notifications do: calls that fail, a pass of the watch."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from django.db import connection

from monitoring import shipped, tasks
from monitoring.models import (
    Alert,
    AlertRule,
    Incident,
)
from monitoring.services import Measurement, record

MINUTE = timedelta(minutes=1)


def now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        return cursor.fetchone()[0]


def load_shipped() -> None:
    """The shipped rules and objectives, as ``load_monitoring`` loads them."""
    shipped.load()


def calls(agent: str, count: int = 30, failed: int = 0, *, at: datetime | None = None,
          endpoint: str = "one", seconds: float = 1.0) -> None:  # fmt: skip
    record(
        [
            Measurement(
                {"invocations": 1, "invocation_errors": float(n < failed),
                 "invocation_duration_seconds": seconds},
                {"agent": agent, "endpoint": endpoint, "code": "timeout" if n < failed else "",
                 "user": f"u{n % 3}"},
                at,
            )
            for n in range(count)
        ]
    )  # fmt: skip


def again() -> None:
    """Let every rule be due at once."""
    AlertRule.objects.update(evaluated_at=None)
    tasks.watch()


def live(slug: str) -> list[Alert]:
    return list(Alert.objects.filter(rule__slug=slug).exclude(state="resolved").order_by("key"))


def opened(cause: str = "agent:a", severity: str = "high", **more: Any) -> Incident:
    return Incident.objects.create(cause=cause, title="It fails", severity=severity, **more)


@contextmanager
def receiver(status: int = 200) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    got: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}/hook", got
        finally:
            server.shutdown()
            thread.join()
