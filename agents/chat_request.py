"""A request to ``/v1/chat/completions`` as a call of an agent: read and checked whole."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from django.http import HttpRequest

from agents import bodies, conversations, doors
from agents.calls import Call
from agents.domain.messages import check_messages
from agents.endpoints.values import ANY_OBJECT
from config import schemas
from config.access.callers import Caller
from config.access.ids import uuid7
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


# Taken and checked, never used: how a model draws belongs to the agent's version.
_RANGES = (
    ("temperature", 0, 2), ("top_p", 0, 1),
    ("presence_penalty", -2, 2), ("frequency_penalty", -2, 2),
)  # fmt: skip
MAX_STOPS = 4
MAX_STOP_CHARACTERS = 200


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
        raise InvalidInput("n", asked["n"], "1: an agent gives one answer")
    _check_options(asked)
    told, tools, limit = check_messages(asked["messages"]), _tools(asked), _limit(asked)
    choice, stop, schema = _tool_choice(asked, tools), _stop(asked), _schema(asked)
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
        caller_tools=() if choice == "none" else tools,
        tool_choice=choice,
        stop=stop,
        response_schema=schema,
        # Made with it: a copy of all of this for one more field costs as much as the rest.
        invocation_id=uuid7(),
    )
    return call, model


def _check_options(asked: dict[str, Any]) -> None:
    """Raise InvalidInput for an option of a wrong type: here, not in the middle of a stream."""
    for name, kind, wanted in _OPTIONS:
        value = asked.get(name)
        if value is not None and not isinstance(value, kind):
            raise InvalidInput(name, value, wanted)
    for name, low, high in _RANGES:
        value = asked.get(name)
        if value is not None and (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            raise InvalidInput(name, value, f"a number from {low} to {high}")
    if asked.get("logprobs"):
        raise InvalidInput("logprobs", asked["logprobs"], "false: an agent's answer has none")
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


def _tool_choice(asked: dict[str, Any], tools: tuple[dict[str, Any], ...]) -> Any:
    """``none``, ``auto``, ``required`` or one of the caller's tools; own tools are the agent's."""
    choice = asked.get("tool_choice")
    if choice is None or choice in ("none", "auto"):
        return choice
    names = [tool["function"]["name"] for tool in tools]
    if choice == "required" and tools:
        return choice
    function = choice.get("function") if isinstance(choice, dict) else None
    if isinstance(function, dict) and function.get("name") in names:
        return {"type": "function", "function": {"name": function["name"]}}
    limit = "none, auto, required (with tools), or one of the tools given"
    raise InvalidInput("tool_choice", choice, limit)


def _stop(asked: dict[str, Any]) -> tuple[str, ...]:
    stops = asked.get("stop")
    given = [] if stops is None else [stops] if isinstance(stops, str) else stops
    if (
        not isinstance(given, list)
        or len(given) > MAX_STOPS
        or not all(isinstance(one, str) and 0 < len(one) <= MAX_STOP_CHARACTERS for one in given)
    ):
        limit = f"at most {MAX_STOPS} texts of 1 to {MAX_STOP_CHARACTERS} characters"
        raise InvalidInput("stop", stops, limit)
    return tuple(given)


def _schema(asked: dict[str, Any]) -> dict[str, Any] | None:
    """The JSON Schema that the answer must keep to, if the request states one."""
    form = asked.get("response_format")
    kind = form.get("type") if isinstance(form, dict) else form
    if kind in (None, "text"):
        return None
    if kind == "json_object":
        return ANY_OBJECT
    named = form.get("json_schema") if kind == "json_schema" and isinstance(form, dict) else None
    if not isinstance(named, dict) or not isinstance(schema := named.get("schema"), dict):
        limit = "type text, json_object, or json_schema with a schema"
        raise InvalidInput("response_format", form, limit)
    if fault := schemas.fault_of(schema):
        where = ".".join(["response_format.json_schema.schema", *map(str, fault[0])])
        raise InvalidInput(where, "", fault[1])
    return schema


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
