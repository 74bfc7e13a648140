"""Graphs as science publishes them, started over HTTP, run by the real engine."""

from __future__ import annotations

import json

import pytest
from django.test import Client as Browser

from tests.benchmarks import graphs
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, start
from workflows.models import RunEvent, StepRun

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("light", [True, False])
@pytest.mark.parametrize("family", graphs.SMALL)
def test_no_order_is_violated_and_no_task_is_lost(
    web: Browser, key: Key, broker: Broker, family: str, light: bool
) -> None:
    needs = graphs.SMALL[family]()
    own = {} if light else {"timeout": "60s"}
    steps = {
        task: {"tool": "core.echo", **own, **({"needs": before} if before else {})}
        for task, before in needs.items()
    }
    run = start(web, key("professional"), json.dumps({"name": family, "steps": steps}))
    broker.drain()
    assert get(web, f"runs/{run['id']}", key("professional")).json()["state"] == "succeeded"
    done = {step.key: step for step in StepRun.objects.filter(kind="tool")}
    assert done.keys() == needs.keys()
    for task, before in needs.items():
        assert done[task].state == "succeeded"
        for one in before:
            assert done[one].ended_at <= (done[task].started_at or done[task].ended_at)
    ended = RunEvent.objects.filter(name="step.succeeded", key__in=needs)
    assert sorted(ended.values_list("key", flat=True)) == sorted(needs)


def test_the_largest_is_taken_as_programs_print_it(web: Browser, key: Key) -> None:
    needs = graphs.PUBLISHED["mosaic"]()
    names = {task: f"{task}_ID{number:07}" for number, task in enumerate(needs)}
    steps = {
        names[task]: {
            "title": f"{task} of 2MASS", "needs": [names[one] for one in before],
            "tool": "core.echo", "with": {"value": {"task": task, "runtime": 1.25}},
        }
        for task, before in needs.items()
    }  # fmt: skip
    text = json.dumps({"name": "mosaic_printed", "steps": steps}, indent=2)
    assert len(text) > 600_000
    answer = post(web, "workflows", {"definition": text}, key("administrator"))
    assert answer.status_code == 201, answer.content[:500]


def test_published_sizes_are_from_22_to_2103_tasks() -> None:
    sizes = [len(make()) for make in graphs.PUBLISHED.values()]
    assert sizes == [22, 303, 676, 902, 1101, 1697, 2103]
