"""Starting, pausing, cancelling, forking and waiting, on the real engine and database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from config.errors import Conflict, IdempotencyMismatch, InvalidInput
from tests.workflows.conftest import Begin, Broker, states
from tests.workflows.test_engine import CHAIN, SLOW
from workflows import again, controls, engine, starting, steps, sweeps
from workflows.advance import Outcome
from workflows.contexts import run_facts
from workflows.domain.transitions import StepState
from workflows.models import Run, RunEvent, StepRun
from workflows.plans import plan_for


def test_a_paused_run_starts_nothing_and_goes_on_when_resumed(
    begin: Begin, broker: Broker, caller
) -> None:
    run = begin(SLOW)
    controls.pause_run(caller, run.pk)
    broker.drain()
    assert states(run) == {"a": "queued", "b": "pending"}
    controls.resume_run(caller, run.pk)
    broker.drain()
    run.refresh_from_db()
    assert run.state == "succeeded"
    with pytest.raises(Conflict, match="succeeded"):
        controls.pause_run(caller, run.pk)


def test_cancelling_lets_a_running_step_end_and_then_ends_the_run(
    begin: Begin, broker: Broker, caller
) -> None:
    run = begin(SLOW)
    step = run.steps.get(key="a")
    token = uuid4()
    steps.claim([step.pk], token=token, worker="w")
    controls.cancel_run(caller, run.pk, reason="no longer wanted")
    run.refresh_from_db()
    assert run.state == "cancelling"
    engine.finish(
        run_facts(run.pk), plan_for(run.version_id), token=token,
        outcomes=[Outcome(step.pk, "a", StepState.SUCCEEDED)], next_token=uuid4(), worker="w",
    )  # fmt: skip
    run.refresh_from_db()
    assert run.state == "cancelled"
    assert states(run) == {"a": "succeeded", "b": "cancelled"}


def test_cancelling_ends_the_runs_inside(begin: Begin, broker: Broker, caller) -> None:
    begin("name: inner\nsteps:\n  w: {wait: {signal: go}}\n")
    run = begin("name: outer2\nsteps:\n  i: {workflow: inner}\n")
    broker.drain()
    controls.cancel_run(caller, run.pk)
    run.refresh_from_db()
    child = Run.objects.get(parent_step_id=run.steps.get(key="i").pk)
    assert (run.state, child.state) == ("cancelled", "cancelled")


def test_a_fork_reuses_what_was_done_before_the_step(
    finished: Begin, broker: Broker, caller
) -> None:
    run = finished(CHAIN)
    fork = again.fork_run(caller, run.pk, from_step="s8")
    broker.drain()
    fork.refresh_from_db()
    assert fork.outputs == run.outputs
    done_again = RunEvent.objects.filter(run_id=fork.pk, name="step.succeeded")
    assert sorted(done_again.values_list("key", flat=True)) == ["s8", "s9"]


def test_a_signal_may_come_before_or_after_its_step(begin: Begin, broker: Broker, caller) -> None:
    source = (
        "name: signalled\nsteps:\n  a: {tool: core.sleep, with: {seconds: 0}}\n"
        "  w: {needs: [a], wait: {signal: filed}}\n"
        'outputs: {got: "${ steps.w.output }"}\n'
    )
    early, late = begin(source), begin(source)
    controls.send_signal(caller, early.pk, name="filed", payload={"n": 1})
    broker.drain()
    controls.send_signal(caller, late.pk, name="filed", payload={"n": 2})
    for run, n in ((early, 1), (late, 2)):
        run.refresh_from_db()
        assert (run.state, run.outputs) == ("succeeded", {"got": {"n": n}})


def test_a_time_is_waited_for_in_the_database(begin: Begin, broker: Broker) -> None:
    run = begin("name: timed\nsteps:\n  w: {wait: {for: 1h}}\n")
    broker.drain()
    sweeps.sweep()
    assert states(run) == {"w": "waiting"}
    StepRun.objects.filter(key="w").update(wake_at=timezone.now())
    sweeps.sweep()
    run.refresh_from_db()
    assert run.state == "succeeded"


def test_a_signal_that_never_comes_fails_its_step(begin: Begin, broker: Broker) -> None:
    run = begin("name: late\nsteps:\n  w: {wait: {signal: x, timeout: 1h}}\n")
    StepRun.objects.filter(key="w").update(wake_at=timezone.now())
    sweeps.sweep()
    run.refresh_from_db()
    assert (run.state, run.error["code"]) == ("failed", "signal_timeout")


def test_a_run_past_its_deadline_fails(begin: Begin, broker: Broker) -> None:
    run = begin("name: overdue\ntimeout: 1h\nsteps:\n  w: {wait: {signal: x}}\n")
    Run.objects.filter(pk=run.pk).update(deadline_at=timezone.now() - timedelta(seconds=1))
    sweeps.sweep()
    run.refresh_from_db()
    assert (run.state, run.error["code"]) == ("failed", "run_timeout")


LIMITED = """
name: limited
inputs: {type: object, properties: {who: {type: string}}}
concurrency: {key: "${ inputs.who }", max: 1}
steps:
  a: {tool: core.sleep, with: {seconds: 0}}
