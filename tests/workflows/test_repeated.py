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
        (items, "execute", f"a: {{for_each: [1, 2, 3, 4, 5], max_parallel: 2, {HEAVY}}}"),
    ],
)  # fmt: skip
def test_a_run_goes_on_at_once_though_its_worker_did_not_hear_that_its_finish_came_through(
    web: Browser, key: Key, broker: Broker, monkeypatch: pytest.MonkeyPatch,
    where: ModuleType, name: str, steps: str,
) -> None:  # fmt: skip
    who = key()
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
    run = start(web, who, f"name: cut_off\nsteps:\n  {steps}\n")["id"]
    broker.drain()
    shown = get(web, f"runs/{run}?items=all", who).json()
    assert (lost, shown["state"]) == ([name], "succeeded")
    assert {len(step["attempts"]) for step in shown["steps"] if step["attempts"]} == {1}
