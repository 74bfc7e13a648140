"""The tools for try-outs."""

from __future__ import annotations

import pytest

from agents.tools import registry
from agents.tools.registry import ToolContext
from config.errors import InvalidInput, Unavailable


def test_echo_gives_back_what_it_gets():
    assert registry.get("core.echo").call({"value": {"a": [1]}}) == {"value": {"a": [1]}}


def test_fail_fails_its_first_attempts_and_then_succeeds():
    tool = registry.get("core.fail")
    for attempt in (1, 2):
        with pytest.raises(Unavailable) as error:
            tool.call({"times": 2}, ToolContext(attempt=attempt))
        assert error.value.retryable
    assert tool.call({"times": 2}, ToolContext(attempt=3)) == {"attempt": 3}


def test_sleep_refuses_a_negative_wait():
    with pytest.raises(InvalidInput, match=r"core\.sleep\.seconds"):
        registry.get("core.sleep").call({"seconds": -1})
    assert registry.get("core.sleep").call({"seconds": 0}) == {"slept_seconds": 0}


def test_a_tool_says_what_it_gives_by_the_types_that_its_function_returns():
    slept = registry.get("core.sleep").output_schema
    assert slept["properties"]["slept_seconds"]["type"] == "number"
    assert registry.get("core.fail").output_schema["required"] == ["attempt"]
    shipped = ("agents.", "learning.", "workflows.")
    said = [
        tool.output_schema
        for tool in registry.all_tools()
        if tool.function.__module__.startswith(shipped)
    ]
    assert len(said) > 50
    assert all(schema is not None and schema["type"] == "object" for schema in said)
    # Each names its fields and closes them, so that a workflow that reads another is refused.
    assert all(schema["properties"] and schema["additionalProperties"] is False for schema in said)


def test_declaring_every_tool_imports_no_numeric_library():
    import subprocess
    import sys

    code = (
        "import sys; from agents.tools import core, ledger, audit;"
        "sys.exit(any(m in sys.modules for m in ('pandas', 'scipy', 'statsmodels', 'sklearn')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
