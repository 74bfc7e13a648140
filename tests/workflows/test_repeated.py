"""A worker that lost its connection while its finish was committed goes on from what it did."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client as Browser

from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, start
from workflows import engine, items

pytestmark = pytest.mark.django_db(transaction=True)

LIGHT = "tool: core.echo, with: {value: 1}"
HEAVY = "tool: core.sleep, with: {seconds: 0}"
FAILS = "tool: core.fail, with: {times: 9}, retry: {max_attempts: 1}"


@pytest.mark.parametrize(
    ("where", "name", "steps"),
    [
        (engine, "_finish_plainly", f"a: {{{LIGHT}}}\n  b: {{needs: [a], {LIGHT}}}"),
        (engine, "_finish_plainly", f"a: {{{LIGHT}}}\n  b: {{needs: [a], {HEAVY}}}"),
        (engine, "_finish_plainly", f"a: {{{HEAVY}}}\n  b: {{needs: [a], {HEAVY}}}"),
        (engine, "_finish_and_decide",
         f"a: {{{HEAVY}}}\n  b: {{needs: [a], when: \"steps.a.state == 'succeeded'\", {HEAVY}}}"),
        (engine, "_finish_and_decide",
         f'a: {{{HEAVY}, repeat: {{until: "iteration >= 3", max: 5}}}}'),
        (engine, "_finish_and_decide",
         f"a: {{{LIGHT}}}\n  b: {{needs: [a], for_each: [1, 2, 3], {HEAVY}}}"),
        (items, "execute", f"a: {{for_each: [1, 2, 3, 4, 5], max_parallel: 2, {LIGHT}}}"),
        (items, "execute", f"a: {{for_each: [1, 2, 3], {LIGHT}}}"),
        (items, "end_part", f"a: {{for_each: [1], {LIGHT}}}\n  b: {{needs: [a], {HEAVY}}}"),
        (items, "end_part", f"a: {{for_each: [1], {LIGHT}}}\n"
         f"  b: {{needs: [a], when: 'false', {HEAVY}}}\n  c: {{needs: [b], {HEAVY}}}"),
        (items, "execute", f"a: {{for_each: [1, 2, 3, 4, 5], max_parallel: 2, {HEAVY}}}"),
    ],
)  # fmt: skip
def test_a_run_goes_on_at_once_though_its_worker_did_not_hear_that_its_finish_came_through(
    web: Browser, key: Key, broker: Broker, monkeypatch: pytest.MonkeyPatch,
    where: ModuleType, name: str, steps: str,
) -> None:  # fmt: skip
    lost = cut_off_once(broker, monkeypatch, where, name)
    shown = ended(web, key(), broker, steps)
    assert (lost, shown["state"]) == ([name], "succeeded")
    assert {len(step["attempts"]) for step in shown["steps"] if step["attempts"]} == {1}


@pytest.mark.parametrize("name", ["execute", "_fail_fan"])
def test_a_fan_out_fails_at_once_though_its_worker_did_not_hear_that_it_told_so(
    web: Browser, key: Key, broker: Broker, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    lost = cut_off_once(broker, monkeypatch, items, name)
    shown = ended(web, key(), broker, f"a: {{for_each: [1, 2], {FAILS}, on_error: {{go_to: b}}}}\n"
                  f"  b: {{{HEAVY}}}")  # fmt: skip
    states = {step["key"]: step["state"] for step in shown["steps"] if step["index"] is None}
    assert (lost, states) == ([name], {"a": "failed", "b": "succeeded"})


def ended(web: Browser, who: dict[str, str], broker: Broker, steps: str) -> dict[str, Any]:
    """A run once nothing is left to deliver; no sweep comes by."""
    run = start(web, who, f"name: cut_off\nsteps:\n  {steps}\n")["id"]
    broker.drain()
    shown: dict[str, Any] = get(web, f"runs/{run}?items=all", who).json()
    return shown


def cut_off_once(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, where: ModuleType, name: str
) -> list[str]:
    """Lose the connection at the first such write, once it is committed; what was lost so far."""
    write: Callable[..., Any] = getattr(where, name)
    lost: list[str] = []

    def cut_off(*given: Any, **more: Any) -> Any:
        under_way = list(broker.messages)
        rows = write(*given, **more)
        if lost:
            return rows
        lost.append(name)
        broker.messages[:] = under_way  # what hangs on the commit is not sent either
        raise OperationalError("the connection was lost while it was committed")

    monkeypatch.setattr(where, name, cut_off)
    return lost
