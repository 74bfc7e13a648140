"""Tools of MCP servers, by the official SDK: one connection a source, kept in a thread of its own.

The SDK is asynchronous and our callers are threads, so one event loop runs beside them. A
connection is entered and left by one task, as the SDK demands; one that broke is made anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, TypeVar

import httpx2
from django.conf import settings
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT

from agents.endpoints.secrets import variable
from agents.errors import NotReached, ToolFailed
from agents.models import ToolSource
from agents.tools.remote import addresses, bounds
from config import tracing
from config.errors import Forbidden, StepTimeout, Unavailable

CONNECT_SECONDS = 15.0
MAX_RESULT_CHARACTERS = 400_000
MAX_TOOLS = 200
# After these nothing more is to be hoped for from a connection.
_LOST = (CONNECTION_CLOSED, REQUEST_TIMEOUT)
Result = TypeVar("Result")


def call(
    source: ToolSource, tool: str, arguments: dict[str, Any], *, effect_id: str | None = None
) -> dict[str, Any]:
    """The result of one tool of the server, as an object; raises ToolFailed for its own errors.

    ``effect_id`` is the same over all tries of one effect; the server is told it as
    ``Idempotency-Key`` in the call's ``_meta``.
    Raises StepTimeout after the source's time limit, Unavailable if it can't be reached. A server
    that died or did not answer in time is begun anew at the next call.
    """
    _check(source)
    return _run(_call(source, tool, arguments, effect_id), source)


def offered(source: ToolSource) -> list[dict[str, Any]]:
    """What the server offers now: name, description and schema of each tool."""
    _check(source)
    return _run(_offered(source), source)


def close_all() -> None:
    """End every connection of this process (at its end, and in tests)."""
    asyncio.run_coroutine_threadsafe(_close(), _loop()).result(CONNECT_SECONDS)


async def _call(
    source: ToolSource, tool: str, arguments: dict[str, Any], effect_id: str | None
) -> dict[str, Any]:
    meta: Any = {"Idempotency-Key": effect_id} if effect_id else None
    async with _used(source) as link:
        try:
            result = await link.client.call_tool(
                tool, arguments, read_timeout_seconds=source.timeout_seconds, meta=meta
            )
        except MCPError as error:
            if error.code in _LOST and not bounds.is_about_size(error):
                raise
            raise ToolFailed(f"{source.name}.{tool}", str(error)[:300]) from error
    texts = [block.text for block in result.content if block.type == "text"]
    if result.is_error:
        raise ToolFailed(f"{source.name}.{tool}", " ".join(texts)[:300] or "it gave no reason")
    value = result.structured_content
    if not isinstance(value, dict):
        value = {"text": "\n".join(texts)} if value is None else {"result": value}
    if len(json.dumps(value, default=str)) > MAX_RESULT_CHARACTERS:
        raise ToolFailed(f"{source.name}.{tool}", f"over {MAX_RESULT_CHARACTERS} characters")
    return value


async def _offered(source: ToolSource) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    async with _used(source) as link:
        while len(found) < MAX_TOOLS:
            listed = await link.client.list_tools(cursor=cursor, cache_mode="refresh")
            found += [
                {"name": one.name, "description": one.description or "", "schema": one.input_schema}
                for one in listed.tools
            ]
            cursor = listed.next_cursor
            if not cursor:
                break
    return found[:MAX_TOOLS]


@asynccontextmanager
async def _used(source: ToolSource) -> AsyncIterator[_Link]:
    """The source's connection for one request. A lost one is given up: who still waits on it
    may end, the next request gets a new one."""
    link = _link(source)
    link.users += 1  # before anything is awaited: whoever ends meanwhile must not end it
    try:
        await link.ready()
        yield link
    except MCPError as error:
        if error.code not in _LOST:
            raise ToolFailed(source.name, str(error)[:300]) from error
        link.retire()
        if error.code == REQUEST_TIMEOUT:
            raise StepTimeout(f"MCP server {source.name}", source.timeout_seconds) from error
        raise Unavailable(f"MCP server {source.name}", "it closed the connection", 5) from error
    except ToolFailed:
        raise
    except (ValueError, RuntimeError) as error:  # what it says breaks the protocol or its schema
        link.retire()
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise ToolFailed(source.name, why[:300]) from error
    except BaseException:
        link.retire()
        raise
    finally:
        link.users -= 1
        link.end_if_unused()


class _Link:
    """One connection, entered and left by its own task."""

    def __init__(self, source: ToolSource) -> None:
        self._source = source
        self.users = 0
        self._over = asyncio.Event()
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._hold())
        self.client: Client

    async def ready(self) -> None:
        """Return when it has begun; raises NotReached, and is given to nobody any more."""
        try:
            self.client = await asyncio.wait_for(asyncio.shield(self._ready), CONNECT_SECONDS)
        except NotReached:
            self.retire()
            raise
        except TimeoutError:
            self.retire()
            why = f"it did not begin within {CONNECT_SECONDS:g} s"
            raise NotReached(f"MCP server {self._source.name}", why, 30) from None

    @property
    def is_over(self) -> bool:
        return self._task.done() or self._over.is_set()

    def retire(self) -> None:
        """Give it to nobody any more."""
        for identity, link in list(_links.items()):
            if link is self:
                del _links[identity]

    def end_if_unused(self) -> None:
        """End a retired connection, with its program, once nobody waits on it."""
        if not self.users and self not in _links.values():
            self._over.set()

    async def stop(self) -> None:
        self.retire()
        self._over.set()
        await asyncio.wait([self._task], timeout=CONNECT_SECONDS)

    async def _hold(self) -> None:
        try:
            async with _connected(self._source) as client:
                self._ready.set_result(client)
                await self._over.wait()
        except BaseException as error:
            if not self._ready.done():
                cause = _cause(error)
                why = f"it did not begin ({type(cause).__name__}: {cause})"[:200]
                self._ready.set_exception(NotReached(f"MCP server {self._source.name}", why, 30))
                self._ready.exception()


def _cause(error: BaseException) -> BaseException:
    """What broke: the SDK tells it as a group within a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


