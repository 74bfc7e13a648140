"""Retrying: under limits, with runs inside, half done fan-outs and answered approvals."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client as Browser
from django.utils import timezone

from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, problem, start
from workflows import picture, places, publishing, sweeps
from workflows.models import Approval, Run, RunEvent, StepRun

pytestmark = pytest.mark.django_db(transaction=True)

LIMITED = """
name: limited
inputs: {type: object, properties: {who: {type: string}}}
concurrency: {key: "${ inputs.who }", max: 1}
steps:
  w: {wait: {signal: go}}
"""
FLAKY = "tool: core.fail, with: {times: 1}, retry: {max_attempts: 1}"


def state(web: Browser, who: dict[str, str], run: str) -> str:
    found: str = get(web, f"runs/{run}", who).json()["state"]
    return found


def ask(web: Browser, who: dict[str, str], run: str, action: str, **body: Any) -> Any:
    answer = post(web, f"runs/{run}/{action}", body, who)
    assert answer.status_code in (200, 202), answer.content
    return answer.json()


# ---------------------------------------------------------------- limits
def test_a_retried_run_waits_for_a_place_under_its_limit_like_one_that_starts(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    first = start(web, who, LIMITED, inputs={"who": "a"})["id"]
    ask(web, who, first, "cancel")
    second = start(web, who, LIMITED, inputs={"who": "a"})["id"]
    third = start(web, who, LIMITED, inputs={"who": "a"})["id"]
    assert ask(web, who, first, "retry")["state"] == "waiting"
    problem(post(web, f"runs/{first}/retry", {}, who), 409, "conflict")
    assert [state(web, who, run) for run in (second, third)] == ["running", "waiting"]
    ask(web, who, second, "signal", name="go")
    broker.drain()
    # Who was first started first is first in the line, and goes on where it stood.
    assert [state(web, who, run) for run in (first, third)] == ["running", "waiting"]
    assert StepRun.objects.get(run=first, key="w").state == "waiting"
    ask(web, who, first, "signal", name="go")
    broker.drain()
    assert [state(web, who, run) for run in (first, third)] == ["succeeded", "running"]
    other = start(web, who, LIMITED, inputs={"who": "b"})["id"]
    ask(web, who, other, "cancel")
    assert ask(web, who, other, "retry")["state"] == "running", "another key is not its limit"


def test_many_retries_at_once_take_no_more_places_than_there_are(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    runs = []
    for _ in range(6):
        runs.append(start(web, who, LIMITED, inputs={"who": "a"})["id"])
        ask(web, who, runs[-1], "cancel")

    def retry(run: str) -> int:
        try:
            return int(post(Browser(), f"runs/{run}/retry", {}, who).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(retry, runs)) == {200}
    states = list(Run.objects.values_list("state", flat=True))
    assert (states.count("running"), states.count("waiting")) == (1, 5)
    for _ in runs:
        ask(web, who, str(Run.objects.get(state="running").pk), "signal", name="go")
        broker.drain()
    assert set(Run.objects.values_list("state", flat=True)) == {"succeeded"}


def test_a_retry_keeps_the_end_that_it_takes_back_also_of_a_run_that_went_on_meanwhile(
    web: Browser, key: Key, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another person's retry comes and fails between the reading of a run and its lock."""
    who = key()
    source = f"name: bad\nsteps:\n  a: {{{FLAKY.replace('times: 1', 'times: 9')}}}\n"
    run = start(web, who, source)["id"]
    broker.drain()
    first = Run.objects.get(pk=run)
    taken = places.take

    def slow(*asked: Any) -> Any:
        monkeypatch.setattr(places, "take", taken)

        def another() -> None:
            try:
                ask(Browser(), who, run, "retry")
                broker.drain()
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(another).result()
        return taken(*asked)

    monkeypatch.setattr(places, "take", slow)
    ask(web, who, run, "retry")
    told = RunEvent.objects.filter(run_id=run, name="run.retried").order_by("id")
    ends = [datetime.fromisoformat(one.detail["ended_at"]) for one in told if one.detail]
    assert first.ended_at == ends[0] < told[0].at < ends[1] < told[1].at
    seconds = [one.detail["seconds"] for one in told if one.detail]
    assert first.started_at and seconds[1] == (ends[1] - first.started_at).total_seconds()