"""


def test_a_concurrency_limit_holds_by_key(begin: Begin, broker: Broker) -> None:
    first, second, other = (begin(LIMITED, {"who": who}) for who in "AAB")
    assert [r.state for r in (first, second, other)] == ["running", "waiting", "running"]
    broker.drain()
    second.refresh_from_db()
    assert second.state == "succeeded"


def test_the_same_key_gives_the_same_run(begin: Begin, broker: Broker) -> None:
    first = begin(SLOW, idempotency_key="k1")
    assert begin(SLOW, idempotency_key="k1").pk == first.pk
    with pytest.raises(IdempotencyMismatch):
        begin(SLOW, {"x": 1}, idempotency_key="k1")


def test_a_race_for_one_key_starts_one_run(begin: Begin, broker: Broker, caller) -> None:
    begin(SLOW)

    def start(_: int) -> str:
        try:
            run, _new = starting.start_run(
                caller=caller, workflow="slow", inputs={}, idempotency_key="race"
            )
            return str(run.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(start, range(8)))) == 1
    assert Run.objects.filter(idempotency_key="race").count() == 1


def test_inputs_are_held_to_the_schema_and_defaults_fill_in(begin: Begin, broker: Broker) -> None:
    source = (
        "name: typed\ninputs:\n  type: object\n  required: [n]\n"
        "  properties: {n: {type: integer}, m: {type: integer, default: 7}}\n"
        "steps:\n  a: {tool: core.echo, with: {value: '${ inputs.m }'}}\n"
        "outputs: {m: '${ steps.a.output.value }'}\n"
    )
    with pytest.raises(InvalidInput, match=r"inputs\.n"):
        begin(source, {"n": "three"})
    with pytest.raises(InvalidInput, match="'n' is a required property"):
        begin(source, {})
    assert not Run.objects.exists()
    run = begin(source, {"n": 1})
    broker.drain()
    run.refresh_from_db()
    assert run.outputs == {"m": 7}


def test_a_large_output_goes_to_an_artifact_and_is_read_back(finished: Begin, settings) -> None:
    settings.MAX_INLINE_BYTES = 1024
    run = finished(
        'name: large\nsteps:\n  a: {tool: core.echo, with: {value: "${ inputs.x }"}}\n'
        '  b: {needs: [a], tool: core.echo, with: {value: "${ size(steps.a.output.value) }"}}\n'
        'outputs: {n: "${ steps.b.output.value }"}\n',
        {"x": "y" * 5000},
    )
    assert run.outputs == {"n": 5000}
    assert "$artifact" in run.steps.get(key="a").output


def test_large_outputs_of_items_are_read_back_by_those_behind_the_fan_out(
    finished: Begin, settings
) -> None:
    settings.MAX_INLINE_BYTES = 1024
    run = finished(
        "name: large_items\nsteps:\n"
        '  f: {for_each: [1, 2], tool: core.echo, with: {value: "${ inputs.x }"}}\n'
        "  z: {needs: [f], tool: core.echo,"
        ' with: {value: "${ steps.f.output.map(o, size(o.value)) }"}}\n'
        'outputs: {n: "${ steps.z.output.value }"}\n',
        {"x": "y" * 5000},
    )
    assert (run.error, run.outputs) == (None, {"n": [5000, 5000]})
