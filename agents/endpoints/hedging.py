"""Two endpoints for one question: the second is asked when the first takes long, the loser let go.

Only whole replies are hedged; a stream has a reader, who would hear two voices. Requests run on
an event loop of their own, because only there can one be given up at once: its connection closes,
and the provider stops working on it. Source: Dean and Barroso, "The Tail at Scale", CACM 56(2),
2013: asking again after the slowest twentieth costs a twentieth more and takes off the tail.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import httpx2
import openai
from django.conf import settings
from django.utils import timezone

from agents import spans
from agents.endpoints.directory import Served
from agents.endpoints.failures import as_failure
from agents.endpoints.trying import body_of, limits_of, whole_reply
from agents.endpoints.values import Failure, Reply, Request
from config import tracing

PATH = "/chat/completions"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Side:
    """How one of the two requests went; neither reply nor failure: it was given up."""

    served: Served
    at: datetime
    seconds: float
    reply: Reply | None = None
    failure: Failure | None = None


def race(
    first: Served,
    second: Callable[[], Served | None],
    request: Request,
    *,
    after_seconds: float,
    until: float,
) -> list[Side]:
    """Ask ``first``, and after a while without its reply also ``second()``: ends, winner first.

    ``second`` is called when it is needed and may decline with None. ``until`` is monotonic.
    """
    return _loop().run(_race(first, second, request, after_seconds, until))


async def _race(
    first: Served,
    second: Callable[[], Served | None],
    request: Request,
    after_seconds: float,
    until: float,
) -> list[Side]:
    running = [asyncio.create_task(_side(first, request, until))]
    done, _ = await asyncio.wait(running, timeout=after_seconds)
    if not done and (other := await asyncio.to_thread(second)) is not None:
        running.append(asyncio.create_task(_side(other, request, until)))
    waiting = set(running)
    winner: Side | None = None
    while waiting and winner is None:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        winner = next((t.result() for t in done if t.result().reply is not None), None)
    for task in waiting:
        task.cancel()
    sides = [await task for task in running]
    return sorted(sides, key=lambda side: (side is not winner, side.reply is None))


async def _side(served: Served, request: Request, until: float) -> Side:
    at, started = timezone.now(), time.monotonic()
    try:
        with spans.chat(served, request) as span:
            reply = await _try(served, request, until)
            spans.chatted(span, reply)
    except Failure as failure:
        return Side(served, at, time.monotonic() - started, failure=failure)
    except asyncio.CancelledError:
        return Side(served, at, time.monotonic() - started)
    return Side(served, at, time.monotonic() - started, reply=reply)


async def _try(served: Served, request: Request, until: float) -> Reply:
    left, limits = limits_of(until)
    try:
        async with asyncio.timeout(left):
            response = (
                await _loop()
                .client(served)
                .post(
                    PATH,
                    cast_to=httpx2.Response,
                    body=body_of(served, request),
                    options={"timeout": limits, "headers": tracing.outgoing()},
                )
            )
    except TimeoutError as error:
        raise as_failure(error, left) from error
    except (openai.OpenAIError, httpx2.HTTPError) as error:
        raise as_failure(error, left) from error
    return whole_reply(response.content, served)


class _Loop:
    """An event loop on a thread of this process, with a client for each address and key."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._clients: dict[tuple[str, str], openai.AsyncOpenAI] = {}
        threading.Thread(target=self._loop.run_forever, name="hedging", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def client(self, served: Served) -> openai.AsyncOpenAI:
        """Called on the loop alone, so without a lock."""
        identity = (served.base_url, served.api_key)
        found = self._clients.get(identity)
        if found is None:
            found = self._clients[identity] = openai.AsyncOpenAI(
                api_key=served.api_key or "none",
                base_url=served.base_url,
                max_retries=0,
                timeout=settings.MODEL_TIMEOUT.total_seconds(),
                http_client=httpx2.AsyncClient(follow_redirects=False),
            )
        return found


_made: _Loop | None = None
_making = threading.Lock()


def _loop() -> _Loop:
    global _made
    with _making:
        if _made is None:
            _made = _Loop()
        return _made


def _forget() -> None:
    """A forked child has none of its parent's threads."""
    global _made, _making
    _made, _making = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
