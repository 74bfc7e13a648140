"""The engine while its servers crash and its clocks jump: nothing lost, no second effect."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests.workflows import effects
from tests.workflows.conftest import Begin
from tests.workflows.servers import Servers, own_servers
from tests.workflows.test_faults import open_steps
from tests.workflows.test_workers import SLOW, keys_of, running
from tests.workflows.wall_clock import NO_COMPILER, wall_clock
from tests.workflows.workers import QUICK, ended, impatient, sweeping, wait_for, worker
from workflows.models import Run, RunEvent, StepRun

pytestmark = [pytest.mark.worker, pytest.mark.django_db(transaction=True)]
HOUR = 3600


@pytest.fixture
def environment(process_environment: dict[str, str]) -> dict[str, str]:
    return {**process_environment, **QUICK}


@pytest.fixture
def servers(environment: dict[str, str]):
    with own_servers(environment) as made:
        yield made


def has_begun(runs: list[Run]) -> bool:
    return StepRun.objects.filter(run__in=[r.pk for r in runs], key="b", state="running").exists()


def test_runs_go_on_after_redis_and_postgresql_have_crashed_under_them(
    servers: Servers, begin: Begin, tmp_path: Path
) -> None:
    """PostgreSQL stops as in a crash and recovers from its log; workers hold steps meanwhile."""
    ledger = tmp_path / "ledger"
    with worker(servers.environment, tmp_path) as one, sweeping():
        for name in ("redis", "postgres"):
            runs = [begin(SLOW, {"ledger": str(ledger), "seconds": 0.7}) for _ in range(6)]
            wait_for(lambda runs=runs: has_begun(runs), 90, lambda: one.said)
            servers.end_at_once(name)
            servers.start_again(name)
            for run in runs:
                wait_for(lambda run=run: impatient() or ended(run), 120, lambda: one.said)
            assert {run.state for run in runs} == {"succeeded"}
            assert [open_steps(run) for run in runs] == [[]] * 6
            assert set().union(*map(keys_of, runs)) <= set(effects.calls(ledger))
    assert servers.recovered
    everything = StepRun.objects.filter(kind="tool").values_list("id", flat=True)
    assert set(effects.calls(ledger)) == set(map(str, everything)), "no effect under a second key"


def test_a_worker_whose_connections_were_cut_goes_on_without_a_sweep(
    environment: dict[str, str], begin: Begin, tmp_path: Path
) -> None:
    """Each of its threads meets a dead connection once, and hands none on to its next task."""
    inputs = {"ledger": str(tmp_path / "ledger"), "seconds": 0}
    with worker(environment, tmp_path) as one:
        for _ in range(2):
            runs = [begin(SLOW, inputs) for _ in range(8)]
            for run in runs:
                wait_for(lambda run=run: ended(run), 60, lambda: one.said)
            assert {run.state for run in runs} == {"succeeded"}
            with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as other:
                cut = other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND usename = current_user "
                    "AND pid <> pg_backend_pid()"
                ).fetchall()
            assert cut
    assert "raised unexpected" not in one.said


@pytest.mark.skipif(bool(NO_COMPILER), reason=NO_COMPILER)
def test_leases_timers_and_deadlines_follow_the_database_when_a_workers_clock_jumps(
    environment: dict[str, str], begin: Begin, tmp_path: Path
) -> None:
    ledger, clock = tmp_path / "ledger", wall_clock(tmp_path)
    source = SLOW.replace("steps:", "timeout: 10m\nsteps:", 1)
    source = source.replace("  c:", "  timer: {needs: [a], wait: {for: 2s}}\n  c:", 1)
    # A lease that no busy machine lets end: one that is lost here was lost to the clock.
    kept = {"STEP_LEASE_SECONDS": "25", "STEP_HEARTBEAT_SECONDS": "2"}
    shifted = {**environment, **kept, **clock.environment}
    with worker(shifted, tmp_path) as one, sweeping():
        for jump in (HOUR, -HOUR):
            run = begin(source, {"ledger": str(ledger), "seconds": 1})
            wait_for(lambda run=run: running(run, "b"), 90, lambda: one.said)
            clock.jump_to(jump)
            later = begin(source, {"ledger": str(ledger), "seconds": 0})
            for each in (run, later):
                wait_for(lambda each=each: each.steps.get(key="c").state == "succeeded", 90,
                         lambda: one.said)  # fmt: skip
            clock.jump_to(0)  # a sweep's message carries the time of who sent it
            for each in (run, later):
                wait_for(lambda each=each: ended(each), 90, lambda: one.said)
            assert (run.state, later.state) == ("succeeded", "succeeded")
    assert not RunEvent.objects.filter(name="step.lost").exists(), "every lease was kept"
    assert set(effects.calls(ledger).values()) == {1}
