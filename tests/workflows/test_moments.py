"""Controls that come at an awkward moment, from HTTP to the end of the run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from time import sleep
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test import Client as Browser

from config.access.models import User
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, problem, start
from workflows import lost, publishing, steps, tasks, work
from workflows.database import database_time
from workflows.models import Run, RunEvent, StepRun

pytestmark = pytest.mark.django_db(transaction=True)


def told(web: Browser, who: dict[str, str], run: str, name: str) -> list[str]:
    """Steps of which the history tells ``name``, in its order."""
    rows = get(web, f"runs/{run}/events?format=json", who).json()["results"]
    return [row["key"] for row in rows if row["name"] == name]


def test_a_deadline_that_comes_while_somebody_is_asked_withdraws_the_question_and_undoes(
    web: Browser, key: Key, broker: Broker
) -> None:
    who, manager = key(), key("manager")
    source = (
        "name: asked\nsteps:\n  a: {tool: core.echo, compensate: {tool: core.echo}}\n"
        "  ask: {needs: [a], approval: {role: manager, timeout: 3d}}\n"
    )
    due = (database_time() + timedelta(hours=1)).isoformat()
    run = start(web, who, source, deadline_at=due)["id"]
    broker.drain()
    (asked,) = get(web, "approvals", manager).json()["results"]
    tasks.sweep()
    assert get(web, f"runs/{run}", who).json()["state"] == "running"
    Run.objects.update(deadline_at=database_time())  # the hour has passed
    tasks.sweep()
    broker.drain()
    shown = get(web, f"runs/{run}", who).json()
    assert (shown["state"], shown["error"]["code"]) == ("failed", "run_timeout")
    late = post(web, f"approvals/{asked['id']}", {"decision": "approve"}, manager)
    problem(late, 409, "conflict")
    assert get(web, "approvals", manager).json()["results"] == []
    assert told(web, who, run, "step.succeeded") == ["a", "a.compensate"]


def test_a_step_that_its_runs_deadline_cut_off_says_so_and_not_that_it_took_too_long(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    source = "name: short\nsteps:\n  a: {tool: core.sleep, with: {seconds: 30}}\n"
    due = (database_time() + timedelta(seconds=5)).isoformat()
    run = start(web, who, source, deadline_at=due)["id"]
    broker.drain()
    shown = get(web, f"runs/{run}", who).json()
    assert (shown["state"], shown["error"]["code"]) == ("failed", "run_timeout")
    assert shown["steps"][0]["error"]["message"] == "the run passed its deadline"


def test_a_run_that_is_paused_in_the_middle_of_a_fan_out_stands_still_and_loses_no_item(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    source = (
        "name: many\nsteps:\n  each: {for_each: [1, 2, 3, 4, 5, 6, 7], max_parallel: 3,\n"
        "    tool: core.sleep, with: {seconds: 0}}\n  last: {needs: [each], tool: core.echo}\n"
    )
    run = start(web, who, source)["id"]
    broker.drain(limit=2)
    assert post(web, f"runs/{run}/pause", {}, who).json()["state"] == "paused"
    broker.drain()  # what was on its way comes too late
    before = done(web, who, run)
    assert 0 < before < 7
    StepRun.objects.filter(state="queued").update(wake_at=lost.UNSENT)
    for _ in range(3):
        tasks.sweep()
        broker.drain()
    assert done(web, who, run) == before
    assert post(web, f"runs/{run}/resume", {}, who).json()["state"] == "running"
    broker.drain()
    shown = get(web, f"runs/{run}?items=all", who).json()
    assert (shown["state"], done(web, who, run)) == ("succeeded", 7)
    items = [step for step in shown["steps"] if step["key"] == "each" and step["index"] is not None]
    assert [len(step["attempts"]) for step in items] == [1] * 7


def done(web: Browser, who: dict[str, str], run: str) -> int:
    """Items of the fan-out that have succeeded, as the API counts them."""
    (fan,) = (s for s in get(web, f"runs/{run}", who).json()["steps"]
              if s["key"] == "each" and s["index"] is None)  # fmt: skip
    return int(fan["items"]["succeeded"])


@pytest.mark.parametrize(
    ("stopped_by", "end"), [("a failure", "failed"), ("a cancel", "cancelled")]
)
def test_a_cancel_that_comes_while_a_run_is_undone_stops_no_compensation(
    web: Browser, key: Key, broker: Broker, stopped_by: str, end: str
) -> None:
    who = key()
    last = "{tool: core.fail, with: {times: 9}, retry: {max_attempts: 1}, needs: [c]}"
    if stopped_by == "a cancel":
        last = "{wait: {signal: go}, needs: [c]}"
    undo = (
        "tool: core.sleep, with: {seconds: 0}, compensate: {tool: core.sleep, with: {seconds: 0}}"
    )
    run = start(
        web, who,
        f"name: undone\nsteps:\n  a: {{{undo}}}\n  b: {{needs: [a], {undo}}}\n"
        f"  c: {{needs: [b], {undo}}}\n  last: {last}\n",
    )["id"]  # fmt: skip
    if stopped_by == "a cancel":
        broker.drain()
        assert post(web, f"runs/{run}/cancel", {}, who).status_code == 200
    while not RunEvent.objects.filter(name="step.succeeded", key="c.compensate").exists():
        assert broker.drain(limit=1), "there is something to do"
    refused = problem(post(web, f"runs/{run}/cancel", {}, who), 409, "conflict")
    assert "running" in refused["detail"]
    firm = post(web, f"runs/{run}/cancel", {"firm": True}, who)
    assert (firm.status_code, firm.json()["ended_at"]) == (200, None)
    broker.drain()
    shown: dict[str, Any] = get(web, f"runs/{run}", who).json()
    assert shown["state"] == end
    titles = {step["key"]: (step["title"], step["target"]) for step in shown["steps"]}
    assert titles["a.compensate"] == ("Undo: A", "core.sleep")
    undone = [name for name in told(web, who, run, "step.succeeded") if "compensate" in name]
    assert undone == ["c.compensate", "b.compensate", "a.compensate"]
    assert not StepRun.objects.filter(ended_at=None).exclude(kind="end").exists()


def test_a_paused_run_holds_what_runs_inside_it_and_what_was_paused_by_itself_stays_so(
    web: Browser, key: Key, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = key()
    sleep = "tool: core.sleep, with: {seconds: 0}"
    publishing.publish(f"name: low\nsteps:\n  a: {{{sleep}}}\n  b: {{needs: [a], {sleep}}}\n")
    publishing.publish("name: mid\nsteps:\n  s: {workflow: low}\n")
    source = (
        "name: top\nsteps:\n  one: {workflow: mid}\n  two: {workflow: mid}\n"
        "  late: {workflow: low}\n"
    )
    top = start(web, who, source)["id"]
    late = str(StepRun.objects.get(run_id=top, key="late").pk)
    kept = [message for message in broker.messages if late in message[2]]
    broker.messages = [message for message in broker.messages if late not in message[2]]
    while StepRun.objects.filter(key="a", state="succeeded").count() < 2:
        assert broker.drain(limit=1)
    alone = Run.objects.filter(workflow_name="low").order_by("id").first()
    assert alone is not None
    assert post(web, f"runs/{alone.pk}/pause", {}, who).json()["state"] == "paused"
    arguments = work._arguments

    def paused_first(row: Any, *rest: Any) -> Any:
        if row.key == "late":  # its worker has taken the step and now starts the run inside
            assert post(web, f"runs/{top}/pause", {}, who).json()["state"] == "paused"
        return arguments(row, *rest)

    monkeypatch.setattr(work, "_arguments", paused_first)
    broker.messages[:0] = kept
    broker.drain()
    tasks.sweep()
    broker.drain()
    assert Run.objects.count() == 6
    assert set(Run.objects.values_list("state", flat=True)) == {"paused"}
    assert not StepRun.objects.filter(key="b").exclude(state__in=["pending", "queued"]).exists()
    assert post(web, f"runs/{top}/resume", {}, who).json()["state"] == "running"
    broker.drain()
    states = dict(Run.objects.values_list("pk", "state"))
    assert states.pop(alone.pk) == "paused"
    assert sorted(states.values()) == ["running", "running", "succeeded", "succeeded", "succeeded"]
    post(web, f"runs/{alone.pk}/resume", {}, who)
    broker.drain()
    assert set(Run.objects.values_list("state", flat=True)) == {"succeeded"}


@pytest.mark.parametrize("stopped_by", ["a failure", "a cancel"])
def test_a_run_says_what_could_not_be_undone(
    web: Browser, key: Key, broker: Broker, stopped_by: str
) -> None:
    who = key("manager", username="mia")
    last = "{tool: core.fail, with: {times: 99}, retry: {max_attempts: 1}, needs: [booked]}"
    if stopped_by == "a cancel":
        last = "{wait: {signal: go}, needs: [booked]}"
    run = start(
        web, who,
        "name: left\nsteps:\n  booked: {title: The booking, tool: core.echo, "
        "compensate: {tool: core.fail, with: {times: 99}}}\n"
        f"  last: {last}\n",
    )["id"]  # fmt: skip
    broker.drain()
    if stopped_by == "a cancel":
        post(web, f"runs/{run}/cancel", {}, who)
        broker.drain()
    signed = Browser()
    signed.force_login(User.objects.get(username="mia"))
    page = signed.get(f"/dashboard/runs/{run}").content.decode()
    head = "Failed at Last" if stopped_by == "a failure" else "Cancelled"
    assert head in page
    assert "The booking could not be undone." in page
    assert ("after 1 of 2 steps." in page) is (stopped_by == "a cancel")
    assert told(web, who, run, "step.failed")[-1] == "booked.compensate"


def test_a_run_ends_no_sooner_than_any_of_its_steps(web: Browser, key: Key, broker: Broker) -> None:
    """The step that ends the run may have begun to end before another one, and waited for it."""
    who = key()
    source = (
        "name: two\nsteps:\n  slow: {tool: core.sleep, with: {seconds: 0.4}}\n"
        "  quick: {tool: core.echo}\n"
    )
    run = start(web, who, source)["id"]
    (slow,) = [m for m in broker.messages if step_key(m[2][0]) == "slow"]
    broker.messages.remove(slow)
    ending = Thread(target=in_a_thread, args=(steps.run_steps, [UUID(slow[2][0])], UUID(run)))
    ending.start()
    while StepRun.objects.get(pk=slow[2][0]).state != "running":
        sleep(0.02)
    with transaction.atomic():  # it ends meanwhile, and waits for its row
        StepRun.objects.select_for_update().get(pk=slow[2][0])
        sleep(0.8)
        other = Thread(target=in_a_thread, args=(broker.drain,))
        other.start()
        other.join()
    ending.join()
    shown = get(web, f"runs/{run}", who).json()
    assert shown["state"] == "succeeded"
    ends = {step["key"]: step["ended_at"] for step in shown["steps"]}
    assert max(ends.values()) <= shown["ended_at"], (ends, shown["ended_at"])


def step_key(step_id: str) -> str:
    return StepRun.objects.get(pk=step_id).key


def in_a_thread(work: Callable[..., Any], *given: Any) -> None:
    try:
        work(*given)
    finally:
        connection.close()


@pytest.mark.parametrize("start_it", ["start", "fork"])
def test_who_began_a_run_is_named_as_whoever_acts_on_it(
    web: Browser, key: Key, broker: Broker, start_it: str
) -> None:
    who = key(username="sam")
    run = start(web, who, "name: one\nsteps:\n  a: {tool: core.echo}\n")["id"]
    broker.drain()
    if start_it == "fork":
        run = post(web, f"runs/{run}/fork", {"from_step": "a"}, who).json()["id"]
    else:
        post(web, f"runs/{run}/fork", {"from_step": "a"}, who)
    rows = get(web, f"runs/{run}/events?format=json", who).json()["results"]
    actors = {row["name"]: row["actor"] for row in rows if row["name"].startswith("run.")}
    forked = RunEvent.objects.get(name="run.forked").actor
    assert actors["run.created"] == forked
