"""The events of a run as server-sent events, resumable by ``Last-Event-ID``.

The stream is asynchronous: it costs no thread and holds no database connection while it waits.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse

from config.access import attempts, callers
from config.access.callers import Caller
from config.errors import AppError
from workflows import controls, history
from workflows.domain.transitions import RunState
from workflows.models import Run

# How often the history is read; what a person sees moves this often.
POLL_SECONDS = 0.5
HEARTBEAT_SECONDS = 10.0
# The browser comes back by itself; this bounds what a forgotten tab costs.
LONGEST_SECONDS = 3600.0


def run_events(request: HttpRequest, run_id: UUID) -> Any:
    """``GET /api/v1/runs/{id}/events``."""
    try:
        _authorise(request, run_id)
    except AppError as error:
        return JsonResponse(
            error.as_problem(), status=error.http_status, content_type="application/problem+json"
        )
    cursor = request.headers.get("Last-Event-ID") or request.GET.get("after", "")
    if request.GET.get("format") == "json":
        events = _read(run_id, cursor)
        return JsonResponse({"results": events[0]}, json_dumps_params={"default": _plain})
    response = StreamingHttpResponse(_stream(run_id, cursor), content_type="text/event-stream")
    response["Cache-Control"] = "no-cache"
    response["X-Accel-Buffering"] = "no"
    return response


def _authorise(request: HttpRequest, run_id: UUID) -> Caller:
    try:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        caller = callers.of_key(token.strip()) if kind.lower() == "bearer" else None
        if caller is None and request.user.is_authenticated:
            caller = callers.of_user(request.user)
        if caller is None:
            if token:
                attempts.refuse_wrong_key(token.strip(), request)
            raise NotSignedIn()
        controls.find_run(caller, run_id)
        return caller
    finally:
        connection.close()


class NotSignedIn(AppError):
    """Neither a session nor a key came with the request."""

    code, http_status = "not_authenticated", 401

    def __str__(self) -> str:
        return "sign in, or send Authorization: Bearer rk_…"


def _read(run_id: UUID, cursor: str) -> tuple[list[dict[str, Any]], str]:
    try:
        state = Run.objects.values_list("state", flat=True).get(pk=run_id)
        ended = RunState(state).is_final
        return history.events_after(run_id, cursor, has_ended=ended), state
    finally:
        connection.close()


def _plain(value: Any) -> str:
    """Times as the rest of the API writes them."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


async def _stream(run_id: UUID, cursor: str) -> AsyncIterator[str]:
    started = beat = time.monotonic()
    yield "retry: 2000\n\n"
    while time.monotonic() - started < LONGEST_SECONDS:
        events, state = await sync_to_async(_read)(run_id, cursor)
        for event in events:
            cursor = event["id"]
            body = json.dumps({**event, "run_state": state}, default=_plain)
            yield f"id: {cursor}\nevent: {event['name'].split('.')[0]}\ndata: {body}\n\n"
        if not events and RunState(state).is_final:
            yield f'event: end\ndata: {{"state": "{state}"}}\n\n'
            return
        if time.monotonic() - beat > HEARTBEAT_SECONDS:
            beat = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(POLL_SECONDS)
