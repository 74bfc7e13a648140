"""Calls that a person waits for: a bounded number at once, each on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from django.conf import settings

from agents import connections, pacing, spans
from config.errors import AppError, TooManyRequests

_places = threading.BoundedSemaphore(settings.INTERACTIVE_CALLS)
_pool = ThreadPoolExecutor(settings.INTERACTIVE_CALLS, thread_name_prefix="interactive")


class ReaderGone(AppError):
    """Whoever read the stream has hung up."""

    code, http_status = "cancelled", 499

    def __str__(self) -> str:
        return "the reader hung up before the answer was whole"


@contextmanager
def place() -> Iterator[None]:
    """Hold one of the process's places; raises TooManyRequests if all are taken."""
    if not _places.acquire(blocking=False):
        limit = f"{settings.INTERACTIVE_CALLS} at once in this process"
        raise TooManyRequests("interactive calls", limit, 1)
    try:
        yield
    finally:
        _places.release()


def start(work: Callable[[Callable[[str], None]], Any]) -> Channel:
    """Run ``work(emit)`` on a thread of its own; what it emits and returns comes by the channel.

    Raises TooManyRequests if all places are taken.
    """
    occupied = place()
    occupied.__enter__()
    channel = Channel()

    def run() -> None:
        last: tuple[str, Any]
        try:
            with pacing.at_work():
                last = ("done", work(channel.emit))
        except Exception as error:
            last = ("failed", error)
        finally:
            connections.end_of_work()
            occupied.__exit__(None, None, None)
        channel.put(last)

    _pool.submit(spans.carried(run))
    return channel


class Channel:
    """Events from one thread to one reader, which may wait as a thread or in an event loop."""

    def __init__(self) -> None:
        self._events: deque[tuple[str, Any]] = deque()
        self._changed = threading.Condition()
        self._wake: Callable[[], object] | None = None
        self._closed = False

    def emit(self, text: str) -> None:
        """Pass on a piece of text; raises ReaderGone once the reader has hung up."""
        if self._closed:
            raise ReaderGone
        self.put(("text", text))

    def put(self, event: tuple[str, Any]) -> None:
        """Add an event and wake the reader."""
        with self._changed:
            self._events.append(event)
            self._changed.notify()
            if self._wake is not None:
                self._wake()

    def close(self) -> None:
        """The reader hangs up."""
        self._closed = True

    def first(self) -> tuple[str, Any]:
        """Wait for the first event and leave it in place."""
        with self._changed:
            self._changed.wait_for(lambda: self._events)
            return self._events[0]

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Events until the last one (``done`` or ``failed``), waiting as a thread."""
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._events)
                    event = self._events.popleft()
                yield event
                if event[0] != "text":
                    return
        finally:
            self.close()

    async def __aiter__(self) -> AsyncIterator[tuple[str, Any]]:
        """The same in an event loop: waiting costs no thread."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        with self._changed:
            self._wake = lambda: loop.call_soon_threadsafe(ready.set)
        try:
            while True:
                with self._changed:
                    event = self._events.popleft() if self._events else None
                    ready.clear()
                if event is None:
                    await ready.wait()
                    continue
                yield event
                if event[0] != "text":
                    return
        finally:
            with self._changed:
                self._wake = None
            self.close()
