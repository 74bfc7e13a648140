"""Which tools to call next: every one whose required parameters are known by name."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agents.offline_model.inputs import (
    Said,
    Written,
    coerce,
    json_objects,
    spoken,
    text_of,
    types_of,
    unambiguous,
)

# Rounds of tool calls in one turn; after them the model writes with what it has.
MAX_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call the model asks for; ``arguments`` is JSON text, as the protocol has it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool gave back: ``data`` if it was a JSON object, ``text`` if not."""

    tool: str
    data: dict[str, Any]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """One offered tool: name, description and its parameters' JSON Schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]

    @property
    def properties(self) -> Mapping[str, Any]:
        """Schema of each parameter."""
        return self.parameters.get("properties") or {}

    @property
    def required(self) -> Sequence[str]:
        """Names of the parameters that a call must give."""
        return self.parameters.get("required") or ()

    def schema_of(self, name: str) -> Mapping[str, Any]:
        """Schema of the parameter ``name``, its ``$ref`` followed once."""
        schema = self.properties.get(name) or {}
        return resolve(schema, self.parameters)


def resolve(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """``schema`` with a local ``#/$defs/…`` reference replaced by what it names."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return schema
    target: Any = root
    for part in reference[2:].split("/"):
        target = target.get(part, {}) if isinstance(target, Mapping) else {}
    return target if isinstance(target, Mapping) else {}


def offers_in(tools: Sequence[Mapping[str, Any]] | None) -> list[Offer]:
    """The function tools of a request."""
    return [
        Offer(one["function"]["name"], one["function"].get("description") or "",
              one["function"].get("parameters") or {})
        for one in tools or ()
        if one.get("type") == "function"
    ]  # fmt: skip


class Conversation:
    """The messages of a request, seen as turns: what was said, called and found."""

    def __init__(self, messages: Sequence[Mapping[str, Any]]) -> None:
        last = max((i for i, m in enumerate(messages) if m.get("role") == "user"), default=-1)
        self.system = "\n".join(
            text_of(m) for m in messages if m.get("role") in {"system", "developer"}
        )
        self._earlier_messages = messages[: max(last, 0)]
        self.said = Said(text_of(messages[last])) if last >= 0 else Said("")
        self.calls, self.results = _calls_and_results(messages[last + 1 :])
        self.rounds = sum(1 for m in messages[last + 1 :] if m.get("tool_calls"))

    @cached_property
    def earlier(self) -> list[Said]:
        """What users said in earlier turns, latest first."""
        texts = (text_of(m) for m in self._earlier_messages if m.get("role") == "user")
        return [Said(text) for text in texts][::-1]

    @cached_property
    def earlier_results(self) -> list[Result]:
        """Tool results of earlier turns, in order."""
        return _calls_and_results(self._earlier_messages)[1]

    @cached_property
    def known(self) -> list[Mapping[str, Any]]:
        """Values of this turn by name; the first mapping that has a name decides."""
        found: dict[str, Any] = {}
        for result in self.results:
            found.update(result.data)
        return [self.said.objects, self.said.lines, found, self.said.nested, unambiguous(found)]

    @cached_property
    def remembered(self) -> list[Mapping[str, Any]]:
        """Values of earlier turns by name, latest turn first."""
        found: dict[str, Any] = {}
        for result in self.earlier_results:
            found.update(result.data)
        levels: list[Mapping[str, Any]] = []
        for said in self.earlier:
            levels += [said.objects, said.lines, said.nested]
        return [*levels, found]


def _calls_and_results(
    messages: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, str], list[Result]]:
    calls: dict[str, str] = {}
    results: list[Result] = []
    for message in messages:
        for call in message.get("tool_calls") or ():
            calls[call["id"]] = call["function"]["name"]
        if message.get("role") == "tool":
            name = calls.get(message.get("tool_call_id", ""), "tool")
            results.append(_result(name, text_of(message)))
    return calls, results


