"""How far a run is, while it is under way: its steps, and the items of its fan-outs."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser

from config.access.models import User
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, start

pytestmark = pytest.mark.django_db(transaction=True)

# A step that is no light one: each item is a message of its own.
FAN = """
name: fan
steps:
  each: {for_each: "${ inputs.list }", max_parallel: 4, tool: core.sleep, with: {seconds: 0},
         compensate: {tool: core.echo}}
  last: {needs: [each], tool: core.echo}
"""


@pytest.mark.parametrize("long", [False, True])
def test_items_count_in_the_progress_of_a_run_while_it_runs(
    web: Browser, key: Key, broker: Broker, long: bool
) -> None:
    who = key(username="sam")
    browser = Browser()
    browser.force_login(User.objects.get(username="sam"))
    items = ["x" * 5_000 if long else "x"] * 20  # long ones lie in a file
    run = start(web, who, FAN, inputs={"list": items})["id"]

    def progress() -> Any:
        (listed,) = get(web, "runs", who).json()["results"]
        found = get(web, f"runs/{run}", who).json()["progress"]
        assert found == listed["progress"]
        return found

    assert progress() == {"done": 0, "total": 2, "items": {"done": 0, "total": 20}, "ratio": 0}
    broker.drain(limit=5)
    done = progress()["items"]["done"]
    assert 0 < done < 20
    expected = {"done": 0, "total": 2, "items": {"done": done, "total": 20}, "ratio": done / 40}
    assert progress() == expected
    page = browser.get(f"/dashboard/runs/{run}").content.decode()
    assert f"0 of 2 steps, {done} of 20 items" in page
    table = browser.get("/dashboard/runs").content.decode()
    assert f"0/2, items {done}/20" in table
    assert f"width:{int(100 * done / 40)}%" in table
    broker.drain()
    ended = {"done": 2, "total": 2, "items": {"done": 20, "total": 20}, "ratio": 1}
    assert progress() == ended
