"""Forms out of JSON Schemas: fields to show, and what was posted back as a value of the schema.

Covers what workflows ask people for: texts, numbers, choices, yes or no, days and files; anything
nested is edited as JSON. The schema itself is checked by the service that takes the value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Field:
    """One input of a form. ``kind``: text, long, number, whole, choice, flag, date, file, json."""

    name: str
    label: str
    kind: str
    required: bool
    help: str
    initial: str
    choices: tuple[str, ...] = ()
    step: str = "any"


def fields_of(
    schema: Mapping[str, Any] | None, posted: Mapping[str, str] | None = None
) -> list[Field]:
    """The fields of an object schema, in the order written; ``posted`` keeps what was typed."""
    if not schema:
        return []
    required = set(schema.get("required", ()))
    return [
        _field(name, part if isinstance(part, dict) else {}, name in required, posted)
        for name, part in schema.get("properties", {}).items()
    ]


def _field(
    name: str, part: Mapping[str, Any], required: bool, posted: Mapping[str, str] | None
) -> Field:
    kind = _kind(part)
    initial = part.get("default", "")
    text = initial if isinstance(initial, str) else json.dumps(initial, indent=2)
    if posted is not None and name in posted:
        text = posted[name]
    words = str(part.get("description", ""))
    return Field(
        name=name,
        label=str(part.get("title") or name.replace("_", " ").capitalize()),
        kind=kind,
        required=required and kind != "flag",
        help=words[:1].upper() + words[1:],
        initial=text,
        choices=tuple(str(one) for one in part.get("enum", ())),
        step="1" if kind == "whole" else "any",
    )


def _kind(part: Mapping[str, Any]) -> str:
    if part.get("format") == "artifact":
        return "file"
    if "enum" in part:
        return "choice"
    if "oneOf" in part or "anyOf" in part:
        inner = part.get("oneOf") or part.get("anyOf") or []
        return (
            "either" if all(_kind(one) in ("text", "number", "whole") for one in inner) else "json"
        )
    kinds = {"string": "text", "integer": "whole", "number": "number", "boolean": "flag"}
    kind = kinds.get(str(part.get("type", "string")), "json")
    if kind == "text" and part.get("format") == "date":
        return "date"
    if kind == "text" and (part.get("maxLength") or 0) > 300:
        return "long"
    return kind


def value_of(schema: Mapping[str, Any] | None, posted: Mapping[str, str]) -> dict[str, Any]:
    """What was posted, typed by the schema; empty fields are left out, so defaults apply.

    Files are left to the caller. Raises InvalidInput for what cannot be read as its type.
    """
    value: dict[str, Any] = {}
    for field in fields_of(schema):
        text = posted.get(field.name, "").strip()
        if field.kind == "flag":
            value[field.name] = field.name in posted
        elif text and field.kind != "file":
            value[field.name] = _read(field, text, schema or {})
    return value


def _read(field: Field, text: str, schema: Mapping[str, Any]) -> Any:
    if field.kind == "either":  # a number if it is one and the schema takes numbers
        return int(text) if text.lstrip("-").isdigit() else text
    if field.kind == "choice":
        options = schema["properties"][field.name]["enum"]
        return next((option for option in options if str(option) == text), text)
    if field.kind in ("text", "long", "date"):
        return text
    try:
        if field.kind == "whole":
            return int(text)
        return float(text) if field.kind == "number" else json.loads(text)
    except ValueError:
        wants = {"whole": "must be a whole number", "number": "must be a number"}
        raise InvalidInput(field.name, text, wants.get(field.kind, "must be JSON")) from None
