"""A JSON value that fits a schema, its properties filled by name from what is known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agents.offline_model.inputs import coerce, types_of
from agents.offline_model.planning import resolve
from agents.offline_model.writing import CONCLUSION_KEYS, value_text

# Property names that ask for the answer in words.
PROSE_NAMES = frozenset(
    {"answer", "text", "memo", "report", "content", "message", "explanation", "reason", "rationale",
     "reasoning", "narrative", "details", "body", "response"}
) | frozenset(CONCLUSION_KEYS)  # fmt: skip
MAX_DEPTH = 12


class SchemaFiller:
    """Fills one schema. ``levels`` are known values by name, the most trusted first."""

    def __init__(
        self, root: Mapping[str, Any], levels: Sequence[Mapping[str, Any]], prose: str, closing: str
    ) -> None:
        self._root, self._levels, self._prose, self._closing = root, levels, prose, closing
        self._by_words = {
            frozenset(re.findall(r"[a-z0-9]+", key.lower())): value
            for level in reversed(levels)
            for key, value in level.items()
        }

    def fill(self) -> Any:
        """A value for the whole schema; every required property is present and of its type."""
        return self._value("", self._root, None, 0)

    def _value(self, name: str, schema: Mapping[str, Any], given: Any, depth: int) -> Any:
        schema = self._chosen(resolve(schema, self._root), given)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._choice(schema["enum"], given)
        types = types_of(schema)
        if "object" in types or (not types and "properties" in schema):
            return self._object(schema, given if isinstance(given, Mapping) else {}, depth)
        if "array" in types:
            return self._array(name, schema, given, depth)
        if given is None and "null" in types:
            return None
        return self._scalar(name, schema, types, given)

    def _chosen(self, schema: Mapping[str, Any], given: Any) -> Mapping[str, Any]:
        """The branch of anyOf/oneOf that fits ``given``, else the first that isn't null."""
        branches = [
            resolve(b, self._root) for b in schema.get("anyOf") or schema.get("oneOf") or ()
        ]
        if not branches:
            return schema
        if given is None:
            return next((b for b in branches if b.get("type") == "null"), branches[0])
        return next((b for b in branches if type_name(given) in types_of(b)), branches[0])

    def _object(self, schema: Mapping[str, Any], given: Mapping[str, Any], depth: int) -> Any:
        required = set(schema.get("required") or ())
        filled: dict[str, Any] = {}
        if depth >= MAX_DEPTH:
            return filled
        for name, inner in (schema.get("properties") or {}).items():
            value = given[name] if name in given else self._known(name, depth)
            if value is not None or name in required:
                filled[name] = self._value(name, inner, value, depth + 1)
        return filled

    def _known(self, name: str, depth: int) -> Any:
        """What is known under ``name``: exactly, or with the same words in another order."""
        for level in self._levels:
            if level.get(name) is not None:
                return level[name]
        if depth > 1:
            return None
        return self._by_words.get(frozenset(re.findall(r"[a-z0-9]+", name.lower())))

    def _array(self, name: str, schema: Mapping[str, Any], given: Any, depth: int) -> list[Any]:
        items = schema.get("items") or {}
        if isinstance(given, str):
            given = coerce(given, schema)
        values = list(given) if isinstance(given, list) else [] if given is None else [given]
        values = values[: schema.get("maxItems", len(values))]
        filled = [self._value(name, items, one, depth + 1) for one in values]
        while len(filled) < schema.get("minItems", 0) and depth < MAX_DEPTH:
            filled.append(self._value(name, items, None, depth + 1))
        return filled

    def _choice(self, choices: Sequence[Any], given: Any) -> Any:
        """The choice given, else the one that the conclusion or the text names, else the first."""
        wanted = value_text(given).casefold()
        for choice in choices:
            if str(choice).casefold() == wanted:
                return choice
        for text in (wanted, self._closing.casefold(), self._prose.casefold()):
            for choice in choices:
                if re.search(rf"\b{re.escape(str(choice).casefold())}\b", text):
                    return choice
        return choices[0]

    def _scalar(self, name: str, schema: Mapping[str, Any], types: set[str], given: Any) -> Any:
        if "boolean" in types and (isinstance(given, bool) or types <= {"boolean", "null"}):
            return given if isinstance(given, bool) else coerce(str(given), schema) is True
        if types & {"number", "integer"} and not ("string" in types and isinstance(given, str)):
            return self._number(schema, types, given)
        if given is None or isinstance(given, Mapping | list):
            given = self._closing or self._prose if _asks_for_prose(name) else given
        text = "not available" if given is None else value_text(given)
        if name in {"answer", "text", "memo", "report", "content", "body", "response"}:
            text = self._prose or text
        return text[: schema.get("maxLength", len(text))]

    def _number(self, schema: Mapping[str, Any], types: set[str], given: Any) -> int | float:
        value = coerce(given, {"type": "number"}) if isinstance(given, str) else given
        if isinstance(value, bool) or not isinstance(value, int | float):
            value = len(given) if isinstance(given, list) else 0
        value = max(value, schema.get("minimum", value))
        value = min(value, schema.get("maximum", value))
        return round(value) if "number" not in types else value


def _asks_for_prose(name: str) -> bool:
    return name in PROSE_NAMES or name.rpartition("_")[2] in PROSE_NAMES


def type_name(value: Any) -> str:
    """The JSON type of ``value``."""
    if isinstance(value, bool):
        return "boolean"
    names = {int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")