def _result(tool: str, text: str) -> Result:
    try:
        value = json.loads(text)
    except ValueError:
        objects, _around = json_objects(text)  # an object inside markers or a fence
        return Result(tool, objects[0]) if objects else Result(tool, {}, text.strip())
    if isinstance(value, dict):
        return Result(tool, value)
    if isinstance(value, list):
        return Result(tool, {"items": value})
    return Result(tool, {}, str(value))


def fill(offer: Offer, talk: Conversation) -> tuple[dict[str, Any], list[str]]:
    """Arguments for ``offer`` that the conversation states, and the required names it doesn't.

    A turn that gives a JSON object speaks for itself: earlier turns then supply only required
    values that it lacks.
    """
    self_contained = bool(talk.said.objects)
    arguments: dict[str, Any] = {}
    required = set(offer.required)
    for name in offer.properties:
        schema = offer.schema_of(name)
        value = _lookup(name, schema, talk.known)
        if value is None and not self_contained and talk.said.prose:
            value = spoken(name, schema, talk.said.prose)
        if value is None and (name in required or not self_contained):
            value = _recall(name, schema, talk)
        if value is not None:
            arguments[name] = value
    return arguments, [name for name in offer.required if name not in arguments]


def _recall(name: str, schema: Mapping[str, Any], talk: Conversation) -> Any:
    value = _lookup(name, schema, talk.remembered)
    if value is not None:
        return value
    sentences = (spoken(name, schema, said.prose) for said in talk.earlier if said.prose.strip())
    return next((one for one in sentences if one is not None), None)


def _lookup(name: str, schema: Mapping[str, Any], levels: Sequence[Mapping[str, Any]]) -> Any:
    for level in levels:
        if name in level:
            value = level[name]
            if isinstance(level, Written) or "string" not in types_of(schema):
                value = coerce(value, schema)
            if value is not None and _fits(value, schema):
                return value
    return None


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a call with ``value`` is worth trying: containers must match, scalars may differ."""
    types = types_of(schema)
    if not types:
        return True
    if isinstance(value, list):
        return "array" in types
    if isinstance(value, dict):
        return "object" in types
    return bool(types & {"string", "number", "integer", "boolean"})


def next_calls(offers: Sequence[Offer], talk: Conversation, key: str) -> list[ToolCall]:
    """The calls of the next round: none when rounds are used up or nothing new can be called."""
    if talk.rounds >= MAX_ROUNDS:
        return []
    called = set(talk.calls.values())
    calls: list[ToolCall] = []
    for offer in offers:
        if offer.name not in called:
            arguments, missing = fill(offer, talk)
            if not missing and (arguments or not offer.properties or talk.said.objects):
                calls.append(make_call(offer.name, arguments, f"{key}/{talk.rounds}/{len(calls)}"))
    return calls


def make_call(name: str, arguments: Mapping[str, Any], key: str) -> ToolCall:
    """A call with an id that is the same for the same request and place."""
    digest = hashlib.blake2b(key.encode(), digest_size=12).hexdigest()
    return ToolCall(f"call_{digest}", name, json.dumps(arguments, ensure_ascii=False))


def partly_filled(offers: Sequence[Offer], talk: Conversation) -> list[tuple[Offer, list[str]]]:
    """Tools that were not called for want of values, nearest to callable first.

    Nearest: most of its required values known, then most words shared with the message, then
    fewest missing, then the order offered.
    """
    called = set(talk.calls.values())
    words = set(_words(talk.said.prose))
    lacking = []
    for place, offer in enumerate(offers):
        arguments, missing = fill(offer, talk)
        if offer.name not in called and missing:
            have = sum(1 for name in offer.required if name in arguments)
            shared = len(words.intersection(_words(f"{offer.name} {offer.description}")))
            lacking.append(((-have, -shared, len(missing), place), offer, missing))
    return [(offer, missing) for _order, offer, missing in sorted(lacking, key=lambda x: x[0])]


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]{4,}", text.casefold().replace("_", " "))
