"""What an expression's form says of its type holds for every value that it gives."""

from __future__ import annotations

from typing import Any

import pytest

from workflows.domain.expressions import ExpressionFailed, compile_expression
from workflows.domain.giving import ANY, types_given

VALUES: list[Any] = [
    0, 2, -1, 1.5, "", "ab", "true", True, False, None, [], [1, 2], ["ab"], [[1]], {}, {"a": 1},
    {"n": [1]}, "2026-01-01T00:00:00Z", "3s",
]  # fmt: skip
NAMES = {int: "integer", float: "number", str: "string", list: "array", dict: "object",
         bool: "boolean", type(None): "null"}  # fmt: skip
SOURCES = [
    "1 + 1", "'a' + 'b'", "[1, 2]", "{'a': 1}", "null", "!true", "1 > 2 || true", "1.5 * 2.0",
    "x + x", "x - y", "x * y", "-x", "!x", "x + [1]", "x + {'b': 2}", "x == y", "x != null",
    "x < y", "x in [1, 'ab']", "x in y", "x ? 1 : [2]", "x == 1 ? y : 2", "x && y", "x || y",
    "size(x)", "size(x) + 1", "x.size()", "string(x)", "int(x)", "double(x)", "bool(x)",
    "timestamp(x)", "duration(x)", "bytes(x)", "has(x.a)", "has(x.a) ? x.a : 1", "x.map(i, i)",
    "x.filter(i, i == i)", "x.all(i, i == 1)", "x.exists(i, i == 1)", "x.map(i, i)[0]",
    "x.startsWith('a')", "x.contains('a')", "x.contains(1)", "[x, y]", "[x][0]", "{'k': x}",
    "{'k': x}.k", "(x)", "(x + y)", "(x == y)", "[x == y]", "x['a']", "x[0] + 1", "max(1, 2)",
    "timestamp(x) - timestamp(y)", "timestamp(x) + duration(y)", "size(x) == 1 && y",
    "'a, b: c == d' + string(x)", "x.map(i, i == 1)", "string(x).size()", "size([x]) > 0",
]  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
def test_no_value_is_of_another_type_than_the_form_says(source: str) -> None:
    expression = compile_expression(source)
    said = types_given(expression)
    for x in VALUES:
        for y in VALUES:
            try:
                given = expression.evaluate({"x": x, "y": y})
            except ExpressionFailed:
                continue
            assert NAMES[type(given)] in said, (source, x, y, given, said)


@pytest.mark.parametrize(("source", "types"), [
    ("1 + 1", {"integer"}), ("size(x)", {"integer"}), ("x == 1", {"boolean"}),
    ("x.map(i, i)", {"array"}), ("string(x)", {"string"}), ("'' in x", {"boolean"}),
    ("x.a", ANY), ("x ? 1 : 2", ANY), ("(x == 1)", ANY), ("f(x)", ANY),
])  # fmt: skip
def test_only_what_is_certain_is_said(source: str, types: set[str]) -> None:
    assert types_given(compile_expression(source)) == types
