"""Holds every tool that a test calls to the schema of what it says it gives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agents.tools import registry
from agents.tools.registry import Tool, ToolContext


@pytest.fixture(autouse=True)
def _tools_give_what_they_say(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    real = Tool.call

    def call(self: Tool, arguments: dict[str, Any], context: ToolContext | None = None) -> Any:
        found = real(self, arguments, context)
        if (validator := _validator(self.name)) is not None:
            fault = next(validator.iter_errors(json.loads(json.dumps(found, default=str))), None)
            assert fault is None, f"{self.name} gives {fault.json_path}: {fault.message}"
        return found

    monkeypatch.setattr(Tool, "call", call)
    yield


@cache
def _validator(name: str) -> Draft202012Validator | None:
    schema = registry.get(name).output_schema
    return None if schema is None else Draft202012Validator(schema)
