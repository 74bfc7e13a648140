"""The JSON Schema of a tool that is missing, from what models asked it with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

# Properties in more calls than this share of all are required.
REQUIRED_RATIO = 0.9
# So few different words in so many calls are a choice.
MOST_CHOICES, CALLS_FOR_CHOICES = 5, 10
MOST_PROPERTIES, MOST_DEPTH = 30, 4
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_NAME = re.compile(r"[^a-z0-9_]+")


def schema_of(calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A schema that every one of ``calls`` fits; values themselves stay out, but for choices."""
    return _object([dict(call) for call in calls], 0)


def _object(values: Sequence[Mapping[str, Any]], depth: int) -> dict[str, Any]:
    names: dict[str, list[Any]] = {}
    for value in values:
        for name, one in value.items():
            names.setdefault(str(name), []).append(one)
    kept = sorted(names, key=lambda name: (-len(names[name]), name))[:MOST_PROPERTIES]
    required = sorted(n for n in kept if len(names[n]) >= REQUIRED_RATIO * max(len(values), 1))
    return {
        "type": "object",
        "properties": {name: _value(names[name], depth + 1) for name in sorted(kept)},
        "required": required,
    }


def _value(values: Sequence[Any], depth: int) -> dict[str, Any]:
    given = [value for value in values if value is not None]
    kinds = sorted({_kind(value) for value in given})
    if kinds == ["integer", "number"]:
        kinds = ["number"]
    if len(given) < len(values):
        kinds.append("null")
    schema: dict[str, Any] = {"type": kinds[0] if len(kinds) == 1 else kinds or "null"}
    if kinds[:1] == ["object"] and depth < MOST_DEPTH:
        schema |= _object(given, depth)
    elif kinds[:1] == ["array"] and depth < MOST_DEPTH:
        items = [item for value in given for item in value]
        schema["items"] = _value(items, depth + 1) if items else {}
    elif kinds[:1] == ["string"]:
        schema |= _words(given)
    return schema


def _words(values: Sequence[str]) -> dict[str, Any]:
    if all(_DATE.match(value) for value in values):
        return {"format": "date"}
    choices = sorted(set(values))
    short = all(len(value) <= 24 and " " not in value for value in choices)
    if len(values) >= CALLS_FOR_CHOICES and len(choices) <= MOST_CHOICES and short:
        return {"enum": choices}
    return {}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    for kind, types in (("integer", int), ("number", float), ("string", str), ("array", list)):
        if isinstance(value, types):
            return kind
    return "object"


def tool_of(name: str, calls: Sequence[Mapping[str, Any]], *, purpose: str) -> dict[str, Any]:
    """A tool's declaration as models take it: name, description, parameters."""
    plain = _NAME.sub("_", name.lower()).strip("_")[:64] or "tool"
    return {"name": plain, "description": purpose, "parameters": schema_of(calls)}
