"""A run keeps the versions that it started with, its own and those of all that runs inside it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser

from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, start
from workflows import publishing, splits, versions
from workflows.models import Run, WorkflowVersion

pytestmark = pytest.mark.django_db(transaction=True)

GIVES = (
    "name: {name}\nsteps:\n  w: {{wait: {{signal: go}}}}\n  {step}\n"
    'outputs: {{value: "${{ steps.a.output.value }}"}}\n'
)


def leaf(value: int) -> str:
    return (
        f"name: leaf\nsteps:\n  a: {{tool: core.echo, with: {{value: {value}}}}}\n"
        'outputs: {value: "${ steps.a.output.value }"}\n'
    )


def around(name: str, inner: str) -> str:
    return GIVES.format(name=name, step=f"a: {{needs: [w], workflow: {inner}}}")


def go(web: Browser, who: dict[str, str], broker: Broker, run: str) -> dict[str, Any]:
    answer = post(web, f"runs/{run}/signal", {"name": "go"}, who)
    assert answer.status_code == 202, answer.content
    broker.drain()
    return get(web, f"runs/{run}", who).json()


def inside(web: Browser, who: dict[str, str], run: str) -> dict[str, Any]:
    """The run inside the step ``a`` of a run, as the API shows it."""
    (step,) = (s for s in get(web, f"runs/{run}", who).json()["steps"] if s["key"] == "a")
    (row,) = get(web, f"runs?parent_step_id={step['id']}", who).json()["results"]
    return get(web, f"runs/{row['id']}", who).json()


def test_what_a_run_reaches_later_is_what_was_current_when_it_started_however_deep(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    publishing.publish(leaf(1))
    publishing.publish(around("middle", "leaf"))
    run = start(web, who, around("outer", "middle"))["id"]
    publishing.publish(leaf(2))
    go(web, who, broker, run)
    middle = inside(web, who, run)
    publishing.publish(leaf(3))
    publishing.publish(around("middle", "leaf").replace("name: middle", "name: middle\ntitle: M"))
    assert go(web, who, broker, middle["id"])["outputs"] == {"value": 1}
    assert get(web, f"runs/{run}", who).json()["outputs"] == {"value": 1}
    assert inside(web, who, middle["id"])["version"] == 1
    new = start(web, who, around("outer", "middle"))["id"]
    go(web, who, broker, new)
    assert go(web, who, broker, inside(web, who, new)["id"])["outputs"] == {"value": 3}


def test_a_run_on_a_deprecated_version_finishes_on_it_and_on_deprecated_ones_inside(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key("platform_engineer")
    publishing.publish(leaf(1))
    source = around("outer", "leaf")
    run = start(web, who, source)["id"]
    newer = {"leaf": leaf(2), "outer": source.replace("steps:", "title: Newer\nsteps:", 1)}
    for name, text in newer.items():
        assert post(web, "workflows", {"definition": text}, who).status_code == 201
        body = {"number": 1, "action": "deprecate"}
        assert post(web, f"workflows/{name}/versions", body, who).status_code == 200
    refused = post(web, "runs", {"workflow": "outer", "version": "1"}, who)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    shown = go(web, who, broker, run)
    assert (shown["state"], shown["version"], shown["outputs"]) == ("succeeded", 1, {"value": 1})
    assert inside(web, who, run)["version"] == 1


def test_forks_keep_the_versions_inside_and_runs_from_before_take_the_current_ones(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    publishing.publish(leaf(1))
    source = around("outer", "leaf")
    run, old = (start(web, who, source)["id"] for _ in range(2))
    Run.objects.filter(pk=old).update(pins=None)
    publishing.publish(leaf(2))
    assert go(web, who, broker, run)["outputs"] == {"value": 1}
    assert go(web, who, broker, old)["outputs"] == {"value": 2}
    fork = post(web, f"runs/{run}/fork", {"from_step": "a"}, who).json()["id"]
    broker.drain()
    assert get(web, f"runs/{fork}", who).json()["outputs"] == {"value": 1}


def test_a_retried_run_keeps_the_versions_of_what_it_had_not_reached(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    publishing.publish(leaf(1))
    source = (
        "name: shaky\nsteps:\n"
        "  bad: {tool: core.fail, with: {times: 1}, retry: {max_attempts: 1}}\n"
        "  a: {needs: [bad], workflow: leaf}\n"
        'outputs: {value: "${ steps.a.output.value }"}\n'
    )
    run = start(web, who, source)["id"]
    broker.drain()
    publishing.publish(leaf(2))
    assert post(web, f"runs/{run}/retry", {}, who).status_code == 200
    broker.drain()
    shown = get(web, f"runs/{run}", who).json()
    assert (shown["state"], shown["outputs"]) == ("succeeded", {"value": 1})


def test_an_experiment_inside_counts_for_runs_that_start_while_it_is_open(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    publishing.publish(leaf(1))
    source = around("outer", "leaf")
    before = start(web, who, source)["id"]
    publishing.publish(leaf(2))
    first = WorkflowVersion.objects.get(workflow__name="leaf", number=1)
    second = WorkflowVersion.objects.get(workflow__name="leaf", number=2)
    arms = [{"version_id": second.pk, "ranges": [[0, 10_000]]}]
    splits.open_split("leaf", arms, unit="run", seed="s")
    publishing.make_current("leaf", 1)
    during = start(web, who, source)["id"]
    assert go(web, who, broker, before)["outputs"] == {"value": 1}
    assert go(web, who, broker, during)["outputs"] == {"value": 2}
    epochs = Run.objects.filter(workflow_name="leaf").order_by("id")
    assert list(epochs.values_list("version_id", "split_epoch")) == [
        (first.pk, None), (second.pk, 1),
    ]  # fmt: skip


def test_a_start_asks_for_nothing_where_nothing_runs_inside(
    web: Browser, key: Key, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "execute", None)
    run = start(web, key())["id"]
    assert Run.objects.get(pk=run).pins is None
