"""What one message of somebody's MCP server may weigh: more is never gathered, whatever it sends.

The SDK reads a whole body, or a whole line of a program's output, before anybody can look at its
size.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import httpx2
from anyio.streams.text import TextReceiveStream
from mcp.client import stdio
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR

# Bytes of a message over HTTP, characters of a program's line. Text in escapes weighs six times.
MAX_MESSAGE = 4 * 2**20
TOO_LARGE = f"a message of more than {MAX_MESSAGE} bytes"
PACKED = "packed although it was asked for as it is: content-encoding"
# What is unpacked weighs up to a thousand times as much as what came and was counted.
AS_IT_IS = {"Accept-Encoding": "identity"}
# Where a message may name the request that it answers: at its beginning or at its end.
_EDGE = 200
_ID_FIRST = re.compile(r'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d+|"[^"]*")')
_ID_LAST = re.compile(r'"id"\s*:\s*(\d+|"[^"]*")\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$')


def is_about_size(error: MCPError) -> bool:
    """Whether an event was too large or packed, which the SDK tells as a lost connection."""
    return "event exceeded the" in str(error) or PACKED in str(error)


class TooLarge(httpx2.StreamError):
    """A body that is given up; the SDK tells whoever asked for it."""

    def __init__(self) -> None:
        super().__init__(TOO_LARGE)


class Packed(httpx2.StreamError):
    """The same of a body that would have to be unpacked."""

    def __init__(self, encoding: str) -> None:
        super().__init__(f"{PACKED} {encoding}"[:100])


class PackedEvents(httpx2.SSEError):
    """And of a stream of events."""

    def __init__(self, encoding: str) -> None:
        super().__init__(f"{PACKED} {encoding}"[:100])


class Bounded(httpx2.AsyncBaseTransport):
    """Gives up a body over MAX_MESSAGE, and one that came packed, unread.

    The SDK itself limits each event of a stream.
    """

    def __init__(self) -> None:
        self._inner = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        encoding = response.headers.get("content-encoding", "").strip().lower()
        is_events = response.headers.get("content-type", "").startswith("text/event-stream")
        if encoding not in ("", "identity"):
            fault = PackedEvents(encoding) if is_events else Packed(encoding)
            response.stream = _Refused(response.stream, fault)
        elif not is_events:
            response.stream = _Counted(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, inner: object) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        count = 0
        async for piece in self._inner:  # type: ignore[attr-defined]
            count += len(piece)
            if count > MAX_MESSAGE:
                raise TooLarge
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()  # type: ignore[attr-defined]


class _Refused(httpx2.AsyncByteStream):
    def __init__(self, inner: object, fault: Exception) -> None:
        self._inner, self._fault = inner, fault

    async def __aiter__(self) -> AsyncIterator[bytes]:
        raise self._fault
        yield b""  # what makes it an iterator

    async def aclose(self) -> None:
        await self._inner.aclose()  # type: ignore[attr-defined]


class Lines(TextReceiveStream):
    """A program's output by whole lines; one over MAX_MESSAGE becomes the error of its request."""

    def __post_init__(self, encoding: str, errors: str) -> None:
        super().__post_init__(encoding, errors)
        self._begin()

    async def receive(self) -> str:
        """The next lines; raises anyio.EndOfStream."""
        lines: list[str] = []
        while not lines:
            *ends, rest = (await super().receive()).split("\n")
            for end in ends:
                self._add(end)
                lines.append(self._line())
                self._begin()
            self._add(rest)
        return "".join(lines)

    def _begin(self) -> None:
        self._parts: list[str] = []
        self._head = self._tail = ""
        self._length = 0

    def _add(self, part: str) -> None:
        self._length += len(part)
        self._head = (self._head + part[:_EDGE])[:_EDGE]
        self._tail = (self._tail + part[-_EDGE:])[-_EDGE:]
        if self._length > MAX_MESSAGE:
            self._parts = []
        else:
            self._parts.append(part)

    def _line(self) -> str:
        if self._length <= MAX_MESSAGE:
            return "".join(self._parts) + "\n"
        named = _ID_FIRST.match(self._head) or _ID_LAST.search(self._tail)
        if named is None:
            return "\n"
        error = {"code": INTERNAL_ERROR, "message": TOO_LARGE}
        told = {"jsonrpc": "2.0", "id": json.loads(named[1]), "error": error}
        return json.dumps(told) + "\n"


# The SDK offers no other way to put a limit on what it gathers.
stdio.TextReceiveStream = Lines  # type: ignore[misc]
