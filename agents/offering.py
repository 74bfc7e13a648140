"""Which of its tools a call offers, and in which wording: all, unless its version chooses those
that the question is about; in short, unless the full wording costs less."""

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
from agents.resolving import MOST_TOOLS, Version
from agents.tools.registry import Tool

Definitions = tuple[dict[str, Any], ...]
# What of a question is read to choose by.
LAST_MESSAGES, MAX_CHARACTERS = 4, 20_000
_NAME = re.compile(r"[\w.-]+")


def narrowed(
    version: Version, inputs: Mapping[str, Any], chat: Sequence[Message] | None = None
) -> Version:
    """``version`` with no more tools than it offers at once: those that its prompt names, then
    those that the question is about.

    Few tools cost fewer tokens and are mixed up less. The choice depends on the prompt and on what
    was asked alone; what is left out may come in later (``widened``).
    """
    if len(version.tools) <= version.tools_offered:
        return version
    named = _named(version.tools, version.prompt)
    ranked = _ranked(version.tools, _question(inputs, chat))
    order = list(dict.fromkeys([*named, *ranked, *range(len(version.tools))]))
    most = min(max(version.tools_offered, len(named)), MOST_TOOLS)
    return _offering(version, sorted(order[:most]))


def widened(version: Version, told: Sequence[Message]) -> Version:
    """``version`` with as many tools again at most: those that what was ``told`` of late names,
    a tool that was asked for in vain too, then those that it is about. They come behind those
    that were offered, so that what a provider remembers of the beginning still holds."""
    whole = version.whole
    room = 0 if whole is None else MOST_TOOLS - len(version.tools)
    if whole is None or room <= 0:
        return version
    text = " ".join(messages.text_of(message) for message in told)
    places = {tool.name: place for place, tool in enumerate(whole.tools)}
    offered = [places[tool.name] for tool in version.tools]
    found = dict.fromkeys([*_named(whole.tools, text), *_ranked(whole.tools, text)])
    more = [place for place in found if place not in set(offered)]
    more = more[: min(room, whole.tools_offered)]
    return _offering(whole, [*offered, *more]) if more else version


def _offering(whole: Version, places: Sequence[int]) -> Version:
    full = tuple(whole.tool_definitions[place] for place in places)
    lean = tuple(whole.lean_definitions[place] for place in places)
    characters = len(_as_json(full))
    return replace(
        whole,
        tools=tuple(whole.tools[place] for place in places),
        tool_definitions=full,
        lean_definitions=lean,
        definition_characters=characters,
        spared_characters=characters - len(_as_json(lean)),
        whole=whole,
    )


def _named(tools: Sequence[Tool], text: str) -> list[int]:
    """Places of the tools that a text calls by name."""
    words = set(_NAME.findall(text))
    words |= {word.rstrip(".-") for word in words}  # at the end of a sentence
    return [
        place
        for place, tool in enumerate(tools)
        if tool.name in words or messages.wire_name(tool.name) in words
    ]


def _ranked(tools: Sequence[Tool], text: str) -> list[int]:
    known = {place: _about(tool) for place, tool in enumerate(tools)}
    return retrieval.by_coverage(text[-MAX_CHARACTERS:], known)


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
