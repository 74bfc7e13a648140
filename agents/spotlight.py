"""Marks around what a model must read as data: results of tools, and what was said before."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from agents.calls import Call
from agents.domain import messages
from agents.domain.guardrails.untrusted import Mark
from agents.domain.messages import Message
from agents.resolving import Choice
from agents.tools.registry import Tool
from agents.work import Work

# The tag of tools that fetch what strangers wrote.
UNTRUSTED = "untrusted"


def shine(call: Call, choice: Choice, work: Work) -> None:
    """Mark what of ``work.messages`` is data, and say so in the prompt; tools follow suit.

    All turns of a conversation get the same mark, so that a provider that remembers the beginning
    of a prompt knows it again. Nobody outside can know it, and it is taken out of all that it
    stands around.
    """
    said = call.messages or []
    if len(said) < 2 and not any(map(brings_text, choice.version.all_tools)):
        return
    nonce = hmac.new(choice.version.canary.encode(), _name(call, work).encode(), hashlib.sha256)
    mark = work.mark = Mark(nonce.hexdigest()[:16])
    first, *rest = work.messages
    start, order = len(rest) - len(said), messages.order_in(said) if said else -1
    work.messages = [
        {**first, "content": f"{first['content']}\n{mark.rule}"},
        *rest[:start],
        *(_marked(m, mark, is_order=n == order) for n, m in enumerate(rest[start:])),
    ]


def _name(call: Call, work: Work) -> str:
    """What is the same in all turns of a conversation and in no other client's."""
    if call.conversation_id is not None:
        return f"{call.client_id} {call.conversation_id}"
    if call.messages:
        first = next((m for m in call.messages if m["role"] == "user"), call.messages[0])
        return f"{call.client_id} {messages.text_of(first)}"
    return json.dumps([str(call.client_id), *map(messages.text_of, work.messages)])


def told(content: str, tool: Tool | None, work: Work) -> str:
    """The result of a tool as a model reads it."""
    if work.mark is None or tool is None or not brings_text(tool):
        return content
    return work.mark.around(content, "tool_result")


def brings_text(tool: Tool) -> bool:
    """Whether a tool's result holds text from outside: files, pages, other systems.

    A computation only repeats the input, which was looked at, in words of our own.
    """
    return tool.wants_context or UNTRUSTED in tool.tags


def _marked(message: Message, mark: Mark, *, is_order: bool) -> Message:
    """What a person said last is the order; the agent's own turns would teach it to write marks."""
    role = message["role"]
    name = "tool_result" if role == "tool" else "earlier" if role == "user" else ""
    if not name or (role == "user" and is_order):
        return message
    marked: dict[str, Any] = {**message, "content": mark.around(messages.text_of(message), name)}
    return marked
