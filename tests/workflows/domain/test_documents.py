"""Definitions as text: lines, duplicates, and what is too much."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from config.errors import InvalidDocument, InvalidInput
from workflows.domain.documents import MAX_CHARACTERS, json_text, parse


def test_every_path_knows_its_line() -> None:
    document = parse("name: x\nsteps:\n  a:\n    tool: t\n    with: {k: [1,\n      2]}\n")
    assert document.line(("steps", "a", "tool")) == 4
    assert document.line(("steps", "a", "with", "k", 1)) == 6
    assert document.line(("steps", "a", "nothing", "here")) == 3


def test_keys_are_the_words_that_were_written() -> None:
    assert parse("on: 1\nyes: 2\n2026-01-02: 3\n").value == {"on": 1, "yes": 2, "2026-01-02": 3}


def test_values_are_json_values() -> None:
    assert parse("[1, 1.5, x, true, null, 2026-01-02]").value == [
        1, 1.5, "x", True, None, "2026-01-02",
    ]  # fmt: skip


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", None, "is empty"),
        ("a: 1\na: 2\n", 2, "the key 'a' twice"),
        ("a: [1\n", 2, "not closed by"),
        ("a: 1\n b: 2\n", 2, "where none can be"),
        ("a: !!python/object:os.system x", 1, "has a tag"),
        ("a: &a [*a]", 1, "deep"),
        ('a: "\\0"', 1, "NUL"),
        (BOMB, None, "values"),
        ("x" * (MAX_CHARACTERS + 1), None, str(MAX_CHARACTERS)),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(
    text: str, line: int | None, says: str
) -> None:
    with pytest.raises(InvalidDocument, match=says) as caught:
        parse(text)
    assert caught.value.faults[0]["line"] == line


def test_endless_values_are_refused_before_they_take_half_a_gigabyte(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(yaml, "compose", None)
    with pytest.raises(InvalidDocument, match="more than 200000 values"):
        parse("a: [" + "1," * 500_000 + "1]")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except InvalidDocument as error:
        assert error.faults


@pytest.mark.parametrize("value", [{"a": "\\u0000"}, "\\", 1, None, {"é": [1.5]}])
def test_json_that_a_row_can_hold_passes(value: object) -> None:
    assert json_text(value, field="f")


@pytest.mark.parametrize("value", ["\0", "\\\0", {"\0": 1}, "\ud800", float("nan"), [float("inf")]])
def test_json_that_no_row_can_hold_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match="f: "):
        json_text(value, field="f")
