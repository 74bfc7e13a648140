"""What a crash or a race between two writes leaves behind, and how the engine goes on from it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone

from config.errors import InvalidInput
from tests.workflows.conftest import Begin, Broker, states
from workflows import (
    again,
    children,
    controls,
    documents,
    engine,
    items,
    lost,
    starting,
    steps,
    sweeps,
    waits,
)
from workflows.advance import Outcome
from workflows.contexts import run_facts
from workflows.database import execute
from workflows.domain.transitions import StepState
from workflows.models import Run, StepRun
from workflows.plans import plan_for


class Crash(Exception):
    """The process is gone at this point."""


def crash(*args: Any, **kwargs: Any) -> None:
    raise Crash


def aside(work: Callable[[], object]) -> None:
    """Do ``work`` on a connection of its own, and wait for it."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(90)
    assert not thread.is_alive(), "it waits for a lock that is never given up"
    if failures:
        raise failures[0]


def beside(work: Callable[[], object]) -> threading.Thread:
    """Begin ``work`` on a connection of its own; it is done, or waits for us, when this returns."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(0.5)
    return thread


def grow_old() -> None:
    past = timezone.now() - timedelta(seconds=1)
    StepRun.objects.filter(state="running").update(lease_until=past)
    StepRun.objects.filter(state="waiting").exclude(wake_at=None).update(wake_at=past)
    StepRun.objects.filter(state="queued").exclude(wake_at=None).update(wake_at=lost.UNSENT)


def settle(run: Run, broker: Broker, rounds: int = 8) -> None:
    """Expire, sweep and deliver until nothing moves."""
    for _ in range(rounds):
        broker.drain()
        grow_old()
        sweeps.sweep()
    run.refresh_from_db()


def open_steps(run: Run) -> list[str]:
    final = ["succeeded", "failed", "skipped", "unreachable", "cancelled"]
    rows = run.steps.exclude(state__in=final)
    return sorted(f"{s.key}[{s.item}] {s.state}" for s in rows)


# ---------------------------------------------------------------- fan-outs
FAN = (
    "name: fan_failing\nsteps:\n"
    '  f: {for_each: "${ inputs.xs }", max_parallel: 2, tool: core.fail, '
    'with: {times: "${ item }"}, retry: {max_attempts: 1}}\n'
    "  z: {needs: [f], tool: core.echo}\n"
)


@pytest.mark.parametrize("times", [[1], [0, 1], [1, 0], [1, 0, 0, 0], [0] * 70 + [1]])
def test_a_failed_item_fails_its_step_even_if_its_worker_dies_before_saying_so(
    begin: Begin, broker: Broker, monkeypatch: pytest.MonkeyPatch, times: list[int]
) -> None:
    run = begin(FAN, {"xs": times})
    with monkeypatch.context() as patched:
        patched.setattr(items, "_fail_fan", crash)
        while broker.messages:
            try:
                broker.drain(limit=1)
            except Crash:
                continue
    settle(run, broker)
    assert run.state == "failed"
    assert run.error["step"] == "f"
    assert states(run) == {"f": "failed", "z": "cancelled"}
    assert open_steps(run) == []


def test_a_fan_out_goes_on_after_a_crash_at_each_of_its_ends(
    begin: Begin, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(
        'name: counted\nsteps:\n  f: {for_each: "${ inputs.xs }", tool: core.echo, '
        'with: {value: "${ item }"}}\noutputs: {f: "${ steps.f.output.map(x, x.value) }"}\n',
        {"xs": list(range(150))},
    )
    with monkeypatch.context() as patched:
        patched.setattr(items, "end_part", crash)
        while broker.messages:
            try:
                broker.drain(limit=1)
            except Crash:
                continue
    settle(run, broker)
    assert run.outputs == {"f": list(range(150))}


# ---------------------------------------------------------------- runs that are being stopped
def test_a_turn_of_a_loop_that_begins_while_its_run_is_cancelled_is_cancelled_too(
    begin: Begin, broker: Broker, caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(
        "name: turning\nsteps:\n  a: {tool: core.echo, repeat: {until: 'iteration > 3', max: 5}}\n"
    )
    turn = engine._next_iteration

    def cancelled_first(*args: Any) -> None:
        aside(lambda: controls.cancel_run(caller, run.pk))
        turn(*args)

    monkeypatch.setattr(engine, "_next_iteration", cancelled_first)
    broker.drain(limit=1)
    settle(run, broker)
    assert run.state == "cancelled"
    assert open_steps(run) == []


def test_a_child_run_that_begins_while_its_parent_is_cancelled_is_cancelled_too(
    begin: Begin, broker: Broker, caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin("name: inner\nsteps:\n  w: {wait: {signal: go}}\n")
    run = begin("name: outer\nsteps:\n  i: {workflow: inner}\n")
    start = starting.start_child
    cancelling: list[threading.Thread] = []

    def cancelled_meanwhile(**kwargs: Any) -> None:
        if not cancelling:
            cancelling.append(beside(lambda: controls.cancel_run(caller, run.pk)))
        start(**kwargs)

    monkeypatch.setattr(starting, "start_child", cancelled_meanwhile)
    broker.drain()
    cancelling[0].join(90)
    settle(run, broker)
    assert run.state == "cancelled"
    assert open_steps(run) == []
    child = Run.objects.filter(parent_step_id=run.steps.get(key="i").pk).first()
    assert child is None or child.state == "cancelled"


def test_a_step_that_fails_while_its_run_is_cancelled_is_not_tried_again(
    begin: Begin, broker: Broker, caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin("name: trying\nsteps:\n  a: {tool: core.fail, with: {times: 2}}\n")
    later = engine.retry_later

    def cancelled_first(*args: Any, **kwargs: Any) -> None:
        aside(lambda: controls.cancel_run(caller, run.pk))
        later(*args, **kwargs)

    monkeypatch.setattr(engine, "retry_later", cancelled_first)
    settle(run, broker)
    assert run.state == "cancelled"
    assert open_steps(run) == []


def test_a_worker_lost_while_its_run_is_cancelled_leaves_no_open_step(
    begin: Begin, broker: Broker, caller
) -> None:
    run = begin("name: lost\nsteps:\n  a: {tool: core.sleep, with: {seconds: 0}}\n")
    assert steps.claim([run.steps.get(key="a").pk], token=uuid4(), worker="w")
    broker.lose_everything()
    controls.cancel_run(caller, run.pk)
    settle(run, broker)
    assert run.state == "cancelled"
    assert open_steps(run) == []


def test_a_fan_out_that_fails_to_a_handler_cancels_the_runs_inside(
    begin: Begin, broker: Broker
) -> None:
    begin(
        "name: picky\ninputs: {type: object, properties: {n: {type: integer}}}\nsteps:\n"
        "  a: {tool: core.fail, with: {times: '${ inputs.n }'}, retry: {max_attempts: 1}}\n"
        "  w: {needs: [a], wait: {signal: go}}\n", {"n": 0},
    )  # fmt: skip
    run = begin(
        "name: many\nsteps:\n  f: {for_each: [0, 1], workflow: picky, with: {n: '${ item }'}, "
        "on_error: {go_to: h}}\n  h: {tool: core.echo}\n"
    )
    settle(run, broker)
    assert run.state == "succeeded"
    inside = Run.objects.filter(workflow_name="picky").exclude(parent_step_id=None)
    assert sorted(inside.values_list("state", flat=True)) == ["cancelled", "failed"]


@pytest.mark.parametrize("child", ["{workflow: inner}", "{for_each: [1], workflow: inner}"])
@pytest.mark.parametrize("joins_first", [True, False])
def test_a_child_run_that_begins_while_nothing_needs_it_any_more_is_not_left_running(
    begin: Begin, broker: Broker, caller, monkeypatch: pytest.MonkeyPatch,
    child: str, joins_first: bool,
) -> None:  # fmt: skip
    begin("name: inner\nsteps:\n  w: {wait: {signal: go}}\n")
    run = begin(
        f"name: outer\nsteps:\n  i: {child}\n  quick: {{wait: {{signal: enough}}}}\n"
        "  z: {needs: {any: [i, quick]}, tool: core.echo}\n"
    )
    named, method = (children, "_is_wanted") if joins_first else (starting, "start_child")
    original = getattr(named, method)
    joining: list[threading.Thread] = []

    def met_meanwhile(*args: Any, **kwargs: Any) -> Any:
        if not joining:  # before it looks whether it is wanted, or after
            met = lambda: controls.send_signal(caller, run.pk, name="enough")  # noqa: E731
            joining.append(beside(met))
        return original(*args, **kwargs)

    monkeypatch.setattr(named, method, met_meanwhile)
    broker.drain()
    joining[0].join(90)
    settle(run, broker)
    assert run.state == "succeeded"
    assert states(run) == {"i": "cancelled", "quick": "succeeded", "z": "succeeded"}
    assert open_steps(run) == []
    inside = Run.objects.filter(workflow_name="inner").exclude(parent_step_id=None)
    assert set(inside.values_list("state", flat=True)) <= {"cancelled"}


# ---------------------------------------------------------------- retrying a run
def test_a_loop_that_failed_in_its_second_turn_is_done_again_by_a_retry(
    begin: Begin, broker: Broker, caller
) -> None:
    run = begin(
        "name: second\nsteps:\n  a: {tool: core.echo, repeat: {until: 'iteration >= 2', max: 3}}\n"
        "  b: {needs: [a], tool: core.echo}\n"
    )
    broker.drain(limit=1)
    second = run.steps.get(key="a", iteration=2)
    token = uuid4()
    assert steps.claim([second.pk], token=token, worker="w")
    engine.finish(
        run_facts(run.pk), plan_for(run.version_id), token=token, next_token=uuid4(), worker="w",
        outcomes=[Outcome(second.pk, "a", StepState.FAILED, error={"code": "x", "message": "x"})],
    )  # fmt: skip
    run.refresh_from_db()
    assert run.state == "failed"
    again.retry_run(caller, run.pk)
    settle(run, broker)
    assert run.state == "succeeded"
    assert states(run) == {"a": "succeeded", "b": "succeeded"}
    assert not run.steps.filter(state="failed").exists()


# ---------------------------------------------------------------- signals
def test_a_signal_sent_while_its_step_begins_to_wait_is_not_lost(
    begin: Begin, broker: Broker, caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(
        "name: race\nsteps:\n  a: {tool: core.echo}\n  w: {needs: [a], wait: {signal: go}}\n"
    )
    take = waits.take_signal
    sender: list[threading.Thread] = []

    def sent_meanwhile(*args: Any) -> tuple[bool, Any]:
        found = take(*args)
        if not sender:
            sender.append(
                beside(lambda: controls.send_signal(caller, run.pk, name="go", payload=7))
            )
        return found

    monkeypatch.setattr(waits, "take_signal", sent_meanwhile)
    broker.drain()
    sender[0].join(90)
    run.refresh_from_db()
    assert (run.state, run.steps.get(key="w").output) == ("succeeded", 7)


# ---------------------------------------------------------------- what cannot be stored
@pytest.mark.parametrize(
    "value",
    ["a\x00b", float("nan"), float("inf"), "\ud800", {"k\x00": 1}, [1, {"x": float("nan")}]],
)
def test_an_output_that_is_no_json_fails_its_step_with_a_clear_error(
    begin: Begin, broker: Broker, monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    monkeypatch.setattr("workflows.work.agents.call_light_tool", lambda *a, **k: {"value": value})
    run = begin("name: odd\nsteps:\n  a: {tool: core.echo}\n  b: {needs: [a], tool: core.echo}\n")
    settle(run, broker)
    assert run.state == "failed"
    assert run.error["code"] == "invalid_input"
    assert "a.output" in run.error["message"]


def test_an_output_over_the_limit_of_artifacts_fails_its_step_and_names_the_limit(
    begin: Begin, broker: Broker, settings
) -> None:
    settings.MAX_INLINE_BYTES, settings.MAX_ARTIFACT_BYTES = 1024, 4096
    run = begin(
        "name: huge\nsteps:\n  a: {tool: core.echo, with: {value: '${ inputs.x + inputs.x }'}}\n"
        "  b: {needs: [a], tool: core.echo}\n",
        {"x": "y" * 3000},
    )
    settle(run, broker)
    assert (run.state, run.error["code"]) == ("failed", "invalid_input")
    assert "4096" in run.error["message"]


def test_all_outputs_of_a_fan_out_over_the_limit_fail_it_and_hold_nobody_else_up(
    begin: Begin, broker: Broker, settings
) -> None:
    settings.MAX_INLINE_BYTES, settings.MAX_ARTIFACT_BYTES = 1024, 4096
    run = begin(
        "name: sum\nsteps:\n  f: {for_each: [1, 2, 3, 4, 5, 6, 7], tool: core.echo, "
        "with: {value: '${ inputs.x }'}}\n",
        {"x": "y" * 900},
    )
    settle(run, broker)
    assert (run.state, run.error["step"]) == ("failed", "f")
    assert "4096" in run.error["message"]


@pytest.mark.parametrize("value", ["a\x00b", "\ud800", float("nan")])
def test_inputs_that_are_no_json_are_refused(begin: Begin, broker: Broker, value: object) -> None:
    with pytest.raises(InvalidInput, match="inputs"):
        begin("name: plain\nsteps:\n  a: {tool: core.echo}\n", {"x": value})
    assert not Run.objects.exists()


# ---------------------------------------------------------------- the sweep
def test_one_step_that_cannot_be_woken_holds_up_no_other(
    begin: Begin, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = (begin("name: timed\nsteps:\n  w: {wait: {for: 1h}}\n") for _ in range(2))
    answer = engine.answer

    def poisoned(facts: Any, *rest: Any) -> None:
        if facts.run_id == bad.pk:
            raise ValueError("broken")
        answer(facts, *rest)

    monkeypatch.setattr(engine, "answer", poisoned)
    settle(good, broker, rounds=2)
    assert good.state == "succeeded"
    bad.refresh_from_db()
    assert bad.state == "running"


def test_a_condition_that_overflows_fails_its_step_and_not_its_worker(
    begin: Begin, broker: Broker
) -> None:
    run = begin(
        "name: over\nsteps:\n  a: {tool: core.echo}\n"
        "  b: {needs: [a], when: 'inputs.n + 1 > 0', tool: core.echo}\n",
        {"n": 2**63 - 1},
    )
    settle(run, broker)
    assert (run.state, run.error["code"]) == ("failed", "expression_failed")


def test_a_document_shows_every_attempt_that_was_lost(begin: Begin, broker: Broker) -> None:
    run = begin("name: shown\nsteps:\n  a: {tool: core.sleep, with: {seconds: 0}}\n")
    assert steps.claim([run.steps.get(key="a").pk], token=uuid4(), worker="w")
    broker.lose_everything()
    settle(run, broker)
    attempts = documents.run_document(run)["steps"][0]["attempts"]
    assert [(a["attempt"], a["state"]) for a in attempts] == [(1, "lost"), (2, "succeeded")]


# ---------------------------------------------------------------- the end
@pytest.mark.parametrize("needs", ["{any: [quick, slow]}", "{all: [sent, slow]}"])
def test_a_run_ends_only_when_every_step_has(begin: Begin, broker: Broker, needs: str) -> None:
    """A join may be decided while some of its needs still work; the run waits for those."""
    run = begin(
        "name: stragglers\nsteps:\n  quick: {tool: core.echo}\n"
        "  slow: {tool: core.sleep, with: {seconds: 0}}\n"
        "  sent: {tool: core.fail, with: {times: 9}, retry: {max_attempts: 1}, "
        "on_error: {go_to: handler}}\n"
        f"  handler: {{tool: core.echo}}\n  join: {{needs: {needs}, tool: core.echo}}\n"
    )
    slow = str(run.steps.get(key="slow").pk)
    late = [message for message in broker.messages if slow in message[2]]
    broker.messages = [message for message in broker.messages if slow not in message[2]]
    broker.drain()
    run.refresh_from_db()
    assert states(run)["join"] in ("succeeded", "unreachable")
    assert run.state == "running"
    broker.messages = late
    broker.drain()
    run.refresh_from_db()
    assert (run.state, open_steps(run)) == ("succeeded", [])


def test_a_run_retried_after_its_deadline_has_time_again_on_every_worker(
    begin: Begin, broker: Broker, caller
) -> None:
    """A worker remembers the facts of a run for a while; the deadline in them may have moved."""
    run = begin(
        "name: overdue\nsteps:\n  a: {tool: core.echo}\n"
        "  b: {needs: [a], tool: core.sleep, with: {seconds: 0}, retry: {max_attempts: 1}}\n"
    )
    past = timezone.now() - timedelta(seconds=1)
    Run.objects.filter(pk=run.pk).update(deadline_at=past)
    broker.drain(limit=1)  # the worker has read the facts
    sweeps.sweep()
    run.refresh_from_db()
    assert (run.state, run.error["code"]) == ("failed", "run_timeout")
    again.retry_run(caller, run.pk)
    broker.drain()
    run.refresh_from_db()
    assert (run.state, run.error) == ("succeeded", None)


def test_a_join_starts_after_all_it_needs_even_if_the_last_finish_began_before_another_ended(
    begin: Begin, broker: Broker
) -> None:
    run = begin(
        "name: late\nsteps:\n  a: {tool: core.echo}\n  b: {tool: core.echo}\n"
        "  z: {tool: core.echo, needs: [a, b]}\n  end: {tool: core.echo, needs: [z]}\n"
    )
    facts, plan, token = run_facts(run.pk), plan_for(run.version_id), uuid4()
    claimed = {
        row.key: row
        for row in steps.claim(
            list(run.steps.filter(state="queued").values_list("id", flat=True)),
            token=token,
            worker="w",
        )
    }

    def finish(key: str) -> None:
        outcome = Outcome(claimed[key].step_id, key, StepState.SUCCEEDED, output={})
        engine.finish(
            facts, plan, token=token, outcomes=[outcome], next_token=uuid4(), worker="w"
        )  # fmt: skip

    with transaction.atomic():
        execute("SELECT now()", {})  # the transaction's time stands still from here on
        aside(lambda: finish("b"))
        finish("a")
    ended = run.steps.get(key="b").ended_at
    started = run.steps.get(key="z").started_at
    assert ended is not None and started is not None and started > ended
