"""What a conversation tells: values by name, from JSON, "key: value" lines and sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_DECODER = json.JSONDecoder()
MAX_JSON_STARTS = 64
MAX_NESTING = 3

_LINE = re.compile(
    r"^[ \t]*[-*•]?[ \t]*([A-Za-z][\w \-/]{0,60}?)[ \t]*[:=][ \t]*(\S.*?)[ \t]*$", re.M
)
# Thousands apart by a space of any width, a comma or an apostrophe.
_GROUP = r"[ ,'\u00a0\u202f]"
_GROUPED = rf"\d{{1,3}}(?:{_GROUP}\d{{3}})+(?:\.\d+)?"
_NUMBER = re.compile(
    rf"^[-−+]?(?:[$€£]|USD|EUR|GBP)?\s*({_GROUPED}|\d+(?:[.,]\d+)?)"
    r"\s*(%)?\s*(?:USD|EUR|GBP|[$€£])?\.?$"
)
_LINKING = (
    r"\s*(?:\(|:|=)?\s*(?:(?:is|was|are|were|of|at|to|for|about|equals|equal|total(?:s|ling)?|"
    r"amount(?:s|ing)?|a|an|the|only|now|around)\s+){0,3}"
)
_SPOKEN_NUMBER = (
    rf"(?:[$€£]|USD |EUR |GBP )?([-−]?(?:{_GROUPED}|\d+(?:\.\d+)?))"
    r"(?!\w)\s*(%|percent|per cent)?"
)
_YES = frozenset({"yes", "true", "y"})
_NO = frozenset({"no", "false", "n"})

_MARKED = re.compile(r"<<(\w+) ([0-9A-Za-z]{8,})>>\n(.*?)\n<</\1 \2>>", re.DOTALL)
_MARKED_ROLES = ("user", "tool")


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message whose content is a string, a list of parts or null.

    Marks around what is data are no part of it.
    """
    content = message.get("content")
    if isinstance(content, list):
        content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    if not isinstance(content, str):
        return ""
    return _MARKED.sub(r"\3", content) if message.get("role") in _MARKED_ROLES else content


def json_objects(text: str) -> tuple[list[dict[str, Any]], str]:
    """The JSON objects found in ``text``, and the text around them."""
    found: list[dict[str, Any]] = []
    around: list[str] = []
    position = starts = 0
    while (start := text.find("{", position)) >= 0 and starts < MAX_JSON_STARTS:
        starts += 1
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            around.append(text[position : start + 1])
            position = start + 1
            continue
        around.append(text[position:start])
        found.append(value)
        position = end
    around.append(text[position:])
    return found, "\n".join(around)


def snake(name: str) -> str:
    """``name`` as a parameter would be written: "Profit before tax" → profit_before_tax."""
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_")


def number_in(text: str) -> int | float | None:
    """The number that ``text`` is, grouping and currency removed; a percentage as written."""
    match = _NUMBER.match(text.strip())
    if match is None:
        return None
    digits = match[1]
    if re.fullmatch(_GROUPED, digits):
        digits = re.sub(_GROUP, "", digits)
    value = float(digits.replace(",", "."))
    value = -value if text.strip()[0] in "-−" else value
    return int(value) if value.is_integer() and "." not in digits else value


class Written(dict[str, str]):
    """Values as people write them: their type is for the schema to say, unlike JSON's."""


@dataclass(frozen=True)
class Said:
    """One user message, read. Values of JSON objects win over those of "key: value" lines."""

    text: str

    @cached_property
    def _read(self) -> tuple[dict[str, Any], str]:
        objects, around = json_objects(self.text)
        merged: dict[str, Any] = {}
        for one in objects:
            merged.update(one)
        return merged, around

    @property
    def objects(self) -> dict[str, Any]:
        """Top-level keys of all JSON objects in the message."""
        return self._read[0]

    @property
    def prose(self) -> str:
        """The message without its JSON objects."""
        return self._read[1]

    @cached_property
    def lines(self) -> Written:
        """Lines of the form "key: value", keys in snake case."""
        return Written({snake(key): value for key, value in _LINE.findall(self.prose)})

    @cached_property
    def nested(self) -> dict[str, Any]:
        """Keys below the top level that occur once, or with one value only."""
        return unambiguous(self.objects)


