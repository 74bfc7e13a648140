"""Which of its tools a call offers, and in which wording: where they are many those that the
question is about; in short, unless the full wording costs less."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agents.calls import Call
from agents.domain import discounts, messages, retrieval
from agents.domain.messages import Message
from agents.endpoints import Served
from agents.knowledge import quoting
from agents.resolving import Version
from agents.tools.registry import Tool

Definitions = tuple[dict[str, Any], ...]
# What of a question is read to choose by.
LAST_MESSAGES, MAX_CHARACTERS = 4, 20_000


def narrowed(
    version: Version, inputs: Mapping[str, Any], chat: Sequence[Message] | None = None
) -> Version:
    """``version`` with no more tools than it offers at once: those that the question is about.

    Few tools cost fewer tokens and are mixed up less. What is left out is not there for the call,
    whatever the model says. The choice and its order depend on what was asked alone.
    """
    if len(version.tools) <= version.tools_offered:
        return version
    known = {place: _about(tool) for place, tool in enumerate(version.tools)}
    ranked = retrieval.by_coverage(_question(inputs, chat)[-MAX_CHARACTERS:], known)
    rest = [place for place in known if place not in set(ranked)]
    kept = sorted([*ranked, *rest][: version.tools_offered])
    full = tuple(version.tool_definitions[place] for place in kept)
    lean = tuple(version.lean_definitions[place] for place in kept)
    characters = len(_as_json(full))
    return replace(
        version,
        tools=tuple(version.tools[place] for place in kept),
        tool_definitions=full,
        lean_definitions=lean,
        definition_characters=characters,
        spared_characters=characters - len(_as_json(lean)),
    )


def _question(inputs: Mapping[str, Any], chat: Sequence[Message] | None) -> str:
    """What is asked: of a chat its last messages, because "yes, do that" says nothing alone."""
    if chat:
        return " ".join(messages.text_of(message) for message in chat[-LAST_MESSAGES:])
    return quoting.question_of(inputs, None)


def _about(tool: Tool) -> str:
    """The words that say what a tool is for; those of its name count twice."""
    name = re.sub(r"[._-]+", " ", tool.name)
    arguments = " ".join(tool.parameters.get("properties", {})).replace("_", " ")
    return f"{name} {name} {tool.description} {arguments}"


def definitions(
    call: Call, version: Version, sent: Sequence[Message], served: Sequence[Served]
) -> tuple[Definitions, int]:
    """The definitions to send with ``sent``, and how many characters shorter than in full.

    The first of ``served`` gives the price: it is the one that is asked first.
    """
    spared = version.spared_characters
    if spared <= 0 or not served:
        return version.tool_definitions, 0
    price = served[0].price
    ratio = float(price.cached / price.input) if price.input else 1.0
    if ratio < 1:
        sizes = [len(messages.text_of(message)) for message in sent]
        shared = version.definition_characters + len(_as_json(call.caller_tools))
        shared += sum(sizes[: 1 + len(version.examples)])
        whole = shared + sum(sizes[1 + len(version.examples) :])
        full = discounts.price_in_tokens(shared, whole, cached_ratio=ratio)
        lean = discounts.price_in_tokens(shared - spared, whole - spared, cached_ratio=ratio)
        if full < lean:
            return version.tool_definitions, 0
    return version.lean_definitions, spared


def _as_json(tools: Sequence[dict[str, Any]]) -> str:
    return json.dumps(tools, ensure_ascii=False, default=str) if tools else ""
