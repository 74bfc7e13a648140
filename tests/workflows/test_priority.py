"""Priority with the workers that an instance runs: what is urgent passes, and nothing starves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from django.test import Client as Browser

from config.supervisor.programs import Ports, programs
from tests import processes
from tests.workflows import effects
from tests.workflows.conftest import Key
from tests.workflows.http import start
from tests.workflows.workers import Worker, ended, wait_for
from workflows.models import Run, StepRun

pytestmark = [pytest.mark.worker, pytest.mark.django_db(transaction=True)]


def work(name: str, items: int, seconds: float) -> str:
    """All of its items wait in their lane at once."""
    return (
        f"name: {name}\ninputs: {{type: object, properties: {{ledger: {{type: string}}}}}}\n"
        f"steps:\n  fan:\n    for_each: {list(range(items))}\n    max_parallel: 200\n"
        f"    tool: drill.effect\n"
        f"    with: {{ledger: '${{ inputs.ledger }}', seconds: {seconds}}}\n"
    )


@contextmanager
def shipped_io_workers(environment: dict[str, str], folder: Path) -> Iterator[list[Worker]]:
    """``io1`` and ``io2`` with the options and variables that the supervisor gives them."""
    with ExitStack() as stack:
        workers = []
        for program in programs(Ports(1, 2, 0), host="127.0.0.1", flower_auth="a:b"):
            if program.name.startswith("io"):
                log = folder / f"{program.name}.log"
                more = ("-I", effects.__name__, "-l", "INFO")
                process = processes.start(
                    program.argv[2], *program.argv[3:], *more,
                    env={**environment, **program.env}, log=log,
                )  # fmt: skip
                workers.append(Worker(process, log, program.name))
                stack.callback(workers[-1].kill)
        for one in workers:
            wait_for(lambda one=one: " ready." in one.said, 120, lambda one=one: one.said)
        yield workers


class Lanes:
    """Runs that are started over HTTP, each in the lane of its priority."""

    def __init__(self, who: dict[str, str], ledger: Path) -> None:
        self.web, self.who, self.ledger = Browser(), who, str(ledger)

    def begin(self, priority: str, *, items: int, seconds: float) -> Run:
        made = start(self.web, self.who, work(priority, items, seconds), priority=priority,
                     inputs={"ledger": self.ledger})  # fmt: skip
        return Run.objects.get(pk=made["id"])


@pytest.fixture
def lanes(key: Key, tmp_path: Path) -> Lanes:
    return Lanes(key(), tmp_path / "ledger")


def done(run: Run) -> int:
    return run.steps.filter(item__gte=0, state="succeeded").count()


def test_an_urgent_run_passes_all_that_waits(
    process_environment: dict[str, str], lanes: Lanes, tmp_path: Path
) -> None:
    backlog = [lanes.begin(lane, items=100, seconds=0.25) for lane in ("low", "default")]
    with shipped_io_workers(process_environment, tmp_path) as workers:
        wait_for(lambda: all(map(done, backlog)), 60, lambda: workers[0].said)
        urgent = lanes.begin("high", items=8, seconds=0.05)
        wait_for(lambda: ended(urgent), 60, lambda: workers[0].said)
        items = urgent.steps.filter(item__gte=0)
        first, last = (items.order_by(by).first() for by in ("queued_at", "-started_at"))
    assert first and last
    ahead = StepRun.objects.filter(
        run__in=backlog, started_at__gt=first.queued_at, started_at__lt=last.started_at
    )
    # What the eight threads took while they did the eight; 24 more were fetched ahead before.
    assert ahead.count() <= 14
    assert all(run.steps.filter(state="queued").exists() for run in backlog), "it was a backlog"


@pytest.mark.slow
def test_what_can_wait_goes_on_under_a_constant_load_of_what_is_urgent(
    process_environment: dict[str, str], lanes: Lanes, tmp_path: Path
) -> None:
    urgent = lanes.begin("high", items=160, seconds=0.15)
    with shipped_io_workers(process_environment, tmp_path) as workers:
        wait_for(lambda: done(urgent), 60, lambda: workers[0].said)
        later = [lanes.begin(lane, items=6, seconds=0.05) for lane in ("low", "default")]
        wait_for(lambda: all(map(ended, later)), 60, lambda: workers[1].said)
        assert urgent.steps.filter(state="queued").count() > 20, "its load lasted all the while"
