"""Which JSON types a CEL expression can give, as far as its form alone says so.

Only what is certain: an expression over no names is evaluated; of others the outermost call, macro
or operator is looked at. All else may give anything.
"""

from __future__ import annotations

import re
from typing import Any

from workflows.domain.expressions import Expression, ExpressionFailed
from workflows.domain.macros import bare

ANY = frozenset({"string", "integer", "number", "boolean", "object", "array", "null"})
_BOOLEAN, _INTEGER, _STRING = frozenset({"boolean"}), frozenset({"integer"}), frozenset({"string"})
_LIST = frozenset({"array"})
# Times, durations and bytes are text in JSON.
_CALLS = {
    "size": _INTEGER, "int": _INTEGER, "uint": _INTEGER, "double": frozenset({"number"}),
    "string": _STRING, "bytes": _STRING, "timestamp": _STRING, "duration": _STRING,
    "bool": _BOOLEAN, "has": _BOOLEAN,
}  # fmt: skip
_METHODS = {
    "size": _INTEGER, "startsWith": _BOOLEAN, "endsWith": _BOOLEAN, "contains": _BOOLEAN,
    "matches": _BOOLEAN, "map": _LIST, "filter": _LIST, "all": _BOOLEAN, "exists": _BOOLEAN,
    "exists_one": _BOOLEAN,
}  # fmt: skip
_CALL = re.compile(r"(?P<receiver>(?:[A-Za-z_]\w*(?:\.|\[\d+\]\.))*)(?P<name>[A-Za-z_]\w*)\s*\(")
# The outermost of these gives what it gives whatever stands beside it; what binds less tightly
# (&& || ?) hides them.
_LOOSE = re.compile(r"&&|\|\||\?|:")
_COMPARING = re.compile(r"==|!=|<=|>=|<|>|(?<![\w.])in(?!\w)")
_COUNTING = re.compile(r"(?<=[\w)\]'}])\s*[-+*/%]")


def types_given(expression: Expression) -> frozenset[str]:
    """The types that the value of ``expression`` may have; all of them where it does not say."""
    if expression.path is not None:
        return ANY
    if not expression.names:
        return _constant(expression)
    text = bare(expression.source)
    outer = _outermost(text)
    if _LOOSE.search(outer):
        return ANY
    if _COMPARING.search(outer):
        return _BOOLEAN
    if _COUNTING.search(outer):  # numbers, and sums of texts, lists, mappings, times
        return frozenset({"integer", "number", "string", "array", "object"})
    return _called(text)


def _constant(expression: Expression) -> frozenset[str]:
    try:
        return _type_of(expression.evaluate({}))
    except ExpressionFailed:
        return ANY


def _type_of(value: Any) -> frozenset[str]:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array",
             dict: "object", type(None): "null"}  # fmt: skip
    found = kinds.get(type(value))
    return ANY if found is None else frozenset({found})


def _outermost(text: str) -> str:
    """``text`` with all that stands in brackets blanked, the brackets left."""
    depth, found = 0, []
    for character in text:
        depth -= character in ")]}"
        found.append(character if depth == 0 else " ")
        depth += character in "([{"
    return "".join(found)


def _called(text: str) -> frozenset[str]:
    """Of one call that spans the whole text: on a plain path, or by its name alone."""
    call = _CALL.match(text)
    if call is None or _outermost(text)[call.end() :].strip() != ")":
        return ANY
    return (_METHODS if call["receiver"] else _CALLS).get(call["name"], ANY)
