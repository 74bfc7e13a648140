"""One ``openai`` client per address and key, kept for the life of the process; thread-safe."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx2
import openai
from django.conf import settings

from agents.endpoints.directory import Served

MAX_CLIENTS = 64
CONNECTIONS = httpx2.Limits(max_connections=512, max_keepalive_connections=128)

_clients: dict[tuple[str, str], openai.OpenAI] = {}
_lock = threading.Lock()


def client_for(served: Served) -> openai.OpenAI:
    """The client that speaks to the endpoint; retries are the caller's, who knows the deadline."""
    identity = (served.base_url, served.api_key)
    with _lock:
        found = _clients.get(identity)
        if found is None:
            if len(_clients) >= MAX_CLIENTS:
                _clients.clear()
            found = _clients[identity] = openai.OpenAI(
                api_key=served.api_key or "none",
                base_url=served.base_url,
                max_retries=0,
                timeout=settings.MODEL_TIMEOUT.total_seconds(),
                http_client=httpx2.Client(
                    transport=_TotalLimit(httpx2.HTTPTransport(limits=CONNECTIONS)),
                    follow_redirects=False,
                ),
            )
        return found


class _TotalLimit(httpx2.BaseTransport):
    """Ends a body that trickles: ``read`` limits only the wait between two pieces of it.

    Streams are left alone; who reads them watches the clock.
    """

    def __init__(self, inner: httpx2.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        limit = request.extensions.get("timeout", {}).get("read")
        started = time.monotonic()
        response = self._inner.handle_request(request)
        kind = response.headers.get("content-type", "")
        if limit is not None and not kind.startswith("text/event-stream"):
            response.stream = _Bounded(response.stream, started + limit, request)
        return response

    def close(self) -> None:
        self._inner.close()


class _Bounded(httpx2.SyncByteStream):
    def __init__(self, inner: object, until: float, request: httpx2.Request) -> None:
        self._inner, self._until, self._request = inner, until, request

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._inner:  # type: ignore[attr-defined]
            if time.monotonic() > self._until:
                raise httpx2.ReadTimeout("the body took too long", request=self._request)
            yield piece

    def close(self) -> None:
        self._inner.close()  # type: ignore[attr-defined]
