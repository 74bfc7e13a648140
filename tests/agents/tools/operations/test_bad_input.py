"""Every tax and operations tool on damaged input: a result or a clear refusal, never a crash."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents.tools import registry
from config.errors import InvalidInput

CATALOGUE = Path(__file__).parents[4] / "agents" / "catalogue"
DAMAGE = (None, -1, 0, 10**30, 0.001, "", "x" * 300, "2025-02-30", [], {}, True, float("nan"))


def agents_of(domain: str) -> list[dict[str, Any]]:
    loaded = yaml.load(
        (CATALOGUE / f"{domain}.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )
    found: list[dict[str, Any]] = loaded["agents"]
    return found


AGENTS = [agent for domain in ("tax", "operations") for agent in agents_of(domain)]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to every value inside, containers included, at most the first two of a list."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, child in value.items():
            yield from places(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value[:2]):
            yield from places(child, (*path, index))


def damaged(value: dict[str, Any], path: tuple[Any, ...], by: Any) -> dict[str, Any]:
    result = copy.deepcopy(value)
    inner: Any = result
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = by
    return result


def answer(name: str, given: dict[str, Any]) -> dict[str, Any] | None:
    """The tool's result, or None when it refuses; anything else fails the test."""
    tool = registry.get(name)
    wanted = tool.parameters["properties"]
    try:
        result = tool.call({key: value for key, value in given.items() if key in wanted})
    except InvalidInput as error:
        assert error.field and str(error)
        return None
    assert isinstance(result, dict)
    return result


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent["slug"])
def test_damaged_input_is_answered_or_refused(agent):
    refused = 0
    for case in agent["cases"][:2]:
        for path in places(case["input"]):
            for value in DAMAGE:
                for name in agent["tools"]:
                    result = answer(name, damaged(case["input"], path, value))
                    if result is None:
                        refused += 1
                    else:
                        # Strict JSON: an infinite or undefined figure would be refused here.
                        json.dumps(result, allow_nan=False)
    assert refused > 0


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent["slug"])
def test_changed_figures_change_the_answer(agent):
    """Each case's results differ from those of every other case of the agent."""
    seen = [
        json.dumps([answer(name, case["input"]) for name in agent["tools"]])
        for case in agent["cases"]
    ]
    assert len(set(seen)) == len(seen)
