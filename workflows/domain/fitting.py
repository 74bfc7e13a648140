"""Which JSON types a value may have, as far as it can be known before a run, and where they fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows.domain.expressions import (
    Expression,
    ExpressionFailed,
    compile_expression,
    split_template,
)
from workflows.domain.giving import ANY as TYPES
from workflows.domain.giving import types_given

# What a tool's arguments take besides the type itself: pydantic reads numbers from text.
_READ_AS: dict[str, frozenset[str]] = {
    "string": frozenset({"integer", "number", "boolean"}),
    "integer": frozenset({"number", "boolean"}),
    "number": frozenset({"integer", "boolean"}),
    "boolean": frozenset({"integer", "number"}),
}


def types_in(schema: Any, root: Mapping[str, Any] | None = None, depth: int = 0) -> frozenset[str]:
    """The types that a JSON Schema admits; all of them where it does not say."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > 20:
        return TYPES
    if isinstance(ref := schema.get("$ref"), str):
        target = (root.get("$defs") or {}).get(ref.rpartition("/")[2])
        return types_in(target, root, depth + 1) if ref.startswith("#/$defs/") else TYPES
    found = TYPES
    if "type" in schema:
        named = schema["type"]
        found = frozenset(named if isinstance(named, list) else [named])
    for word in ("anyOf", "oneOf"):
        if isinstance(parts := schema.get(word), list):
            found &= frozenset().union(*(_wide(types_in(p, root, depth + 1)) for p in parts))
    return _wide(found)


def _wide(types: frozenset[str]) -> frozenset[str]:
    return types | {"integer"} if "number" in types else types


def types_of(value: Any, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> frozenset[str]:
    """The types that ``value`` may come to: of a template, of a path into the inputs.

    ``inputs`` is the workflow's JSON Schema, ``outputs`` what is known of steps' outputs, too. A
    value without an expression is not judged here.
    """
    if not isinstance(value, str) or "${" not in value:
        return TYPES
    try:
        parts = split_template(value.strip())
        if len(parts) > 1:
            return frozenset({"string"})
        expression = compile_expression(parts[0][0])
    except ExpressionFailed:
        return TYPES
    return types_from(expression, inputs, outputs)


def types_from(
    expression: Expression, inputs: Mapping[str, Any], outputs: Mapping[str, Any]
) -> frozenset[str]:
    """The types of what an expression's path leads to, or that its form says."""
    path = expression.path
    if path is None:
        return types_given(expression)
    if path and path[0] == "inputs":
        return _types_below(inputs, path[1:]) if len(path) > 1 else frozenset({"object"})
    if path and len(path) > 2 and path[0] == "steps" and path[2] == "output":
        return _types_below(outputs.get(str(path[1])), path[3:])
    return TYPES


def _types_below(schema: Any, path: tuple[str | int, ...]) -> frozenset[str]:
    root = schema
    for part in path:
        if not isinstance(schema, dict) or "$ref" in schema:
            return TYPES
        schema = (
            schema.get("items")
            if isinstance(part, int)
            else (schema.get("properties") or {}).get(part)
        )
    return types_in(schema, root)


def missing_field(
    schema: Any, path: tuple[str | int, ...]
) -> tuple[str, frozenset[str]] | None:  # fmt: skip
    """The first name on ``path`` that a value of ``schema`` can't have, and those that it may.

    None where all may be there: only an object that is closed to others (``additionalProperties``
    false) says what is not.
    """
    root = schema
    for part in path:
        schema = _resolved(schema, root)
        if not isinstance(schema, dict):
            return None
        if isinstance(part, int):
            schema = schema.get("items")
            continue
        properties = schema.get("properties") or {}
        if part not in properties and schema.get("additionalProperties") is False:
            return part, frozenset(properties)
        schema = properties.get(part)
    return None


def _resolved(schema: Any, root: Any) -> Any:
    """What ``schema`` points at; of alternatives, the only one that is not null."""
    for _ in range(20):
        if not isinstance(schema, dict):
            return None
        if isinstance(ref := schema.get("$ref"), str):
            schema = (root.get("$defs") or {}).get(ref.rpartition("/")[2])
        elif isinstance(parts := schema.get("anyOf"), list):
            solid = [part for part in parts if part != {"type": "null"}]
            schema = solid[0] if len(solid) == 1 else None
        else:
            return schema
    return None


def misfit(given: frozenset[str], wanted: frozenset[str], *, strictly: bool) -> str:
    """Why a value of these types can never be taken; empty if it may be.

    ``strictly``: as JSON Schema compares, not as a tool reads its arguments.
    """
    takes = wanted
    offered = _wide(given) if "number" in given else given
    if not strictly:
        offered = offered.union(*(_READ_AS.get(one, frozenset()) for one in given))
    if offered & takes or ("integer" in offered and "number" in takes):
        return ""
    return f"gives {_listed(given)}, where {_listed(wanted)} is wanted"


def _listed(types: frozenset[str]) -> str:
    plain = sorted(types - {"null"} - ({"integer"} if "number" in types else set()))
    return " or ".join(plain or ["null"])