def unambiguous(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Keys inside objects of ``tree`` whose value is the same wherever they occur."""
    seen: dict[str, Any] = {}
    clashes: set[str] = set()
    for key, value in _inner(tree, depth=1):
        if key in seen and seen[key] != value:
            clashes.add(key)
        seen.setdefault(key, value)
    return {key: value for key, value in seen.items() if key not in clashes and key not in tree}


def _inner(tree: Mapping[str, Any], depth: int) -> Iterator[tuple[str, Any]]:
    for value in tree.values():
        if isinstance(value, dict) and depth < MAX_NESTING:
            yield from value.items()
            yield from _inner(value, depth + 1)


def coerce(value: Any, schema: Mapping[str, Any]) -> Any:
    """``value`` (as text) in the type that ``schema`` asks for; None if it can't be."""
    if not isinstance(value, str):
        return value
    types = types_of(schema)
    choices = schema.get("enum")
    if choices:
        return next((c for c in choices if str(c).casefold() == value.strip().casefold()), None)
    if types & {"array", "object"}:
        return _structure(value, schema, types)
    if "boolean" in types and value.strip().lower() in _YES | _NO:
        return value.strip().lower() in _YES
    if types & {"number", "integer"}:
        number = number_in(value)
        if number is not None:
            number = _ratio(number, schema) if value.strip().endswith("%") else number
        return value if number is None and "string" in types else number
    return value if "string" in types or not types else None


def _structure(value: str, schema: Mapping[str, Any], types: set[str]) -> Any:
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = None
    if isinstance(parsed, list) and "array" in types:
        return parsed
    if isinstance(parsed, dict) and "object" in types:
        return parsed
    if "array" not in types:
        return None
    items = schema.get("items") or {}
    separator = ";" if ";" in value else ", " if ", " in value else ","
    parts = [coerce(part.strip(), items) for part in value.split(separator) if part.strip()]
    return None if not parts or any(part is None for part in parts) else parts


def types_of(schema: Mapping[str, Any]) -> set[str]:
    """The JSON types that ``schema`` accepts; empty when it doesn't say."""
    found: set[str] = set()
    declared = schema.get("type")
    if declared:
        found.update([declared] if isinstance(declared, str) else declared)
    for branch in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        found |= types_of(branch)
    return found


def spoken(name: str, schema: Mapping[str, Any], text: str) -> Any:
    """The value for ``name`` that a sentence in ``text`` states, or None if it isn't clear."""
    types = types_of(schema)
    words = r"[\s_-]+".join(re.escape(word) for word in _stem(name).split("_"))
    if schema.get("enum"):
        return _one_choice(schema["enum"], text)
    if types & {"number", "integer"} or schema.get("format") == "decimal":
        found = _spoken_numbers(words, text)
        if not found and name in {"year", "fiscal_year", "tax_year"}:
            found = [(year, "") for year in re.findall(r"\b((?:19|20)\d\d)\b", text)]
        distinct = {(re.sub(_GROUP, "", digits), percent) for digits, percent in found}
        if len(distinct) != 1:
            return None
        digits, percent = distinct.pop()
        value = float(digits.replace("−", "-"))
        number = int(value) if value.is_integer() and "." not in digits else value
        return _ratio(number, schema) if percent else number
    if "string" in types:
        return _spoken_name(words, text)
    return None


def _stem(name: str) -> str:
    """``name`` without the unit at its end, which nobody says."""
    return re.sub(r"_(?:usd|eur|amount|seconds|ratio|percent|pct)$", "", name)


def _spoken_numbers(words: str, text: str) -> list[tuple[str, str]]:
    after = re.findall(rf"\b{words}\b{_LINKING}{_SPOKEN_NUMBER}", text, re.I)
    if after:
        return after
    return re.findall(rf"(?<![\w.,]){_SPOKEN_NUMBER}\s+(?:of\s+|in\s+)?{words}\b", text, re.I)


def _spoken_name(words: str, text: str) -> str | None:
    quoted = re.search(rf"\b{words}\b[^.\n\"“]{{0,20}}[\"“]([^\"”\n]{{1,200}})[\"”]", text, re.I)
    if quoted:
        return quoted[1]
    capital = r"([A-Z][\w&.-]*(?:\s+(?:[A-Z][\w&.-]*|&|of|and))*)"
    named = re.findall(rf"(?i:\b{words}\b\s*(?:is|named|called|:|=)?)\s+{capital}", text)
    names = {name.rstrip(" .,") for name in named}
    return names.pop() if len(names) == 1 else None


def _one_choice(choices: list[Any], text: str) -> Any:
    said = [
        choice
        for choice in choices
        if isinstance(choice, str)
        and re.search(rf"\b{re.escape(choice).replace('_', '[ _-]')}\b", text, re.I)
    ]
    return said[0] if len(said) == 1 else None


def _ratio(number: int | float, schema: Mapping[str, Any]) -> int | float:
    """A percentage as a share where the schema's limit says that shares are meant."""
    limit = schema.get("maximum", schema.get("exclusiveMaximum"))
    return number / 100 if limit is not None and limit <= 1 else number