_links: dict[str, _Link] = {}


def _link(source: ToolSource) -> _Link:
    identity = _identity(source)
    link = _links.get(identity)
    if link is None or link.is_over:
        link = _links[identity] = _Link(source)
    return link


@asynccontextmanager
async def _connected(source: ToolSource) -> AsyncIterator[Client]:
    token = variable(source.credential_env)
    if source.kind == ToolSource.Kind.MCP_STDIO:
        program, *arguments = source.command
        env = {source.credential_env: token} if token else None
        server = StdioServerParameters(command=program, args=arguments, env=env)
        with open(os.devnull, "w") as nowhere:  # what it prints may hold client data
            streams = stdio_client(server, errlog=nowhere)
            async with Client(streams, read_timeout_seconds=source.timeout_seconds) as client:
                yield client
        return
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers |= tracing.outgoing() | bounds.AS_IT_IS
    # The SDK ends one request after the source's limit; this one would end all of them.
    timeout = httpx2.Timeout(CONNECT_SECONDS, read=source.timeout_seconds + CONNECT_SECONDS)
    async with httpx2.AsyncClient(
        headers=headers, timeout=timeout, trust_env=False, transport=bounds.Bounded()
    ) as http:
        transport = streamable_http_client(
            source.url, http_client=http, max_sse_event_size=bounds.MAX_MESSAGE
        )
        async with Client(transport, read_timeout_seconds=source.timeout_seconds) as client:
            yield client


async def _close() -> None:
    for link in list(_links.values()):
        await link.stop()


def _check(source: ToolSource) -> None:
    """Only programs that the operator named are started, only allowed addresses are reached."""
    if source.kind == ToolSource.Kind.MCP_STDIO:
        if not source.command or source.command[0] not in settings.MCP_PROGRAMS:
            program = source.command[0] if source.command else ""
            raise Forbidden(f"start {program!r}", "a program that MCP_PROGRAMS names")
    else:
        addresses.checked(source.url)


def _run(work: Coroutine[Any, Any, Result], source: ToolSource) -> Result:
    limit = source.timeout_seconds + CONNECT_SECONDS
    waiting = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        return waiting.result(limit)
    except TimeoutError:
        waiting.cancel()
        raise StepTimeout(f"MCP server {source.name}", source.timeout_seconds) from None
    except (OSError, httpx2.HTTPError) as error:
        raise Unavailable(f"MCP server {source.name}", type(error).__name__, 5) from error


def _identity(source: ToolSource) -> str:
    told = [str(source.pk), source.url, source.command, source.credential_env,
            source.timeout_seconds]  # fmt: skip
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="mcp-client", daemon=True).start()
    return loop
