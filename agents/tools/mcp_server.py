"""``/mcp``: our agents and tools for any client of the Model Context Protocol.

An ASGI application beside Django, because the protocol streams. Every request shows a bearer key;
what it may see and call follows from its scopes, exactly as over HTTP.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import mcp_types as types
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from agents import bodies, connections, doors, interactive, services
from agents.calls import Call
from agents.invoke import invoke
from agents.models import Agent
from agents.tools import registry
from config import logs, schemas
from config.access import callers
from config.access.callers import Caller
from config.errors import AppError, InvalidInput, NotFound

logger = logging.getLogger(__name__)
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Result = TypeVar("Result")

AGENT = "agent."
# Where the authenticated caller stands in the ASGI scope.
CALLER = "ratchet.caller"
MAX_BODY_BYTES = 4 * 2**20
AGENT_SCHEMA = {
    "type": "object",
    "properties": {
        "inputs": {"type": "object", "description": "What the agent works on, by name."},
        "question": {"type": "string", "description": "A question in words instead."},
    },
    "minProperties": 1,
    "additionalProperties": False,
}
_pool = ThreadPoolExecutor(settings.INTERACTIVE_CALLS, thread_name_prefix="mcp")


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one HTTP request of the protocol, for a caller with a live key."""
    token = _bearer(scope)
    caller = await _on_thread(callers.of_key, token) if token else None
    if caller is None or not caller.scopes & {"agents:read", "agents:invoke"}:
        await _refuse(send)
        return
    manager = await _running_manager()
    await manager.handle_request({**scope, CALLER: caller}, receive, send)


async def stop() -> None:
    """End what ``application`` keeps running in this event loop; harmless if nothing does."""
    holder = _holders.pop(asyncio.get_running_loop(), None)
    if holder is not None:
        await holder.stop()


