"""Forms out of JSON Schemas."""

from __future__ import annotations

import pytest

from config.errors import InvalidInput
from workflows.forms import fields_of, value_of

SCHEMA = {
    "type": "object",
    "required": ["client", "year"],
    "properties": {
        "client": {"type": "string", "description": "whose it is"},
        "year": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        "risk": {"enum": ["low", "high"], "default": "low"},
        "hours": {"type": "integer"},
        "group": {"type": "boolean"},
        "ledger": {"type": "string", "format": "artifact"},
        "facts": {"type": "object", "default": {"fee": 1}},
    },
}


def test_each_property_becomes_a_field_of_its_kind_in_order():
    kinds = [(field.name, field.kind, field.required) for field in fields_of(SCHEMA)]
    assert kinds == [
        ("client", "text", True), ("year", "either", True), ("risk", "choice", False),
        ("hours", "whole", False), ("group", "flag", False), ("ledger", "file", False),
        ("facts", "json", False),
    ]  # fmt: skip


def test_what_is_posted_is_typed_and_what_is_empty_left_out():
    posted = {"client": " Ada ", "year": "2012", "risk": "high", "hours": "", "group": "on",
              "facts": '{"fee": 2}', "stranger": "x"}  # fmt: skip
    assert value_of(SCHEMA, posted) == {
        "client": "Ada", "year": 2012, "risk": "high", "group": True, "facts": {"fee": 2}
    }  # fmt: skip


def test_a_year_that_is_no_number_stays_text():
    assert value_of(SCHEMA, {"year": "2012/13"})["year"] == "2012/13"


@pytest.mark.parametrize(("name", "text"), [("hours", "many"), ("facts", "{")])
def test_a_value_of_the_wrong_type_names_its_field(name, text):
    with pytest.raises(InvalidInput) as refused:
        value_of(SCHEMA, {name: text})
    assert refused.value.field == name


def test_what_was_typed_is_kept_for_another_try():
    assert fields_of(SCHEMA, {"hours": "many"})[3].initial == "many"