def test_a_run_that_had_to_wait_begins_with_whatever_its_first_step_is(
    web: Browser, key: Key, broker: Broker
) -> None:
    """An approval, a condition, a fan-out or a wait, though its message is lost."""
    who = key()
    source = (
        "name: first\nconcurrency: {max: 1}\nsteps:\n"
        "  ask: {approval: {role: manager, forbid_self: false}}\n"
        '  never: {when: "false", tool: core.echo}\n'
        "  each: {for_each: [1, 2], tool: core.echo}\n"
        "  w: {wait: {signal: go}}\n"
    )
    ahead = start(web, who, source)["id"]
    waits = start(web, who, source)["id"]
    broker.drain()
    assert state(web, who, waits) == "waiting"
    ask(web, who, ahead, "cancel")
    broker.forget()
    sweeps.sweep()
    sweeps.sweep()
    broker.drain()
    steps = {s["key"]: s["state"] for s in get(web, f"runs/{waits}", who).json()["steps"]
             if s["index"] is None}  # fmt: skip
    assert steps == {"ask": "waiting", "never": "skipped", "each": "succeeded", "w": "waiting"}


# ---------------------------------------------------------------- what is kept
def test_a_retry_goes_on_inside_of_a_failed_sub_workflow_and_keeps_what_it_did(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    publishing.publish(
        f"name: inner\nsteps:\n  did: {{tool: core.echo}}\n  bad: {{needs: [did], {FLAKY}}}\n"
    )
    run = start(web, who, "name: outer\nsteps:\n  sub: {workflow: inner}\n")["id"]
    broker.drain()
    assert state(web, who, run) == "failed"
    ask(web, who, run, "retry")
    broker.drain()
    assert state(web, who, run) == "succeeded"
    [child] = Run.objects.filter(workflow_name="inner")
    done = RunEvent.objects.filter(run_id=child.pk, name="step.started", key="did")
    assert (child.state, done.count()) == ("succeeded", 1)


@pytest.mark.parametrize("count", [5, 70, pytest.param(150, marks=pytest.mark.slow)])
def test_a_retry_does_those_items_of_a_fan_out_again_that_did_not_succeed(
    web: Browser, key: Key, broker: Broker, count: int
) -> None:
    who = key()
    publishing.publish(
        "name: one\ninputs: {type: object, properties: {n: {type: integer}}}\nsteps:\n"
        f'  bad: {{when: "inputs.n == 3", {FLAKY}}}\n'
        '  ok: {needs: [bad], tool: core.echo, with: {value: "${ inputs.n }"}}\n'
        'outputs: {n: "${ steps.ok.output.value }"}\n'
    )
    items = list(range(count))
    run = start(
        web, who,
        f"name: many\nsteps:\n  each: {{for_each: {items}, max_parallel: 2, workflow: one,\n"
        '    with: {n: "${ item }"}}\noutputs: {all: "${ steps.each.output.map(e, e.n) }"}\n',
    )["id"]  # fmt: skip
    broker.drain()
    assert state(web, who, run) == "failed"
    done = set(StepRun.objects.filter(run=run, item__gte=0, state="succeeded").values_list("pk"))
    assert done
    ask(web, who, run, "retry")
    broker.drain()
    told = get(web, f"runs/{run}", who).json()
    assert (told["state"], told["outputs"]) == ("succeeded", {"all": items})
    again = RunEvent.objects.filter(
        run_id=run, name="step.started", step_id__in=[d for (d,) in done]
    )
    assert again.count() == len(done), "what had succeeded was done once"
    assert Run.objects.filter(workflow_name="one").count() == count


def test_a_retry_asks_again_and_both_answers_stay_on_record(
    web: Browser, key: Key, broker: Broker
) -> None:
    who, manager, partner = key(), key("manager"), key("partner")
    source = (
        "name: asks\nsteps:\n  work: {tool: core.echo}\n"
        "  ask: {needs: [work], approval: {role: manager, levels: 2}}\n"
        'outputs: {by: "${ steps.ask.output.by }"}\n'
    )
    run = start(web, who, source)["id"]
    broker.drain()

    def answer(by: dict[str, str], decision: str, level: int = 1) -> None:
        waits = Approval.objects.get(run=run, state="waiting", level=level)
        body = {"decision": decision, "reason": "because"}
        assert post(web, f"approvals/{waits.pk}", body, by).status_code == 200

    answer(manager, "reject")
    assert state(web, who, run) == "failed"
    ask(web, who, run, "retry")
    broker.drain()
    ask(web, who, run, "cancel")
    ask(web, who, run, "retry")
    broker.drain()
    answer(manager, "approve")
    answer(partner, "approve", level=2)
    broker.drain()
    told = get(web, f"runs/{run}", who).json()
    assert (told["state"], len(told["outputs"]["by"])) == ("succeeded", 2)
    assert [a["state"] for a in told["approvals"]] == [
        "rejected", "withdrawn", "withdrawn", "withdrawn", "approved", "approved",
    ]  # fmt: skip


def test_a_retry_does_not_ask_again_for_what_nothing_needed(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    source = (
        "name: either\nsteps:\n  ask: {approval: {role: manager}}\n  slow: {tool: core.echo}\n"
        "  first: {needs: {any: [ask, slow]}, tool: core.echo}\n"
        f"  bad: {{needs: [first], {FLAKY}}}\n"
    )
    run = start(web, who, source)["id"]
    broker.drain()
    assert state(web, who, run) == "failed"
    ask(web, who, run, "retry")
    broker.drain()
    assert state(web, who, run) == "succeeded"
    assert list(Approval.objects.values_list("state", flat=True)) == ["withdrawn"]


def test_a_retry_does_what_was_compensated_before_what_came_after_it(
    web: Browser, key: Key, broker: Broker
) -> None:
    """In order, each under the id that its effect had, but for what was undone; and to the end."""
    who = key()
    source = (
        "name: undone\nsteps:\n"
        "  a: {tool: core.echo, with: {value: 1}, compensate: {tool: core.echo}}\n"
        "  never: {needs: [a], when: 'false', tool: core.echo}\n"
        '  b: {needs: [a], tool: core.echo, with: {value: "${ steps.a.output.value }"}}\n'
        f"  c: {{needs: [b, never], {FLAKY}}}\n"
    )
    run = start(web, who, source)["id"]
    broker.drain()
    before = dict(StepRun.objects.filter(run=run).values_list("key", "id"))
    assert state(web, who, run) == "failed"
    ask(web, who, run, "retry")
    broker.drain()
    told = get(web, f"runs/{run}", who).json()
    assert told["state"] == "succeeded"
    assert {s["key"]: s["state"] for s in told["steps"]} == {
        "a": "succeeded", "never": "skipped", "b": "succeeded", "c": "succeeded",
    }  # fmt: skip
    after = dict(StepRun.objects.filter(run=run).values_list("key", "id"))
    assert {k for k in "abc" if before[k] != after[k]} == {"a"}
    order = RunEvent.objects.filter(run_id=run, name="step.succeeded", key__in="abc")
    assert list(order.order_by("id").values_list("key", flat=True))[-3:] == ["a", "b", "c"]


# ---------------------------------------------------------------- what is told
def test_the_page_of_a_retried_run_does_not_blame_a_step_for_the_time_before(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    source = f"name: flaky\nsteps:\n  a: {{tool: core.echo}}\n  b: {{needs: [a], {FLAKY}}}\n"
    run = start(web, who, source)["id"]
    broker.drain()
    assert state(web, who, run) == "failed"
    hour = timedelta(hours=1)
    Run.objects.filter(pk=run).update(started_at=F("started_at") - hour)
    StepRun.objects.filter(run=run, key="a").update(
        started_at=F("started_at") - hour, ended_at=F("ended_at") - hour
    )
    ask(web, who, run, "retry")
    broker.drain()
    assert state(web, who, run) == "succeeded"
    shown = picture.run_picture(Run.objects.get(pk=run), now=timezone.now())
    assert sum(share.seconds for share in shown["path"]) < 60, shown["rest"]


def test_progress_counts_no_step_that_a_cancel_cut_off(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    run = start(web, who, LIMITED, inputs={"who": "a"})["id"]
    ask(web, who, run, "cancel")
    told = get(web, f"runs/{run}", who).json()
    none = {"done": 0, "total": 0}
    progress = {"done": 0, "total": 1, "items": none, "ratio": 0.0}
    assert (told["state"], told["progress"]) == ("cancelled", progress)
