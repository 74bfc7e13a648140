"""One request and its whole reply over a kept connection, by nothing but urllib3.

The ``openai`` client builds, checks and wraps each request anew: with it a call cost 1.1 CPU ms
more (1.75 against 0.65, measured). Streams, batches, embeddings and training go on using it, and
what it says of itself in its headers is said here, too.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
import urllib3
from urllib3.exceptions import InvalidHeader, ProtocolError, ReadTimeoutError

from agents.endpoints.clients import MAX_CLIENTS, client_for
from agents.endpoints.directory import Served

# Connections to one address that are kept: as many as calls that wait at once. More are opened, not
# kept, and told in the log.
MAX_KEPT = 512
PIECE_BYTES = 64 * 1024
# What lies between may have forgotten an idle connection without a word: a request on it would wait
# out its whole limit. As long as httpx keeps one.
KEEP_SECONDS = 5.0
# More than any model writes; it is held in memory.
MAX_REPLY_BYTES = 64 * 2**20


class _Fresh:
    """Connections of a pool that were idle for too long are made anew."""

    def _get_conn(self, timeout: float | None = None) -> Any:
        found = super()._get_conn(timeout)  # type: ignore[misc]
        if time.monotonic() - getattr(found, "idle_since", math.inf) > KEEP_SECONDS:
            found.close()
        return found

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)  # type: ignore[misc]


class _Plain(_Fresh, urllib3.HTTPConnectionPool):
    """Over HTTP."""


class _Secure(_Fresh, urllib3.HTTPSConnectionPool):
    """Over TLS."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class _Door:
    pool: urllib3.HTTPConnectionPool
    path: str
    headers: Mapping[str, str]


_doors: dict[tuple[str, str], _Door] = {}
_lock = threading.Lock()


def post(
    served: Served,
    path: str,
    body: Mapping[str, Any],
    *,
    headers: Mapping[str, str],
    connect_seconds: float,
    seconds: float,
    first_seconds: float | None = None,
) -> Answered:
    """Send ``body`` as JSON to ``path`` of the endpoint; no redirect is followed, nothing retried.

    A body that trickles is given up after ``seconds`` too, not only one that stands still; one that
    does not begin after ``first_seconds``, where they are given. Raises
    urllib3.exceptions.HTTPError.
    """
    door, until = _door(served), time.monotonic() + seconds
    sent = json.dumps(
        body, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    ).encode("utf-8", "replace")  # fmt: skip
    try:
        reply = door.pool.urlopen(
            "POST",
            f"{door.path}{path}",
            body=sent,
            headers={**door.headers, **headers},
            timeout=urllib3.Timeout(connect=connect_seconds, read=first_seconds or seconds),
            retries=False,
            redirect=False,
            preload_content=False,
        )
    except ValueError:  # its words would show the key
        raise InvalidHeader("the key holds a sign that no header may hold") from None
    if first_seconds is not None and (sock := _socket_of(reply)) is not None:
        sock.settimeout(max(0.001, until - time.monotonic()))  # it has begun
    try:
        pieces, size = [], 0
        while piece := reply.read1(PIECE_BYTES):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_REPLY_BYTES:
                raise ProtocolError(f"the reply has more than {MAX_REPLY_BYTES} bytes")
            if time.monotonic() > until:
                raise ReadTimeoutError(door.pool, door.path, "the body took too long")
        reply.release_conn()
    except BaseException:
        reply.close()  # what is left of it must not be the next one's
        raise
    return Answered(reply.status, reply.headers, b"".join(pieces))


def _socket_of(reply: Any) -> Any:
    """The socket that a reply comes by; of one that ends with it the connection knows no more."""
    kept = getattr(reply.connection, "sock", None)
    if kept is not None:
        return kept
    raw = getattr(getattr(getattr(reply, "_fp", None), "fp", None), "raw", None)
    return getattr(raw, "_sock", None)


def _door(served: Served) -> _Door:
    identity = (served.base_url, served.api_key)
    with _lock:
        found = _doors.get(identity)
        if found is None:
            if len(_doors) >= MAX_CLIENTS:
                _doors.clear()
            found = _doors[identity] = _made(served)
        return found


def _made(served: Served) -> _Door:
    client = client_for(served)
    parts = urlsplit(served.base_url)
    options: dict[str, Any] = {"maxsize": MAX_KEPT, "block": False}
    pool = (
        _Secure(
            parts.hostname or "", parts.port, ssl_context=httpx2.create_ssl_context(), **options
        )
        if parts.scheme == "https"
        else _Plain(parts.hostname or "", parts.port, **options)
    )
    said = {**client.default_headers, **client.auth_headers, "Accept-Encoding": "gzip, deflate"}
    return _Door(
        pool=pool,
        path=parts.path.rstrip("/"),
        headers={
            name: value
            for name, value in said.items()
            # What the client tells of its own machinery, which this is not, and what it leaves out.
            if isinstance(value, str) and not name.lower().startswith("x-stainless-")
        },
    )
