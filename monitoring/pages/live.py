"""What is now, as server-sent events: the last minute of a key, and when rollups were made.

The stream is asynchronous: it costs no thread and holds no connection while it waits.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse

from config import readable
from config.access import callers
from config.errors import AppError
from monitoring import latest
from monitoring.sight import sight

# A number on the page is at most this old, and the reading of it.
POLL_SECONDS = 2.5
# The browser comes back by itself; this bounds what a forgotten tab costs.
LONGEST_SECONDS = 3600.0


def stream(request: HttpRequest) -> Any:
    """``GET /dashboard/_stream?scope=agent&key=…``."""
    try:
        clients = _authorise(request)
        label, key = latest.label_of(request.GET.get("scope", "all"), request.GET.get("key", ""))
    except AppError as error:
        return JsonResponse(
            error.as_problem(), status=error.http_status, content_type="application/problem+json"
        )
    response = StreamingHttpResponse(_news(label, key, clients), content_type="text/event-stream")
    response["Cache-Control"] = "no-cache"
    response["X-Accel-Buffering"] = "no"
    return response


def _authorise(request: HttpRequest) -> tuple[str, ...] | None:
    try:
        caller = callers.of_user(request.user)  # type: ignore[arg-type]
        caller.require("agents:read", "follow the numbers")
        return sight(caller, request.GET.get("client", "")).clients
    finally:
        connection.close()


def _read(
    label: str, key: str, clients: tuple[str, ...] | None
) -> tuple[latest.Now, datetime | None]:
    try:
        return latest.now_of(label, key, clients), latest.rolled_through()
    finally:
        connection.close()


async def _news(label: str, key: str, clients: tuple[str, ...] | None) -> AsyncIterator[str]:
    started, rolled = time.monotonic(), None
    yield "retry: 2000\n\n"
    while time.monotonic() - started < LONGEST_SECONDS:
        now, through = await sync_to_async(_read)(label, key, clients)
        body = {
            "calls": readable.count(now.calls), "errors": readable.count(now.errors),
            "p95": readable.duration(now.p95_seconds), "cost": readable.money(now.cost_usd),
            "at": now.at.isoformat(),
        }  # fmt: skip
        yield f"event: now\ndata: {json.dumps(body)}\n\n"
        if rolled is not None and through is not None and through > rolled:
            yield f'event: rolled\ndata: "{through.isoformat()}"\n\n'
        rolled = through or rolled
        await asyncio.sleep(POLL_SECONDS)
