"""Schemas of strangers: nothing is fetched, nothing takes long, and what is wrong is said."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config import schemas

SLOW = "(a+)+$"
TEXT = "a" * 200 + "b"


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """An address that serves a schema, and the paths that were asked for."""
    paths: list[str] = []

    class Serving(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Serving) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/schema", paths
        server.shutdown()


def doubling(levels: int) -> dict[str, Any]:
    defs: dict[str, Any] = {
        f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)
    }
    return {"$defs": {**defs, f"d{levels}": {}}, "$ref": "#/$defs/d0"}


def test_a_reference_elsewhere_is_refused_and_never_followed(
    asked: tuple[str, list[str]], tmp_path: Path
) -> None:
    address, paths = asked
    (tmp_path / "s.json").write_text("{}")
    for ref in (address, f"file://{tmp_path}/s.json", "#/$defs/none"):
        schema = {"properties": {"a": {"$ref": ref}}}
        assert schemas.fault_of(schema) == (
            ("properties", "a", "$ref"),
            f"{ref!r} is nothing in this schema; nothing else is read",
        )
        (error,) = schemas.errors(schema, {"a": 1})
        assert "nothing else is read" in error.message
    assert paths == []


def test_references_inside_are_followed() -> None:
    schema = {"$defs": {"x": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/x"}}}
    assert schemas.fault_of(schema) is None
    assert schemas.first_error(schema, {"a": "yes"}) is None
    assert schemas.first_error(schema, {"a": 1}).message == "1 is not of type 'string'"  # type: ignore[union-attr]


def nested(levels: int) -> dict[str, Any]:
    return {"a": nested(levels - 1)} if levels else {}


TWICE = {"$dynamicAnchor": "n", "properties": {"a": {"allOf": [{"$dynamicRef": "#n"}] * 2}}}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (TWICE, nested(40)),
        ({"items": {"anyOf": [{"const": n} for n in range(2_000)]}}, ["x"] * 20_000),
        (
            {"unevaluatedProperties": False, "patternProperties": {SLOW.replace("a+", "a|a"): {}}},
            {"a" * 60 + "b": 1},
        ),
        ({"$ref": "#"}, 1),
        ({"properties": {"a": {"$ref": "#/properties/a"}}}, {"a": 1}),
        (doubling(40), 1),
        ({"pattern": "(.*a){25}$"}, "a" * 60 + "b"),
        ({"items": {"pattern": "^(([a-z])+.)+[A-Z]([a-z])+$"}}, ["a" * 60] * 1_000),
    ],
)
def test_a_schema_without_end_is_an_error_in_bounded_time(
    schema: Any, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schemas, "SCHEMA_SECONDS", 0.3)
    assert schemas.fault_of(schema) is None
    (error,) = schemas.errors(schema, value)
    assert "too long" in error.message


def test_slow_patterns_of_names_end_too() -> None:
    schema = {"patternProperties": {SLOW: {"type": "integer"}}, "additionalProperties": False}
    (error,) = schemas.errors(schema, {TEXT: 1})
    assert "Additional properties" in error.message or "too long" in error.message
    assert not list(schemas.errors(schema, {"aa": 1}))
    (wrong,) = schemas.errors(schema, {"aa": "x"})
    assert wrong.json_path == "$.aa"


@pytest.mark.parametrize(
    ("schema", "where", "why"),
    [
        ({"type": 5}, ("type",), "not a JSON Schema"),
        ({"pattern": "[("}, ("pattern",), "'[('"),
        ({"patternProperties": {"[(": {}}}, ("patternProperties",), "'[('"),
        (7, (), "not a JSON Schema"),
        ({"description": "x" * 70_000}, (), "at most"),
    ],
)
def test_what_is_no_usable_schema_is_said_with_its_place(schema: Any, where: Any, why: str) -> None:
    found = schemas.fault_of(schema)
    assert found is not None and found[0][: len(where)] == where and why in found[1]


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"$schema": []}, ("$schema",)),
        ({"title": "x", "properties": {"a": {"$ref": "#/title/x"}}}, ("properties", "a", "$ref")),
        ({"allOf": [{}], "not": {"$ref": "#/allOf/x"}}, ("not", "$ref")),
        ({"minLength": 3, "not": {"$ref": "#/minLength/x"}}, ("not", "$ref")),
        ({"pattern": "a{1,99999999999999999999}"}, ()),
        ({"pattern": "(" * 20_000 + ")" * 20_000}, ()),
    ],
)
def test_odd_schemas_are_refused_and_break_nothing(schema: Any, where: Any) -> None:
    found = schemas.fault_of(schema)
    assert found is not None and found[0] == where
    assert isinstance(list(schemas.errors(schema, {"a": 1})), list)
    assert isinstance(list(schemas.errors(schema, "a")), list)


def test_a_property_may_be_called_as_a_word_of_schemas_is() -> None:
    schema = {"properties": {"patternProperties": True, "pattern": {}, "$ref": {}}}
    assert schemas.fault_of(schema) is None
    assert schemas.first_error(schema, {"patternProperties": 1}) is None


def test_thousands_of_unique_items_are_told_apart_at_once() -> None:
    items: list[Any] = [{"a": [n, None]} for n in range(20_000)]
    schema = {"uniqueItems": True}
    assert schemas.first_error(schema, items) is None
    assert schemas.first_error(schema, [1, True, "1", [1], {"a": 1}, {"a": True}]) is None
    for twice in ([1, 1.0], [{"a": 1, "b": 2}, {"b": 2, "a": 1}], [[True], [True]], ["a", "a"]):
        assert schemas.first_error(schema, twice) is not None, twice


def test_a_schema_nested_beyond_reason_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(5_000):
        schema = {"not": schema}
    assert schemas.fault_of(schema) is not None


def test_a_schema_that_was_never_checked_breaks_nothing() -> None:
    for broken in ({"type": 5}, {"type": "strnig"}, {"required": 3}, {"properties": []}):
        assert list(schemas.errors(broken, {"a": 1})), broken
