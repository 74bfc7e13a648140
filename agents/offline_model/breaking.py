"""The faults of a connection: torn, silent, cut short, or kept open for nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from agents.offline_model.engine import Completion
from agents.offline_model.profile import Fault
from agents.offline_model.protocol import ApiError

HANG_SECONDS = 600.0
SILENT_SECONDS = 0.5


async def broken_response(
    request: Request, fault: Fault | None, *, streaming: bool
) -> Response | None:
    """What a fault of the connection or the body sends instead of an answer."""
    if fault is None:
        return None
    if fault.kind == "reset":
        means(request, "reset")()
        return Response(status_code=500)
    if fault.kind == "hang":
        await asyncio.sleep(HANG_SECONDS if fault.seconds is None else fault.seconds)
        means(request, "hang_up")()
        return Response(status_code=504)
    if fault.kind == "error_body":
        error = ApiError(500, "The engine is currently overloaded.", api_code="overloaded")
        return JSONResponse(error.body())
    if fault.kind == "cut_stream" and not streaming:
        return StreamingResponse(_half(means(request, "hang_up")))
    if fault.kind == "no_tokens":
        wait = SILENT_SECONDS if fault.seconds is None else fault.seconds
        alive = _alive(wait, b": alive\n\n" if streaming else b" ", means(request, "hang_up"))
        media_type = "text/event-stream" if streaming else "application/json"
        return StreamingResponse(alive, media_type=media_type)
    return None


def check_unbroken(completion: Completion) -> None:
    """Raise ApiError for what would break a connection: a line of a batch has none."""
    fault = completion.fault
    if fault is not None and fault.kind in (
        "reset", "hang", "error_body", "cut_stream", "no_tokens",
    ):  # fmt: skip
        raise ApiError(500, "The server had an error while processing your request.")


def means(request: Request, name: str) -> Callable[[], None]:
    """How this connection is torn down; under another server than ours it can't be."""
    known: Callable[[], None] = request.scope["state"].get(name, lambda: None)
    return known


async def _half(hang_up: Callable[[], None]) -> AsyncIterator[bytes]:
    yield b'{"id":"chatcmpl-cut","object":"chat.completion","choices":[{"index":0,'
    hang_up()


async def _alive(
    wait_seconds: float, sign: bytes, hang_up: Callable[[], None]
) -> AsyncIterator[bytes]:
    until = time.monotonic() + HANG_SECONDS
    while time.monotonic() < until:
        yield sign
        await asyncio.sleep(wait_seconds)
    hang_up()
