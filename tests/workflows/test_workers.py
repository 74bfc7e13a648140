"""The engine with real worker processes, a real broker, and real ends of both."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import redis
from django.test import Client as Browser

from tests.workflows import effects
from tests.workflows.conftest import Begin, Key, states
from tests.workflows.http import get, post, start
from tests.workflows.test_faults import open_steps
from tests.workflows.workers import QUICK, ended, sweeping, wait_for, watching, worker
from workflows import dispatch, documents
from workflows.models import Run, RunEvent, StepRun

pytestmark = [pytest.mark.worker, pytest.mark.django_db(transaction=True)]

SLOW = """
name: slow_effect
inputs: {type: object, properties: {ledger: {type: string}, seconds: {type: number}}}
steps:
  a: {tool: drill.light, with: {ledger: "${ inputs.ledger }"}}
  b:
    needs: [a]
    tool: drill.effect
    with: {ledger: "${ inputs.ledger }", seconds: "${ inputs.seconds }", value: 5}
  c: {needs: [b], tool: drill.light, with: {ledger: "${ inputs.ledger }"}}
outputs: {value: "${ steps.b.output.value }"}
"""


@pytest.fixture
def environment(process_environment: dict[str, str]) -> dict[str, str]:
    return {**process_environment, **QUICK}


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


def keys_of(run: Run) -> set[str]:
    return {str(pk) for pk in run.steps.filter(kind="tool").values_list("id", flat=True)}


def running(run: Run, key: str) -> bool:
    return run.steps.filter(key=key, state="running").exists()


@pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.slow)])
def test_a_run_goes_through_real_workers_from_start_to_end(
    environment: dict[str, str], begin: Begin, ledger: Path, tmp_path: Path, pool: str
) -> None:
    begin(SLOW, {"ledger": str(ledger), "seconds": 0})
    run = begin(
        'name: whole\nsteps:\n  f:\n    for_each: "${ inputs.xs }"\n    tool: drill.effect\n'
        '    with: {ledger: "${ inputs.ledger }", value: "${ item }"}\n'
        "  inside: {workflow: slow_effect, with: {ledger: '${ inputs.ledger }', seconds: 0}}\n"
        "  r: {needs: [f, inside], tool: drill.effect, retry: {max_attempts: 3, backoff: 1ms},\n"
        '    with: {ledger: "${ inputs.ledger }", fails: 1}}\n'
        'outputs: {all: "${ steps.f.output.map(x, x.value) }"}\n',
        {"xs": list(range(20)), "ledger": str(ledger)},
    )
    with watching() as told, worker(environment, tmp_path, pool=pool, concurrency=2) as one:
        wait_for(lambda: ended(run), 90, lambda: one.said)
        wait_for(lambda: {"task-received", "task-started", "task-succeeded"} <= {
            event["type"] for event in told if event.get("root_id", str(run.pk)) == str(run.pk)
        }, 90, lambda: one.said)  # fmt: skip
    inner = Run.objects.get(workflow_name="slow_effect", parent_step_id__isnull=False)
    roots = {event["root_id"] for event in told if str(inner.pk) in event.get("args", "")}
    assert roots == {str(run.pk)}, "a tree of runs has one root, and each task names its own run"
    assert (run.state, run.outputs) == ("succeeded", {"all": list(range(20))})
    attempts = next(s for s in documents.run_document(run)["steps"] if s["key"] == "r")["attempts"]
    assert [a["state"] for a in attempts] == ["failed", "succeeded"]
    assert set(effects.calls(ledger).values()) == {1}


def test_a_step_whose_worker_is_killed_goes_on_elsewhere_and_keeps_its_key(
    environment: dict[str, str], begin: Begin, ledger: Path, tmp_path: Path
) -> None:
    run = begin(SLOW, {"ledger": str(ledger), "seconds": 2})
    with worker(environment, tmp_path, name="victim") as victim:
        wait_for(lambda: running(run, "b"), 90, lambda: victim.said)
        victim.kill()
        with worker(environment, tmp_path, name="heir") as heir, sweeping():
            wait_for(lambda: ended(run), 90, lambda: heir.said)
    assert (run.state, run.outputs) == ("succeeded", {"value": 5})
    assert set(effects.calls(ledger)) == keys_of(run)
    attempts = next(s for s in documents.run_document(run)["steps"] if s["key"] == "b")["attempts"]
    assert (attempts[0]["state"], attempts[-1]["state"]) == ("lost", "succeeded")
    assert attempts[0]["worker"] != attempts[-1]["worker"]


@pytest.mark.parametrize("pool", [pytest.param("threads", marks=pytest.mark.slow), "prefork"])
def test_a_worker_that_is_stopped_hands_back_what_it_cannot_finish(
    environment: dict[str, str], begin: Begin, ledger: Path, tmp_path: Path, pool: str
) -> None:
    environment |= {"WORKER_GRACE_SECONDS": "5", "STEP_LEASE_SECONDS": "60"}
    run = begin(SLOW, {"ledger": str(ledger), "seconds": 60})
    with worker(environment, tmp_path, pool=pool) as one:
        wait_for(lambda: running(run, "b"), 90, lambda: one.said)
        one.terminate()
        wait_for(lambda: run.steps.get(key="b").state == "queued", 30, lambda: one.said)
    assert RunEvent.objects.filter(run_id=run.pk, name="step.handed_back", key="b").count() == 1
    assert run.steps.get(key="b").deliveries == 0


@pytest.mark.slow
def test_a_step_that_ends_within_the_grace_is_finished_by_its_worker(
    environment: dict[str, str], begin: Begin, ledger: Path, tmp_path: Path
) -> None:
    run = begin(SLOW, {"ledger": str(ledger), "seconds": 1.5})
    with worker(environment, tmp_path) as one:
        wait_for(lambda: running(run, "b"), 90, lambda: one.said)
        one.terminate()
        one.process.wait(90)
    assert states(run)["b"] == "succeeded"
    assert not RunEvent.objects.filter(run_id=run.pk, name="step.handed_back").exists()


def test_a_flushed_broker_loses_no_step(
    environment: dict[str, str], begin: Begin, ledger: Path, tmp_path: Path
) -> None:
    with worker(environment, tmp_path) as one, sweeping():
        first = begin(SLOW, {"ledger": str(ledger), "seconds": 0})
        wait_for(lambda: ended(first), 90, lambda: one.said)
        runs = [begin(SLOW, {"ledger": str(ledger), "seconds": 0.2}) for _ in range(8)]
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as broker:
            broker.flushdb()
        for run in runs:
            wait_for(lambda run=run: ended(run), 90, lambda: one.said)
    assert {run.state for run in runs} == {"succeeded"}
    assert set(effects.calls(ledger)) == set().union(*map(keys_of, [first, *runs]))


def test_a_message_delivered_three_times_has_one_effect(
    environment: dict[str, str],
    begin: Begin,
    ledger: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send = dispatch._send
    monkeypatch.setattr(dispatch, "_send", lambda messages: send(messages * 3))
    run = begin(
        'name: thrice\nsteps:\n  f:\n    for_each: "${ inputs.xs }"\n    tool: drill.effect\n'
        '    with: {ledger: "${ inputs.ledger }", seconds: 0.05}\n',
        {"xs": list(range(12)), "ledger": str(ledger)},
    )
    with worker(environment | {"STEP_LEASE_SECONDS": "25"}, tmp_path) as one:
        wait_for(lambda: ended(run), 90, lambda: one.said)
    assert set(effects.calls(ledger).values()) == {1}


def test_a_worker_that_hangs_past_its_lease_and_finishes_late_changes_nothing(
    environment: dict[str, str], begin: Begin, ledger: Path, tmp_path: Path
) -> None:
    run = begin(SLOW, {"ledger": str(ledger), "seconds": 1})
    with worker(environment, tmp_path, name="stuck") as stuck:
        wait_for(lambda: running(run, "b"), 90, lambda: stuck.said)
        os.killpg(stuck.process.pid, 19)  # SIGSTOP: a virtual machine that is moved, a long pause
        with worker(environment, tmp_path, name="heir") as heir, sweeping():
            wait_for(lambda: ended(run), 90, lambda: heir.said)
            before = RunEvent.objects.filter(run_id=run.pk).count()
            os.killpg(stuck.process.pid, 18)
            wait_for(lambda: sum(effects.calls(ledger).values()) >= 4, 90, lambda: stuck.said)
            time.sleep(0.5)  # its finish has come and gone
    assert RunEvent.objects.filter(run_id=run.pk).count() == before
    assert run.steps.get(key="b").attempt >= 2
    assert set(effects.calls(ledger)) == keys_of(run), "the same key, so no second effect"
    assert open_steps(run) == []


@pytest.mark.parametrize(
    "at_once", [pytest.param(1, marks=[pytest.mark.chaos, pytest.mark.slow]), 4]
)
def test_a_worker_killed_while_items_are_undone_leaves_the_rest_to_others_and_none_twice(
    environment: dict[str, str], key: Key, ledger: Path, tmp_path: Path, at_once: int
) -> None:
    web, who = Browser(), key()
    run = start(
        web, who,
        "name: undone\ninputs: {type: object, properties: {ledger: {type: string}}}\nsteps:\n"
        f"  f: {{for_each: {list(range(12))}, tool: core.echo, compensate: {{\n"
        f"    tool: drill.effect, max_parallel: {at_once},\n"
        "    with: {ledger: '${ inputs.ledger }', value: '${ item }', seconds: 0.2}}}\n"
        "  w: {needs: [f], wait: {signal: go}}\n",
        inputs={"ledger": str(ledger)},
    )["id"]  # fmt: skip
    rows = StepRun.objects.filter(key="f.compensate", item__gte=0)
    waits = StepRun.objects.filter(key="w", state="waiting")
    with worker(environment, tmp_path, name="victim") as victim:
        wait_for(waits.exists, 90, lambda: victim.said)
        assert post(web, f"runs/{run}/cancel", {}, who).status_code == 200
        done = rows.filter(state="succeeded")
        wait_for(lambda: done.count() > 3 and rows.filter(state="running").exists(), 90)
        victim.kill()
        with worker(environment, tmp_path, name="heir") as heir, sweeping():
            wait_for(lambda: ended(Run.objects.get(pk=run)), 90, lambda: heir.said)
    shown = get(web, f"runs/{run}?items=all", who).json()
    undone = [s for s in shown["steps"] if s["key"] == "f.compensate" and s["index"] is not None]
    assert (shown["state"], {s["state"] for s in undone}) == ("cancelled", {"succeeded"})
    assert sorted(s["output"]["value"] for s in undone) == list(range(12))
    assert any("lost" in {a["state"] for a in s["attempts"]} for s in undone), "it died with one"
    assert set(effects.calls(ledger)) == {s["id"] for s in undone}
    if at_once == 1:
        first = list(dict.fromkeys(ledger.read_text().split()[::3]))
        assert first == [s["id"] for s in sorted(undone, key=lambda s: s["id"])]
