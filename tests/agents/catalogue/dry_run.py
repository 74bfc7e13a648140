"""Run a catalogue case as the platform would: a plain tool loop around a chat function."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import yaml

from agents.offline_model.answering import Behaviour, answer
from agents.tools import registry
from config.errors import AppError

# The model stops after four rounds; one more is its answer.
MAX_ROUNDS = 6

Message = dict[str, Any]
Chat = Callable[[dict[str, Any]], Message]


def entries_of(path: Path) -> list[dict[str, Any]]:
    """The agents of one catalogue file, as written."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["agents"]


def wire_name(tool: str) -> str:
    """A tool's name as the protocol allows it: no dots."""
    return tool.replace(".", "__")


@cache
def offer(name: str) -> dict[str, Any]:
    """A registered tool in the protocol's shape."""
    found = registry.get(name)
    function = {
        "name": wire_name(found.name),
        "description": found.description,
        "parameters": found.parameters,
    }
    return {"type": "function", "function": function}


def in_process(seed: int = 0) -> Chat:
    """The offline model without its socket."""

    def chat(request: dict[str, Any]) -> Message:
        reply = answer(request, Behaviour(), seed=seed)
        calls = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in reply.tool_calls
        ]
        if calls:
            return {"role": "assistant", "content": None, "tool_calls": calls}
        return {"role": "assistant", "content": reply.text}

    return chat


def run_case(
    entry: Mapping[str, Any],
    inputs: Mapping[str, Any],
    chat: Chat,
    *,
    tools: Iterable[str] | None = None,
    model: str = "offline-standard",
) -> str:
    """The answer of ``entry`` to ``inputs``, with its own tools or with ``tools``."""
    names = list(entry.get("tools") or () if tools is None else tools)
    prompt = jinja2.Template(entry["prompt"]).render(**inputs)
    messages: list[Message] = [
        {"role": "system", "content": prompt},
        {"role": "user", "content": json.dumps(inputs, ensure_ascii=False)},
    ]
    by_wire_name = {wire_name(name): name for name in names}
    for _round in range(MAX_ROUNDS):
        request: dict[str, Any] = {"model": model, "messages": messages}
        if names:
            request["tools"] = [offer(name) for name in names]
        message = chat(request)
        if not message.get("tool_calls"):
            return message["content"]
        messages.append(message)
        for call in message["tool_calls"]:
            function = call["function"]
            content = call_tool(by_wire_name[function["name"]], json.loads(function["arguments"]))
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})
    raise AssertionError(f"no answer after {MAX_ROUNDS} rounds")


def call_tool(name: str, arguments: dict[str, Any]) -> str:
    """The tool's result as the JSON text that a model reads; its error if it has one."""
    try:
        result = registry.get(name).call(arguments)
    except AppError as error:
        result = {"error": error.as_dict()}
    return json.dumps(result, ensure_ascii=False, default=str)
