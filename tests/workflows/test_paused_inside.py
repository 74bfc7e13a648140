"""A paused run with another inside it: nothing starts, nothing is lost, and both can be stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client as Browser

from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, problem, start
from tests.workflows.test_faults import grow_old, open_steps
from workflows import approvals, publishing, tasks
from workflows.database import database_time
from workflows.models import Approval, Run, RunEvent, StepRun

pytestmark = pytest.mark.django_db(transaction=True)
UNDO = "tool: core.echo, compensate: {tool: core.sleep, with: {seconds: 0}}"
INNER = (
    f"name: inner\nsteps:\n  in: {{{UNDO}}}\n  then: {{needs: [in], {UNDO}}}\n"
    "  w: {needs: [then], wait: {signal: go}}\n"
    "  ask: {needs: [w], approval: {role: manager, forbid_self: false}}\n"
    "  pause: {needs: [ask], wait: {for: 1ms}}\n"
    "  z: {needs: [pause], tool: core.sleep, with: {seconds: 0}}\n"
)
OUTER = (
    f"name: outer\nsteps:\n  first: {{{UNDO}}}\n"
    "  s: {needs: [first], workflow: inner}\n"
    "  items: {needs: [first], for_each: [1, 2], workflow: inner}\n"
    "  outer_w: {needs: [first], wait: {signal: go}}\n"
    "  outer_ask: {needs: [outer_w], approval: {role: manager, forbid_self: false}}\n"
    "  last: {needs: [s, items, outer_ask], tool: core.echo}\n"
)


def states() -> set[str]:
    return set(Run.objects.values_list("state", flat=True))


@pytest.fixture
def paused(web: Browser, key: Key, broker: Broker) -> tuple[dict[str, str], str, list[str]]:
    """Who started it, an outer run that is paused, and the three that are held inside."""
    who = key()
    publishing.publish(INNER)
    run = start(web, who, OUTER)["id"]
    broker.drain()
    assert post(web, f"runs/{run}/pause", {}, who).status_code == 200
    assert states() == {"paused"}
    inside = Run.objects.filter(workflow_name="inner").order_by("id").values_list("pk", flat=True)
    return who, run, [str(pk) for pk in inside]


@pytest.mark.parametrize("stopped_by", ["cancel", "firm", "deadline", "deadline inside"])
def test_a_paused_run_that_is_stopped_undoes_what_is_inside_before_what_came_before_it(
    web: Browser, broker: Broker, paused: tuple[Any, str, list[str]], stopped_by: str
) -> None:
    who, run, inside = paused
    if stopped_by == "deadline inside":
        Run.objects.filter(pk=inside[0]).update(deadline_at=database_time())
        tasks.sweep()
        broker.drain()
        assert Run.objects.get(pk=inside[0]).state == "failed"
        assert Run.objects.get(pk=run).state == "paused"
        post(web, f"runs/{run}/resume", {}, who)
    elif stopped_by == "deadline":
        Run.objects.filter(pk=run).update(deadline_at=database_time())
        tasks.sweep()
    else:
        body = {"firm": True} if stopped_by == "firm" else {}
        assert post(web, f"runs/{run}/cancel", body, who).status_code == 200
    broker.drain()
    end = "failed" if "deadline" in stopped_by else "cancelled"
    assert get(web, f"runs/{run}", who).json()["state"] == end
    assert Run.objects.filter(ended_at=None).count() == 0
    told = RunEvent.objects.filter(name="step.succeeded", key__endswith=".compensate")
    keys = list(told.order_by("id").values_list("key", flat=True))
    assert (keys[-1], len(keys)) == ("first.compensate", 7), "what is inside was done later"
    assert not Approval.objects.filter(state="waiting").exists()
    assert not StepRun.objects.filter(ended_at=None).exclude(kind="end").exists()


def test_an_end_inside_that_nobody_was_told_of_is_found_by_a_sweep(
    web: Browser, broker: Broker, paused: tuple[Any, str, list[str]]
) -> None:
    who, run, _ = paused
    post(web, f"runs/{run}/cancel", {}, who)
    problem(post(web, f"runs/{run}/retry", {}, who), 409, "conflict")
    while broker.messages:
        broker.wakes.clear()
        broker.drain(limit=1)
    broker.lose_everything()
    assert Run.objects.get(pk=run).state == "cancelling"
    assert not Run.objects.filter(workflow_name="inner", ended_at=None).exists()
    tasks.sweep()
    broker.drain()
    assert states() == {"cancelled"}
    assert post(web, f"runs/{run}/retry", {}, who).json()["state"] == "running"


def test_signals_and_answers_are_taken_while_a_run_is_paused_and_start_nothing(
    web: Browser, key: Key, broker: Broker, paused: tuple[Any, str, list[str]]
) -> None:
    who, run, inside = paused
    manager = key("manager")

    def asked() -> list[str]:
        rows = get(web, "approvals", manager).json()["results"]
        return [row["id"] for row in rows]

    for one in (run, *inside):
        assert post(web, f"runs/{one}/signal", {"name": "go"}, who).status_code < 300
    broker.drain()
    tasks.sweep()
    assert not StepRun.objects.filter(key="w", state="waiting").exists(), "it is taken"
    assert asked() == [], "nobody is asked by a run that is paused"
    post(web, f"runs/{run}/resume", {}, who)
    broker.drain()
    assert len(asked()) == 4
    post(web, f"runs/{run}/pause", {}, who)
    for approval in asked():
        told = post(web, f"approvals/{approval}", {"decision": "approve"}, manager)
        assert told.status_code == 200, told.content
    broker.drain()
    tasks.sweep()
    assert not StepRun.objects.filter(key="pause", state="waiting").exists(), (
        "its time begins later"
    )
    assert not StepRun.objects.filter(key__in=["z", "last"], started_at__isnull=False).exists()
    post(web, f"runs/{run}/resume", {}, who)
    for _ in range(3):
        broker.drain()
        grow_old()
        tasks.sweep()
    assert states() == {"succeeded"}


def test_a_run_inside_that_ends_while_the_one_around_is_being_paused_is_heard_at_once_afterwards(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    publishing.publish("name: inner\nsteps:\n  in: {tool: core.sleep, with: {seconds: 0}}\n")
    run = start(
        web, who,
        "name: outer\nsteps:\n  s: {workflow: inner}\n"
        "  f: {for_each: [1, 2, 3], workflow: inner}\n  last: {needs: [s, f], tool: core.echo}\n",
    )["id"]  # fmt: skip
    while not Run.objects.filter(workflow_name="inner", state="succeeded").exists():
        assert broker.drain(limit=1)
    post(web, f"runs/{run}/pause", {}, who)
    broker.drain()
    held = StepRun.objects.filter(run=run, state="waiting").count()
    assert held > 1, "an end inside is not heard in a paused run"
    post(web, f"runs/{run}/resume", {}, who)
    broker.drain()
    assert states() == {"succeeded"}, "without a sweep"


def test_controls_that_race_with_the_end_of_a_run_inside_leave_nothing_open(
    web: Browser, key: Key, broker: Broker
) -> None:
    """Two people and a worker at once, over and over; what is asked is done or a conflict."""
    who = key()
    publishing.publish(f"name: inner\nsteps:\n  in: {{{UNDO}}}\n  w: {{needs: [in], {UNDO}}}\n")
    source = (
        f"name: outer\nsteps:\n  first: {{{UNDO}}}\n  s: {{needs: [first], workflow: inner}}\n"
        "  f: {needs: [first], for_each: [1, 2], workflow: inner}\n"
        f"  last: {{needs: [s, f], {UNDO}}}\n"
    )
    answers: list[int] = []
    faults: list[BaseException] = []

    def beside(*work: Callable[[], object]) -> None:
        def run(one: Callable[[], object]) -> None:
            try:
                one()
            except BaseException as error:
                faults.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=run, args=(one,)) for one in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)

    def ask(run: str, *actions: str) -> None:
        for action in actions:
            answers.append(post(Browser(), f"runs/{run}/{action}", {}, who).status_code)

    for turn in range(6):
        run = start(web, who, source)["id"]
        broker.drain(limit=3 + turn)
        last = ["cancel"] if turn % 2 else ["pause", "resume"]
        beside(broker.drain, lambda run=run: ask(run, "pause", "resume", "pause", "resume"),
               lambda run=run, last=last: ask(run, "resume", "pause", *last))  # fmt: skip
        if Run.objects.get(pk=run).state == "paused":
            assert post(web, f"runs/{run}/resume", {}, who).status_code == 200
        for _ in range(3):
            broker.drain()
            grow_old()
            tasks.sweep()
        found = Run.objects.get(pk=run)
        assert found.ended_at is not None, (found.state, open_steps(found))
        assert open_steps(found) == []
    assert faults == []
    assert set(answers) <= {200, 409}
    assert not Run.objects.filter(ended_at=None).exists()
    assert not StepRun.objects.filter(ended_at=None).exclude(kind="end").exists()


def test_a_pause_that_comes_while_an_approval_opens_waits_for_it(
    web: Browser, key: Key, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = approvals.open_for
    refused: list[type[Exception]] = []

    def pause(run_id: Any) -> None:
        try:
            with transaction.atomic():
                connection.cursor().execute("SET LOCAL lock_timeout = '300ms'")
                Run.objects.filter(pk=run_id).update(state="paused")
        except OperationalError as error:
            refused.append(type(error.__cause__))
        finally:
            connection.close()

    def slowly(step_id: Any, step: Any, facts: Any) -> None:
        pausing = threading.Thread(target=pause, args=(facts.run_id,))
        pausing.start()
        pausing.join()
        opened(step_id, step, facts)

    monkeypatch.setattr(approvals, "open_for", slowly)
    definition = (
        "name: asked\nsteps:\n  a: {tool: core.echo}\n"
        "  ask: {needs: [a], approval: {role: manager}}\n"
    )
    start(web, key(), definition)
    broker.drain()
    assert refused == [psycopg.errors.LockNotAvailable]
    assert Approval.objects.count() == 1
