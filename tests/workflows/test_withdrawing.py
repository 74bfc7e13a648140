"""What nothing needs any more is taken back: approvals, waits, runs inside."""

from __future__ import annotations

import pytest
from django.test import Client as Browser

from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, problem, start
from workflows import publishing
from workflows.models import (
    Approval,
    Run,
    StepRun,
)

pytestmark = pytest.mark.django_db(transaction=True)

EITHER = """
name: either
steps:
  ask: {approval: {role: manager}}
  letter: {wait: {signal: letter}}
  slow: {tool: core.echo}
  first: {needs: {any: [ask, letter, slow]}, tool: core.echo, with: {value: gone on}}
outputs: {value: "${ steps.first.output.value }"}
"""


def test_an_approval_that_nothing_needs_any_more_is_withdrawn_and_the_run_ends(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    run = start(web, who, EITHER)
    assert Approval.objects.get().state == "waiting"
    broker.drain()
    told = get(web, f"runs/{run['id']}", who).json()
    assert (told["state"], told["outputs"]) == ("succeeded", {"value": "gone on"})
    assert {s["key"]: s["state"] for s in told["steps"]} == {
        "ask": "cancelled", "letter": "cancelled", "slow": "succeeded", "first": "succeeded",
    }  # fmt: skip
    assert Approval.objects.get().state == "withdrawn"
    problem(
        post(web, f"approvals/{Approval.objects.get().pk}", {"decision": "approve"}, key()),
        409, "conflict",
    )  # fmt: skip


def test_a_sub_workflow_that_nothing_needs_any_more_is_cancelled_and_undone(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    publishing.publish(
        "name: inner\nsteps:\n  did: {tool: core.echo, compensate: {tool: core.echo}}\n"
        "  w: {needs: [did], wait: {signal: go}}\n"
    )
    run = start(
        web, who,
        "name: outer\nsteps:\n  one: {workflow: inner}\n"
        "  many: {for_each: [1, 2, 3], max_parallel: 2, workflow: inner}\n"
        "  slow: {wait: {signal: enough}}\n"
        "  first: {needs: {any: [one, many, slow]}, tool: core.echo}\n",
    )  # fmt: skip
    broker.drain()
    inside = Run.objects.exclude(parent_step_id=None)
    assert list(inside.values_list("state", flat=True)) == ["running"] * 3
    assert post(web, f"runs/{run['id']}/signal", {"name": "enough"}, who).status_code == 202
    broker.drain()
    told = get(web, f"runs/{run['id']}?items=all", who).json()
    assert told["state"] == "succeeded"
    ends = {(s["key"], s["index"]): s["state"] for s in told["steps"]}
    assert ends == {
        ("one", None): "cancelled", ("many", None): "cancelled", ("slow", None): "succeeded",
        ("first", None): "succeeded", **{("many", n): "cancelled" for n in range(3)},
    }  # fmt: skip
    assert set(inside.values_list("state", flat=True)) == {"cancelled"}
    undone = StepRun.objects.filter(run__in=inside, kind="compensate")
    assert list(undone.values_list("state", flat=True)) == ["succeeded"] * 3


def test_the_failure_of_one_step_withdraws_no_other_that_has_the_same_handler(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    publishing.publish("name: inner\nsteps:\n  w: {wait: {signal: go}}\n")
    run = start(
        web, who,
        "name: outer\nsteps:\n  pay: {workflow: inner, on_error: {go_to: alert}}\n"
        "  ship: {tool: core.fail, with: {times: 9}, retry: {max_attempts: 1}, "
        "on_error: {go_to: alert}}\n  alert: {tool: core.echo}\n",
    )  # fmt: skip
    broker.drain()
    child = Run.objects.get(workflow_name="inner")
    assert child.state == "running"
    post(web, f"runs/{child.pk}/signal", {"name": "go"}, who)
    broker.drain()
    told = get(web, f"runs/{run['id']}", who).json()
    assert told["state"] == "succeeded"
    assert {s["key"]: s["state"] for s in told["steps"]} == {
        "pay": "succeeded", "ship": "failed", "alert": "succeeded",
    }  # fmt: skip


def test_an_approval_that_another_step_or_the_outputs_still_need_goes_on_waiting(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    for more in ("  also: {needs: [ask], tool: core.echo}\n", ""):
        out = "" if more else 'outputs: {by: "${ steps.ask.output.by }"}\n'
        text = EITHER[: EITHER.index("outputs:")].replace(
            "  letter: {wait: {signal: letter}}\n", ""
        )
        run = start(web, who, text.replace("letter, ", "") + more + out)
        broker.drain()
        assert get(web, f"runs/{run['id']}", who).json()["state"] == "running"
        approval = Approval.objects.get(run_id=run["id"])
        answer = post(web, f"approvals/{approval.pk}", {"decision": "approve"}, key())
        assert answer.status_code == 200
        broker.drain()
        assert get(web, f"runs/{run['id']}", who).json()["state"] == "succeeded"


BEHIND_ONE_ANOTHER = """
name: behind_one_another
steps:
  pay: {tool: core.sleep, with: {seconds: 0.01}}
  ask: {approval: {role: manager}}
  letter: {needs: [ask, pay], wait: {signal: letter}}
  quick: {tool: core.echo}
  first: {needs: {any: [letter, quick]}, tool: core.echo}
"""


def test_what_stands_before_something_withdrawn_is_withdrawn_or_runs_to_its_end(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    run = start(web, who, BEHIND_ONE_ANOTHER)
    pay = str(StepRun.objects.get(key="pay").pk)
    slow = [message for message in broker.messages if pay in message[2]]
    assert [message[2] for message in slow] == [[pay]]
    broker.messages = [message for message in broker.messages if pay not in message[2]]
    broker.drain()
    told = get(web, f"runs/{run['id']}", who).json()
    assert {s["key"]: s["state"] for s in told["steps"]} == {
        "pay": "queued", "ask": "cancelled", "letter": "cancelled", "quick": "succeeded",
        "first": "succeeded",
    }  # fmt: skip
    assert Approval.objects.get().state == "withdrawn"
    # A tool is not cut off: the run that began it sees it end.
    assert told["state"] == "running"
    broker.messages = slow
    broker.drain()
    told = get(web, f"runs/{run['id']}", who).json()
    assert told["state"] == "succeeded"
    assert {s["state"] for s in told["steps"]} == {"succeeded", "cancelled"}