def _bearer(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"authorization":
            kind, _, token = value.decode("latin-1").partition(" ")
            return token.strip() if kind.lower() == "bearer" else ""
    return ""


async def _refuse(send: Send) -> None:
    body = {"type": "/problems/not_authenticated", "code": "not_authenticated", "status": 401,
            "title": "Not authenticated", "detail": "send Authorization: Bearer rk_… with a live "
            "key that has the scope agents:read or agents:invoke"}  # fmt: skip
    headers = [(b"content-type", b"application/problem+json"), (b"www-authenticate", b"Bearer")]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


# ---------------------------------------------------------------- what is served


async def _list_tools(
    context: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
) -> types.ListToolsResult:
    return types.ListToolsResult(tools=await _on_thread(tools_for, _caller(context)))


async def _call_tool(
    context: ServerRequestContext[Any], params: types.CallToolRequestParams
) -> types.CallToolResult:
    caller, arguments = _caller(context), dict(params.arguments or {})
    try:
        with interactive.place():
            result = await _on_thread(call, caller, params.name, arguments)
    except AppError as error:
        return _result(error.as_dict(), is_error=True)
    except Exception:
        logger.exception("agents.mcp.failed", extra={"fields": {"tool": params.name}})
        return _result({"code": "internal_error", "message": "it broke on our side"}, is_error=True)
    return _result(result)


def tools_for(caller: Caller) -> list[types.Tool]:
    """The agents, and for people of the firm the tools, that ``caller`` may call."""
    agents = Agent.objects.filter(state=Agent.State.ACTIVE)
    outside = bool(caller.roles) and caller.roles <= {doors.EXTERNAL}
    if outside:
        agents = agents.filter(audience=Agent.Audience.EXTERNAL)
    found = [
        types.Tool(name=f"{AGENT}{slug}", title=name, description=purpose,
                   input_schema=AGENT_SCHEMA)
        for slug, name, purpose in agents.values_list("slug", "name", "purpose")
    ]  # fmt: skip
    if outside:
        return found
    return found + [
        types.Tool(
            name=tool.name,
            description=tool.description,
            input_schema=tool.parameters,
            output_schema=_objects_only(tool.output_schema),
            annotations=types.ToolAnnotations(
                idempotent_hint=tool.idempotent, read_only_hint=tool.idempotent
            ),
        )
        for tool in registry.all_tools()
    ]


def _objects_only(schema: dict[str, Any] | None) -> dict[str, Any] | None:
    """The protocol knows results that are objects only."""
    return schema if schema is not None and schema.get("type") == "object" else None


def call(caller: Caller, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run an agent or a tool for ``caller``; raises AppError as the HTTP doors do."""
    caller.require("agents:invoke", f"call {name}")
    if name.startswith(AGENT):
        return _ask(caller, name.removeprefix(AGENT), arguments)
    if caller.roles and caller.roles <= {doors.EXTERNAL}:
        raise NotFound("tool", name)
    logs.event(logger, "agents.mcp.tool_called", tool=name, client=str(caller.home_client_id))
    return services.call_tool(
        name, arguments, client_id=caller.home_client_id, user_id=caller.user_id
    )


def _ask(caller: Caller, slug: str, arguments: dict[str, Any]) -> dict[str, Any]:
    doors.check_agent(caller, slug)
    fault = next(iter(schemas.errors(AGENT_SCHEMA, arguments)), None)
    if fault is not None:  # a client may not look at the schema: what it sent would be lost
        path = fault.json_path.removeprefix("$").removeprefix(".")
        raise InvalidInput(path or "arguments", fault.instance, fault.message[:300])
    bodies.check_texts(arguments)
    question = arguments.get("question")
    answer = invoke(
        Call(
            agent=slug,
            inputs=dict(arguments.get("inputs") or {}),
            client_id=caller.home_client_id,
            user_id=caller.user_id,
            key_id=caller.key_id,
            messages=[{"role": "user", "content": str(question)}] if question else None,
        )
    )
    return {
        **answer.output,
        "invocation_id": str(answer.invocation_id),
        "cost_usd": f"{answer.cost_usd:f}",
        "simulated": answer.simulated,
        "is_fallback": answer.is_fallback,
    }


def _result(value: dict[str, Any], *, is_error: bool = False) -> types.CallToolResult:
    text = json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
    said = str(value.get("text") or text)
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=said)],
        structured_content=json.loads(text),
        is_error=is_error,
    )


def _caller(context: ServerRequestContext[Any]) -> Caller:
    request: Any = context.request
    caller: Caller = request.scope[CALLER]
    return caller


async def _on_thread(work: Callable[..., Result], *arguments: Any) -> Result:
    """Run database work on a thread of ours: the event loop must not wait for it."""

    def run() -> Result:
        try:
            return work(*arguments)
        finally:
            connections.end_of_work()

    return await asyncio.get_running_loop().run_in_executor(_pool, run)


# ---------------------------------------------------------------- the protocol's machinery


class _Holder:
    """Keeps one session manager entered: it must be left by the task that entered it."""

    def __init__(self) -> None:
        server: Server[Any] = Server(
            "ratchet", version="1", on_list_tools=_list_tools, on_call_tool=_call_tool
        )
        # Stateless: any web process may answer the next request of the same client.
        self.manager = StreamableHTTPSessionManager(
            server, json_response=True, stateless=True, max_request_body_size=MAX_BODY_BYTES
        )
        self._ready, self._over = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._hold())

    async def ready(self) -> StreamableHTTPSessionManager:
        await self._ready.wait()
        return self.manager

    async def stop(self) -> None:
        self._over.set()
        await self._task

    async def _hold(self) -> None:
        async with self.manager.run():
            self._ready.set()
            await self._over.wait()


_holders: WeakKeyDictionary[asyncio.AbstractEventLoop, _Holder] = WeakKeyDictionary()


async def _running_manager() -> StreamableHTTPSessionManager:
    loop = asyncio.get_running_loop()
    if loop not in _holders:
        _holders[loop] = _Holder()
    return await _holders[loop].ready()
