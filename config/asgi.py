"""The web process: Django under ASGI, so that a stream costs no thread, and ``/mcp`` beside it."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import Any

import django
from django.conf import settings
from django.utils.module_loading import import_string

from config.one_thread import OneThreadHandler

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)
pages_and_api = OneThreadHandler()
keyed = OneThreadHandler(only=settings.KEY_MIDDLEWARE, beside=pages_and_api)
CHATS, WEBHOOK, API = "/v1/chat/completions", "/webhooks/dialogflow", "/api/v1/"
# An application of its own, named as a string: the ground imports no app.
MCP = "agents.tools.mcp_server"


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Pass the request on to whom its path belongs, and note when it came."""
    scope["received_at"] = time.monotonic()
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif scope["type"] == "http" and _has_key_only(scope):
        await keyed(scope, receive, send)  # type: ignore[arg-type]
    elif scope["type"] == "http" and scope["path"].rstrip("/") == "/mcp":
        await _mcp("application")(scope, receive, send)
    else:
        await pages_and_api(scope, receive, send)  # type: ignore[arg-type]


def _has_key_only(scope: Scope) -> bool:
    """Whether a request can have no session: a chat, one of Dialogflow, or one to the API with a
    key; no cookies."""
    is_chat = scope["path"] in (CHATS, WEBHOOK)
    if not is_chat and not scope["path"].startswith(API):
        return False
    said = dict(scope["headers"])
    if b"cookie" in said:
        return False
    return is_chat or said.get(b"authorization", b"")[:7].lower() == b"bearer "


@cache
def _mcp(name: str) -> Any:
    """Imported at the first request: the protocol's library costs half a second."""
    return import_string(f"{MCP}.{name}")


def _spare_the_collector() -> None:
    """Leave what was imported out of every collection, and collect less often.

    A page makes tens of thousands of small objects; the default looks through the whole process
    several times for that, at a third of the page's time (measured).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _live(receive: Receive, send: Send) -> None:
    """Answer the server's start and stop; at the stop, end what runs beside requests."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            _spare_the_collector()
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            if _mcp.cache_info().currsize:
                await _mcp("stop")()
            await send({"type": "lifespan.shutdown.complete"})
            return
