"""Expressions and templates: what they give, what bounds them, how they fail."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.domain.expressions import (
    ExpressionFailed,
    compile_expression,
    compile_template,
    split_template,
)

CONTEXT: dict[str, Any] = {
    "inputs": {"n": 3, "name": "Ada", "xs": [1, 2, 3], "none": None},
    "steps": {"a": {"output": {"v": [10, {"w": 7}]}, "error": None, "state": "succeeded"}},
    "run": {"id": "r"},
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("inputs.n", 3),
        ("inputs.xs[1]", 2),
        ("steps.a.output.v[1].w", 7),
        ("inputs.n + 1", 4),
        ("inputs.n > 2 && inputs.name == 'Ada'", True),
        ("inputs.xs.map(x, x * inputs.n)", [3, 6, 9]),
        ("inputs.xs.filter(x, x > 1).map(y, y + 1)", [3, 4]),
        ("size(inputs.name)", 3),
        ("'steps.zzz' + inputs.name", "steps.zzzAda"),
        ("inputs.none == null", True),
        ("{'a': inputs.n}", {"a": 3}),
        ("true", True),
    ],
)
def test_an_expression_gives_its_value(source: str, value: object) -> None:
    assert compile_expression(source).evaluate(CONTEXT) == value


@pytest.mark.parametrize(
    ("source", "names", "steps"),
    [
        ("steps.a.output", {"steps"}, {"a"}),
        ("steps['b'].output + steps.a.output", {"steps"}, {"a", "b"}),
        ("inputs.xs.map(x, x + run.id)", {"inputs", "run"}, set()),
    ],
)
def test_an_expression_tells_what_it_reads(source: str, names: set[str], steps: set[str]) -> None:
    found = compile_expression(source)
    assert (found.names, found.steps) == (names, steps)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("", "empty"),
        ("1 +", "it ends too early"),
        ("a" * 1001, "limit is 1000"),
        ("(" * 21 + "1" + ")" * 21, "limit is 20"),
        ("[1].map(a, [1].map(b, [1].map(c, 1)))", "more than 2 of map"),
        (r"r'\' == '' || [1].map(a, [1].map(b, [1].map(c, 1))) == [''] ", "more than 2 of map"),
        ("1 // ' \n + [1].map(a, [1].map(b, [1].map(c, 1))).size() // '", "more than 2 of map"),
        ("1 // ''' \n + [1].map(a, [1].map(b, [1].map(c, 1))).size() // '''", "more than 2 of map"),
    ],
)
def test_an_expression_that_is_wrong_or_too_much_is_refused(source: str, says: str) -> None:
    with pytest.raises(ExpressionFailed, match=says):
        compile_expression(source)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("inputs.nope", "there is no 'nope'"),
        ("inputs.nope + 1", "there is no 'nope'"),
        ("inputs.none.x", "has no output"),
        ("inputs.n.x", "of int"),
        ("inputs.xs[9]", "out of range"),
        ("inputs.n / 0", "zero"),
        ("inputs.n + 9223372036854775807", "overflow"),
        ("int(1e300)", "range"),
        ("inputs.n + 'a'", "overload"),
        ("inputs.name.matches('(')", "regex"),
        ("timestamp('x')", "timestamp"),
    ],
)
def test_an_expression_fails_with_a_sentence_and_never_otherwise(source: str, says: str) -> None:
    with pytest.raises(ExpressionFailed, match=says):
        compile_expression(source).evaluate(CONTEXT)


def test_long_lists_are_gone_through_in_pieces_and_in_order() -> None:
    rows = [{"v": n, "tags": [n, n]} for n in range(300)]  # three pieces, the last not whole
    context = {"inputs": {"rows": rows, "two": 2, "none": None}}

    def gives(source: str) -> Any:
        return compile_expression(source).evaluate(context)

    assert gives("inputs.rows.map(r, r.v * inputs.two)") == [n * 2 for n in range(300)]
    assert gives("inputs.rows.filter(r, r.v >= 5).map(r, r.v).size()") == 295
    assert gives("size(inputs.rows .filter (r, r.tags.exists(t, t < 3))) == 3") is True
    assert gives("inputs.none == null ? [] : inputs.none.map(r, r)") == []
    assert gives("inputs.rows.map(r, r.v > 297, 'number ' + string(r.v))") == [
        "number 298", "number 299",
    ]  # fmt: skip
    with pytest.raises(ExpressionFailed, match="w"):
        gives("inputs.rows.map(r, r.w)")


def test_what_a_condition_leaves_out_of_a_long_list_is_no_failure() -> None:
    context = {"inputs": {"rows": list(range(1000)), "are_mappings": False}}
    source = "inputs.are_mappings ? inputs.rows.map(r, r.v) : inputs.rows"
    assert compile_expression(source).evaluate(context) == list(range(1000))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("inputs.xs.map(a, inputs.xs.map(b, a + b))", "would go through"),
        ("inputs.xs.all(a, inputs.xs.all(b, a + b >= 0))", "would go through"),
        ("(inputs.xs + inputs.xs).map(a, a)", "would go through"),
        ("inputs.xs.map(a, inputs.long)", "might give"),
    ],
)
def test_what_would_take_a_worker_for_minutes_is_refused_before_it_begins(
    source: str, says: str
) -> None:
    context = {"inputs": {"xs": list(range(5000)), "long": "x" * 300_000}}
    began = time.monotonic()
    with pytest.raises(ExpressionFailed, match=says):
        compile_expression(source).evaluate(context)
    assert time.monotonic() - began < 60


_LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just({})
)
_SOURCES = (
    "inputs.x", "inputs.x + 1", "inputs.x > 0", "inputs.x[0]", "size(inputs.x)", "-inputs.x",
    "inputs.x.map(y, y)", "inputs.x ? 1 : 2", "inputs.x == inputs.y", "inputs.x + inputs.y",
    "inputs.x % inputs.y", "string(inputs.x)", "int(inputs.x)", "inputs.x.startsWith('a')",
    "inputs.x in inputs.y", "duration(inputs.x)", "timestamp(inputs.x)", "inputs[inputs.x]",
)  # fmt: skip


@given(source=st.sampled_from(_SOURCES), x=_LEAF | st.lists(_LEAF, max_size=3), y=_LEAF)
def test_whatever_the_values_an_expression_gives_or_fails_as_an_expression(
    source: str, x: object, y: object
) -> None:
    try:
        compile_expression(source).evaluate({"inputs": {"x": x, "y": y}})
    except ExpressionFailed as error:
        assert source in str(error)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("${ inputs.n }", 3),
        (" ${ inputs.xs } ", [1, 2, 3]),
        ("n=${ inputs.n }, ${ inputs.name }!", "n=3, Ada!"),
        ("${ {'a': {'b': 1}} }", {"a": {"b": 1}}),
        ("${ '}' + inputs.name }", "}Ada"),
        (r"${ r'\' + inputs.name + '}' }", "\\Ada}"),
        ("${ 'it\\'s }' }", "it's }"),
        ("[${ inputs.none }|${ true }]", "[|true]"),
        ("of ${ inputs.xs }", "of [1, 2, 3]"),
        ("as ${ {'it': [true, null, 'Zoë']} }.", 'as {"it": [true, null, "Zoë"]}.'),
        ({"k": ["${ inputs.n }", 4]}, {"k": [3, 4]}),
        ("no expression, $5 and {braces}", "no expression, $5 and {braces}"),
        (7, 7),
    ],
)
def test_a_template_puts_values_in_and_a_lone_one_keeps_its_type(
    template: object, value: object
) -> None:
    assert compile_template(template).render(CONTEXT) == value


def test_a_template_that_is_never_closed_is_refused() -> None:
    with pytest.raises(ExpressionFailed, match="closing brace"):
        compile_template("a ${ inputs.n")


@given(st.text(alphabet="ab ${}'\"\\", max_size=30))
def test_cutting_a_template_loses_nothing(text: str) -> None:
    try:
        parts = split_template(text)
    except ExpressionFailed:
        return
    assert "".join(p for p, code in parts if not code) in text or any(c for _, c in parts)
    length = sum(len(part) + (3 if code else 0) for part, code in parts)
    assert length <= len(text)
