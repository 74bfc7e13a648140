"""The long drills of servers that crash, workers that hang and clocks that jump."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.conftest import BROKERS, PATIENT, Carrier
from tests.chaos.sizes import scaled
from tests.chaos.test_drills import FEWER, WORK, all_ended, reconcile
from tests.workflows.conftest import Begin
from tests.workflows.servers import Servers, own_servers, rabbitmq, using_broker
from tests.workflows.wall_clock import NO_COMPILER, wall_clock
from tests.workflows.workers import sweeping, worker
from workflows.models import Run, RunEvent

pytestmark = [
    pytest.mark.chaos, pytest.mark.slow, pytest.mark.worker,
    pytest.mark.django_db(transaction=True),
]  # fmt: skip

HOUR = 3600


@dataclass(frozen=True)
class Crashing:
    """Servers of this test's own, and what crashes each of them and starts it again."""

    servers: Servers
    crash: dict[str, Callable[[], None]]


@pytest.fixture(params=BROKERS)
def crashing(
    request: pytest.FixtureRequest, process_environment: dict[str, str]
) -> Iterator[Crashing]:
    with ExitStack() as stack:
        servers = stack.enter_context(own_servers({**process_environment, **PATIENT}))

        def restart(name: str) -> None:
            servers.end_at_once(name)
            time.sleep(random.uniform(0, 2))
            servers.start_again(name)

        crash = {"postgres": lambda: restart("postgres"), "redis": lambda: restart("redis")}
        if request.param == "rabbitmq":
            rabbit = stack.enter_context(rabbitmq())
            stack.enter_context(using_broker(rabbit.url))
            servers.environment["BROKER_URL"] = rabbit.url

            def restart_rabbit() -> None:
                rabbit.kill()
                rabbit.start()

            crash["rabbitmq"] = restart_rabbit
        yield Crashing(servers, crash)


def finish(runs: list[Run], seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while not all_ended(runs) and time.monotonic() < until:
        time.sleep(2)


def test_runs_survive_servers_that_crash_one_after_the_other(
    crashing: Crashing,
    begin: Begin,
    tmp_path: Path,
) -> None:
    ledger = tmp_path / "ledger"
    runs = [begin(WORK, {"ledger": str(ledger)}) for _ in range(FEWER)]
    with ExitStack() as stack:
        for number in range(2):
            stack.enter_context(worker(crashing.servers.environment, tmp_path, name=f"w{number}"))
        stack.enter_context(sweeping(copies=2))
        for name in 2 * list(crashing.crash):
            time.sleep(random.uniform(0.5, 2.5))
            crashing.crash[name]()
        finish(runs)
    reconcile(runs, ledger)
    assert crashing.servers.recovered


@pytest.mark.skipif(bool(NO_COMPILER), reason=NO_COMPILER)
def test_runs_survive_workers_whose_clocks_jump_all_the_time(
    carrier: Carrier,
    begin: Begin,
    tmp_path: Path,
) -> None:
    ledger = tmp_path / "ledger"
    clocks = [wall_clock(tmp_path, f"clock{number}") for number in range(2)]
    runs = [begin(WORK, {"ledger": str(ledger)}) for _ in range(FEWER)]
    with ExitStack() as stack:
        for number, clock in enumerate(clocks):
            environment = {**carrier.environment, **clock.environment}
            stack.enter_context(worker(environment, tmp_path, name=f"w{number}"))
        stack.enter_context(sweeping())
        for _ in range(scaled(20, least=6)):
            random.choice(clocks).jump_to(random.randint(-24 * HOUR, 24 * HOUR))
            time.sleep(0.5)
        for clock in clocks:
            clock.jump_to(0)
        finish(runs)
    reconcile(runs, ledger)
    assert not RunEvent.objects.filter(name="step.lost").exists(), "no lease was lost by it"


def test_runs_survive_workers_that_hang_and_messages_that_come_twice(
    carrier: Carrier,
    begin: Begin,
    tmp_path: Path,
) -> None:
    ledger = tmp_path / "ledger"
    environment = {**carrier.environment, "DRILL_SENDS": "2"}
    runs = [begin(WORK, {"ledger": str(ledger)}) for _ in range(FEWER)]
    with ExitStack() as stack:
        workers = [
            stack.enter_context(worker(environment, tmp_path, name=f"w{number}"))
            for number in range(3)
        ]
        stack.enter_context(sweeping(copies=2))
        for _ in range(4):
            stopped = random.choice(workers)
            os.killpg(stopped.process.pid, signal.SIGSTOP)
            time.sleep(random.uniform(8, 10))  # longer than a lease
            os.killpg(stopped.process.pid, signal.SIGCONT)
        finish(runs)
    reconcile(runs, ledger)
