"""How the demo shows a run."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from config.demo.display import Bars, Lines, counts_of, display_for, steps_of


def step(key: str, state: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "state": state, "index": None, "iteration": 0, "items": None, **more}


def run(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"workflow": "annual_audit", "state": "running", "steps": list(steps)}


def test_a_step_is_told_once_when_it_ends_and_not_before() -> None:
    out = io.StringIO()
    lines = Lines(Console(file=out, width=80))
    for state, seconds in (("pending", None), ("running", None), ("succeeded", 1.25)):
        for _ in range(2):
            lines.show(run(step("ingest", state, duration_seconds=seconds)))
    assert [line.split() for line in out.getvalue().splitlines()] == [
        ["ingest", "succeeded", "1.2", "s"]
    ]


def test_a_step_that_waits_for_a_person_is_told_and_told_again_when_it_ends() -> None:
    out = io.StringIO()
    lines = Lines(Console(file=out, width=80))
    for state in ("waiting", "waiting", "succeeded"):
        lines.show(run(step("approval", state, duration_seconds=2.0)))
    assert [line.split()[1] for line in out.getvalue().splitlines()] == ["waiting", "succeeded"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (step("a", "running"), (0, 1)),
        (step("a", "succeeded"), (1, 1)),
        (step("a", "running", items={"total": 8, "succeeded": 3, "failed": 1}), (4, 8)),
        (step("a", "succeeded", items={"total": 0, "succeeded": 0, "failed": 0}), (1, 1)),
    ],
)
def test_a_fan_out_counts_its_items_and_any_other_step_itself(
    given: dict[str, Any], expected: tuple[int, int]
) -> None:
    assert counts_of(given) == expected


def test_items_are_not_steps_and_of_a_loop_the_last_turn_counts() -> None:
    document = run(
        step("each", "running"),
        {**step("each", "succeeded"), "index": 0},
        step("draft", "succeeded"),
        step("draft", "running", iteration=1),
    )
    assert [(row["key"], row["state"]) for row in steps_of(document)] == [
        ("each", "running"),
        ("draft", "running"),
    ]


def test_a_terminal_gets_bars_and_a_pipe_gets_lines() -> None:
    assert isinstance(display_for(Console(file=io.StringIO(), force_terminal=True)), Bars)
    assert isinstance(display_for(Console(file=io.StringIO())), Lines)


def test_bars_show_the_run_and_what_is_under_way() -> None:
    out = io.StringIO()
    with Bars(Console(file=out, force_terminal=True, width=100)) as bars:
        bars.show(run(step("ingest", "succeeded"), step("later", "pending")))
    assert "annual_audit" in out.getvalue()
    assert "ingest" in out.getvalue()
    assert "later" not in out.getvalue()
