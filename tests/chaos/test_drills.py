"""The long drills: many runs, real workers, real kills. ``make chaos`` runs them."""

from __future__ import annotations

import random
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.chaos.conftest import Carrier
from tests.chaos.sizes import SCALE, scaled
from tests.workflows import effects
from tests.workflows.conftest import Begin
from tests.workflows.workers import Worker, sweeping, wait_for, worker
from workflows.models import Run, RunEvent, StepRun

pytestmark = [
    pytest.mark.chaos, pytest.mark.slow, pytest.mark.worker,
    pytest.mark.django_db(transaction=True),
]  # fmt: skip

RUNS, FEWER, KILLS = scaled(200), scaled(60), 5
# A diamond with a fan-out, a retry and light steps: 9 effects a run.
WORK = """
name: drilled
inputs: {type: object, properties: {ledger: {type: string}}}
steps:
  a: {tool: drill.light, with: {ledger: "${ inputs.ledger }"}}
  left:
    needs: [a]
    tool: drill.effect
    with: {ledger: "${ inputs.ledger }", seconds: 0.05}
  right:
    needs: [a]
    tool: drill.effect
    with: {ledger: "${ inputs.ledger }", fails: 1}
    retry: {max_attempts: 20, backoff: 100ms}
  fan:
    needs: [a]
    for_each: [1, 2, 3, 4]
    tool: drill.effect
    with: {ledger: "${ inputs.ledger }", value: "${ item }"}
  join: {needs: [left, right, fan], tool: drill.light, with: {ledger: "${ inputs.ledger }"}}
  last: {needs: [join], tool: drill.effect, with: {ledger: "${ inputs.ledger }"}}
outputs: {all: "${ steps.fan.output.map(x, x.value) }"}
"""
EFFECTS = 9


def kill_and_replace(
    stack: ExitStack, workers: list[Worker], environment: dict[str, str], folder: Path
) -> None:
    """Kill a worker in the middle of a step, if one is within a few seconds."""
    place = random.randrange(len(workers))
    until = time.monotonic() + 20
    while time.monotonic() < until:
        busy = StepRun.objects.filter(state="running").values_list("id", flat=True)
        actors = RunEvent.objects.filter(step_id__in=list(busy), name="step.started")
        pids = {actor.rpartition(":")[2] for actor in actors.values_list("actor", flat=True)}
        holders = [n for n, one in enumerate(workers) if str(one.process.pid) in pids]
        if holders:
            place = random.choice(holders)
            break
        time.sleep(0.02)
    workers[place].kill()
    name = f"w{place}-{time.monotonic_ns()}"
    workers[place] = stack.enter_context(worker(environment, folder, name=name, ready=False))


def reconcile(runs: list[Run], ledger: Path) -> None:
    """Every run complete, every effect there once by its key, no row open, history in accord."""
    for run in runs:
        run.refresh_from_db()
    assert [run.state for run in runs] == ["succeeded"] * len(runs)
    assert all(run.outputs == {"all": [1, 2, 3, 4]} for run in runs)
    ids = [run.pk for run in runs]
    rows = StepRun.objects.filter(run__in=ids, kind="tool")
    assert not rows.exclude(state="succeeded").exists()
    fans = {str(pk) for pk in rows.filter(key="fan", item=-1).values_list("id", flat=True)}
    wanted = {str(pk) for pk in rows.values_list("id", flat=True)} - fans
    assert len(wanted) == EFFECTS * len(runs)
    assert set(effects.calls(ledger)) == wanted, "no effect lost, and none under a second key"
    ends = RunEvent.objects.filter(run_id__in=ids, name="step.succeeded")
    assert ends.count() == len(wanted) + len(fans)
    assert RunEvent.objects.filter(run_id__in=ids, name="run.succeeded").count() == len(runs)


def all_ended(runs: list[Run]) -> bool:
    return not Run.objects.filter(pk__in=[r.pk for r in runs], ended_at=None).exists()


def test_two_hundred_runs_survive_five_kills_a_flush_and_a_double_beat(
    carrier: Carrier,
    begin: Begin,
    tmp_path: Path,
) -> None:
    environment = carrier.environment
    ledger = tmp_path / "ledger"
    # Before anybody works, so that the kills meet work however slow the machine is.
    runs = [begin(WORK, {"ledger": str(ledger)}) for _ in range(RUNS)]
    with ExitStack() as stack:
        workers = [
            stack.enter_context(worker(environment, tmp_path, name=f"w{i}")) for i in range(2)
        ]
        stack.enter_context(sweeping(copies=2))
        for number in range(KILLS):
            time.sleep(random.uniform(0.5, 2.5))
            kill_and_replace(stack, workers, environment, tmp_path)
            if number == 2:
                carrier.forget()
        until = time.monotonic() + 300
        while not all_ended(runs) and time.monotonic() < until:
            time.sleep(3)
    reconcile(runs, ledger)
    if SCALE >= 1:  # a few runs may be over before anybody is killed
        assert RunEvent.objects.filter(name="step.lost").exists(), "the kills hit something"


def test_runs_survive_workers_that_are_killed_all_the_time(
    carrier: Carrier,
    begin: Begin,
    tmp_path: Path,
) -> None:
    environment = carrier.environment
    ledger = tmp_path / "ledger"
    runs = [begin(WORK, {"ledger": str(ledger)}) for _ in range(FEWER)]
    with ExitStack() as stack:
        workers = [
            stack.enter_context(worker(environment, tmp_path, name=f"w{i}")) for i in range(2)
        ]
        stack.enter_context(sweeping())
        over = threading.Event()
        for _ in range(scaled(12, least=3)):
            if all_ended(runs):
                break
            kill_and_replace(stack, workers, environment, tmp_path)
            over.wait(random.uniform(3, 8))
        with suppress(AssertionError):
            wait_for(lambda: all_ended(runs), 240)
    reconcile(runs, ledger)
