"""A request to ``/v1/chat/completions`` as a call of an agent: read and checked whole."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from django.http import HttpRequest

from agents import bodies, conversations, doors
from agents.calls import Call
from agents.domain.messages import check_messages
from config.access.callers import Caller
from config.errors import InvalidInput

PREFIX = "agent:"
MAX_BODY_BYTES = 4 * 2**20
MAX_TOOLS = 64
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
# What an option must be, where it is given.
_OPTIONS: tuple[tuple[str, type, str], ...] = (
    ("stream", bool, "true or false"),
    ("stream_options", dict, "an object"),
    ("metadata", dict, "an object"),
    ("tools", list, "a list of function tools"),
    ("user", str, "a string"),
)


def body_of(request: HttpRequest) -> dict[str, Any]:
    """The request's body; raises InvalidInput."""
    return bodies.json_object(request, most_bytes=MAX_BODY_BYTES, what="a JSON object")


def call_of(caller: Caller, asked: dict[str, Any]) -> tuple[Call, str]:
    """The call that is asked for and the model's name; raises InvalidInput, NotFound, Conflict."""
    model = asked.get("model")
    if not isinstance(model, str) or not model.startswith(PREFIX):
        raise InvalidInput("model", model, f"{PREFIX}<slug>; see GET /v1/models")
    if not isinstance(asked.get("messages"), list):
        raise InvalidInput("messages", asked.get("messages"), "a list of messages")
    if asked.get("n") not in (None, 1):
        raise InvalidInput("n", asked["n"], "1")
    _check_options(asked)
    told, tools, limit = check_messages(asked["messages"]), _tools(asked), _limit(asked)
    slug = model.removeprefix(PREFIX)
    doors.check_agent(caller, slug)
    metadata = asked.get("metadata") or {}
    client_id = doors.client_for(caller, metadata.get("client_id"))
    call = Call(
        agent=slug,
        inputs={},
        client_id=client_id,
        user_id=caller.user_id,
        key_id=caller.key_id,
        # Last: a name that is new makes a conversation.
        conversation_id=_conversation(caller, slug, client_id, metadata),
        messages=told,
        unit=asked["user"][:80] if asked.get("user") else None,
        max_output_tokens=limit,
        caller_tools=tools,
    )
    return call, model


def _check_options(asked: dict[str, Any]) -> None:
    """Raise InvalidInput for an option of a wrong type: here, not in the middle of a stream."""
    for name, kind, wanted in _OPTIONS:
        value = asked.get(name)
        if value is not None and not isinstance(value, kind):
            raise InvalidInput(name, value, wanted)
    for name in ("conversation", "conversation_id", "client_id"):
        value = (asked.get("metadata") or {}).get(name)
        if value is not None and not isinstance(value, str):
            raise InvalidInput(f"metadata.{name}", value, "a string")


def _limit(asked: dict[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        limit = asked.get(name)
        if limit is None:
            continue
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise InvalidInput(name, limit, "a whole number from 1")
        return limit
    return None


def _tools(asked: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Tools that the caller runs itself."""
    tools = asked.get("tools") or []
    if len(tools) > MAX_TOOLS:
        raise InvalidInput("tools", f"{len(tools)} tools", f"at most {MAX_TOOLS}")
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or tool.get("type", "function") != "function":
            raise InvalidInput(where, tool, "a function tool")
        name = function.get("name")
        if not isinstance(name, str) or not _TOOL_NAME.fullmatch(name):
            raise InvalidInput(f"{where}.function.name", name, "1 to 64 of a-z, A-Z, 0-9, _ and -")
        for part, kind, wanted in (("description", str, "a string"),
                                   ("parameters", dict, "a JSON Schema")):  # fmt: skip
            value = function.get(part)
            if value is not None and not isinstance(value, kind):
                raise InvalidInput(f"{where}.function.{part}", value, wanted)
    return tuple(tools)


def _conversation(
    caller: Caller, agent: str, client_id: UUID, metadata: dict[str, Any]
) -> UUID | None:
    """``conversation_id`` names one that there is; ``conversation`` one by the caller's name."""
    if name := metadata.get("conversation"):
        talk = conversations.join(caller=caller, agent=agent, client_id=client_id, external_id=name)
        return talk.pk
    found = doors.conversation_for(caller, metadata.get("conversation_id"))
    if found is not None:
        talk = conversations.find(caller, found)
        conversations.check_agent(talk, agent)
        conversations.check_open(talk)
    return found
