"""A fan-out inside of a fan-out: counted as one, given as a list of lists."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser

from config.access.models import User
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, start
from workflows import publishing
from workflows.models import Run, StepRun

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_nested_fan_out_counts_all_its_items_and_gives_a_list_of_lists(
    web: Browser, key: Key, broker: Broker
) -> None:
    """Chunked, with empty lists and with items that fail."""
    who = key()
    source = (
        "name: nested\nsteps:\n  f:\n    for_each: '${ inputs.lists }'\n    as: list\n"
        "    each: {for_each: '${ list.lines }', as: line}\n    max_parallel: 4\n"
        "    tool: core.echo\n"
        "    with: {value: '${ list.name }${ outer_index }.${ index }=${ line }'}\n"
        "  g: {for_each: [[2, 0], [], [9]], as: many, on_error: continue, tool: core.fail,\n"
        "    each: {for_each: '${ many }', as: times}, with: {times: '${ times }'},\n"
        "    retry: {max_attempts: 1}}\n"
        "  slow: {for_each: '${ inputs.lists }', each: {for_each: '${ item.lines }', as: n},\n"
        "    max_parallel: 4, tool: core.sleep, with: {seconds: 0}}\n"
        "  none: {for_each: [[], []], each: {for_each: '${ item }', as: x}, tool: core.echo}\n"
        "outputs: {f: '${ steps.f.output.map(l, l.map(x, x.value)) }', g: '${ steps.g.output }',\n"
        "  none: '${ steps.none.output }'}\n"
    )
    lists = [{"name": n, "lines": list(range(size))} for n, size in (("a", 3), ("b", 0), ("c", 90))]
    run = start(web, who, source, inputs={"lists": lists})
    broker.drain(limit=30)
    under_way = get(web, f"runs/{run['id']}", who).json()
    fan = next(s for s in under_way["steps"] if s["key"] == "slow" and s["index"] is None)
    assert fan["items"]["total"] == 93
    assert 0 < fan["items"]["succeeded"] < 93
    open_ = StepRun.objects.filter(key="slow", item__gte=0, state__in=["queued", "running"])
    assert open_.count() == 4, "max_parallel counts the items of all lists together"
    broker.drain()
    told = get(web, f"runs/{run['id']}?items=all", who).json()
    assert told["state"] == "succeeded", told["error"]
    assert told["outputs"]["f"] == [
        [f"{one['name']}{outer}.{n}={n}" for n in one["lines"]] for outer, one in enumerate(lists)
    ]
    assert told["outputs"]["none"] == [[], []]
    first, second, third = told["outputs"]["g"]
    assert (first[0], second, third) == (None, [], [None])
    assert first[1] is not None
    places = [s["place"] for s in told["steps"] if s["key"] == "f" and s["index"] is not None]
    assert places == [[0, 0], [0, 1], [0, 2], *([2, n] for n in range(90))]


@pytest.mark.parametrize(
    ("lists", "said"), [([3], "must give a list"), ([[0]] * 10_001, "at most 10000")]
)
def test_a_nested_list_that_is_none_or_too_long_fails_its_step(
    web: Browser, key: Key, broker: Broker, lists: Any, said: str
) -> None:
    who = key()
    source = (
        "name: nested\nsteps:\n  f: {for_each: '${ inputs.lists }', tool: core.echo, "
        "each: {for_each: '${ item }', as: x}}\n"
    )
    run = start(web, who, source, inputs={"lists": lists})
    told = get(web, f"runs/{run['id']}", who).json()
    assert (told["state"], told["error"]["code"]) == ("failed", "invalid_input")
    assert said in told["error"]["message"]


def test_the_page_names_items_by_their_lists_and_those_that_failed_first(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key(username="ada")
    publishing.publish("name: within\nsteps:\n  a: {tool: core.echo}\n")
    source = (
        "name: shown\nsteps:\n  sub: {workflow: within}\n  f: {for_each: [[0, 0], [0, 9]],\n"
        "    as: many, each: {for_each: '${ many }', as: times}, tool: core.fail,\n"
        "    with: {times: '${ times }'}, retry: {max_attempts: 1}, on_error: continue}\n"
    )
    run = start(web, who, source)["id"]
    broker.drain()
    signed = Browser()
    signed.force_login(User.objects.get(username="ada"))
    page = signed.get(f"/dashboard/runs/{run}").content.decode()
    assert "Item 2.1</span>" in page and "F 2.2 failed" in page
    panel = signed.get(f"/dashboard/runs/{run}/steps/f").content.decode()
    assert "4, 1 failed" in panel
    assert panel.index("Item 2.2") < panel.index("Item 1.1")
    inner = Run.objects.get(workflow_name="within")
    assert (
        f"/dashboard/runs/{run}?step=" in signed.get(f"/dashboard/runs/{inner.pk}").content.decode()
    )
