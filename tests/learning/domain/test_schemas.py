from __future__ import annotations

from jsonschema import Draft202012Validator

from learning.domain.schemas import schema_of, tool_of

CALLS = [
    {"client": f"Client {n}", "day": f"2026-01-0{n % 9 + 1}", "amount": n * 1.5 if n % 2 else n,
     "kind": "in" if n % 2 else "out", "lines": [{"id": n, "note": None}], "is_final": True,
     **({"memo": "x"} if n < 3 else {})}
    for n in range(12)
]  # fmt: skip


def test_a_schema_fits_every_call_it_was_made_from_and_names_types():
    schema = schema_of(CALLS)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert all(validator.is_valid(call) for call in CALLS)
    properties = schema["properties"]
    assert properties["amount"] == {"type": "number"}
    assert properties["day"] == {"type": "string", "format": "date"}
    assert properties["kind"]["enum"] == ["in", "out"]
    assert properties["lines"]["items"]["properties"]["id"] == {"type": "integer"}
    assert properties["is_final"] == {"type": "boolean"}
    assert "memo" not in schema["required"] and "client" in schema["required"]
    assert "Client 3" not in str(schema)


def test_a_tool_gets_a_name_that_models_take():
    tool = tool_of("Tax: rate lookup!", [], purpose="Asked for.")
    assert tool["name"] == "tax_rate_lookup"
    assert tool["parameters"] == {"type": "object", "properties": {}, "required": []}
