"""Clocks that are wrong or jump, of whoever starts runs and of beat: time is the database's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import redis
from django.db import connection, transaction
from django.test import Client as Browser
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from tests.workflows.conftest import Begin, Key
from tests.workflows.http import post
from tests.workflows.wall_clock import NO_COMPILER, wall_clock
from tests.workflows.workers import ROOT, wait_for
from workflows import database, publishing, tasks
from workflows.database import database_time
from workflows.models import Run, Schedule, ScheduleTick

pytestmark = [
    pytest.mark.worker,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(bool(NO_COMPILER), reason=NO_COMPILER),
]
DAY = 86_400


def test_a_starter_whose_clock_is_wrong_gives_a_run_its_whole_time(
    process_environment: dict[str, str], begin: Begin, caller, tmp_path: Path
) -> None:
    clock = wall_clock(tmp_path)
    clock.jump_to(-2 * DAY)
    file = tmp_path / "w.yaml"
    file.write_text("name: timed\ntimeout: 1d\nsteps:\n  w: {wait: {signal: go}}\n")
    before = database_time()
    done = subprocess.run(
        [sys.executable, "manage.py", "run_workflow", str(file), "--user", "ada"],
        cwd=ROOT, env={**process_environment, **clock.environment}, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = Run.objects.get(pk=json.loads(done.stdout)["id"])
    assert run.deadline_at is not None
    assert before <= run.deadline_at - timedelta(days=1) <= database_time()


def test_a_tick_that_beat_tells_of_too_early_starts_nothing_yet(
    web: Browser, key: Key, caller
) -> None:
    publishing.publish("name: w\nsteps:\n  a: {tool: core.echo}\n")
    body = {"name": "Hourly", "workflow": "w", "cron": "0 * * * *"}
    made = post(web, "schedules", body, key("manager"))
    assert made.status_code == 201, made.content
    schedule = Schedule.objects.get()
    assert schedule.next_at is not None and schedule.next_at > database_time()
    tasks.run_schedule(str(schedule.pk))
    assert not ScheduleTick.objects.exists()
    Schedule.objects.update(next_at=database_time())
    tasks.run_schedule(str(schedule.pk))
    assert ScheduleTick.objects.get().state == "started"


def test_beat_goes_on_when_its_clock_is_set_back(
    process_environment: dict[str, str], tmp_path: Path
) -> None:
    clock, log = wall_clock(tmp_path), tmp_path / "beat.log"
    with (
        _beat({**process_environment, **clock.environment}, log),
        redis.Redis.from_url(os.environ["REDIS_URL"]) as broker,
    ):
        wait_for(partial(_has_sent, broker, 3), 120, log.read_text)
        for jump in (-3600, 3600, 0):
            clock.jump_to(jump)
            wait_for(partial(_has_sent, broker, _sent(broker) + 4), 60, log.read_text)


def test_beat_ends_when_it_is_told_to_amid_a_query(
    process_environment: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "beat.log"
    with (
        _beat(process_environment, log) as beat,
        redis.Redis.from_url(os.environ["REDIS_URL"]) as broker,
    ):
        wait_for(partial(_has_sent, broker, 3), 120, log.read_text)
        with transaction.atomic():
            database.execute(f"LOCK {PeriodicTasks._meta.db_table} IN ACCESS EXCLUSIVE MODE", {})
            wait_for(lambda: _waiting_for_locks() > 0, 60, log.read_text)
            beat.terminate()
            assert beat.wait(30) == 0, log.read_text()
    assert PeriodicTask.objects.filter(last_run_at__isnull=False).exists(), "what ran is lost"


@contextmanager
def _beat(env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Beat whose sweeps are due each second; ended, or killed, whatever becomes of the test."""
    with log.open("wb") as out:
        beat = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "config", "beat", "--pidfile="],
            cwd=ROOT, stdout=out, stderr=subprocess.STDOUT,
            env={**env, "SWEEP_INTERVAL_SECONDS": "1", "RATCHET_PROCESS": "ratchet-beat"},
        )  # fmt: skip
    try:
        yield beat
        beat.terminate()
        assert beat.wait(30) == 0, log.read_text()
    finally:
        beat.kill()
        beat.wait()
        connection.close()


def _sent(broker: redis.Redis) -> int:
    return int(broker.llen("control"))


def _has_sent(broker: redis.Redis, least: int) -> bool:
    return _sent(broker) >= least


def _waiting_for_locks() -> int:
    sql = "SELECT count(*) FROM pg_locks WHERE relation = %(table)s::regclass AND NOT granted"
    return int(database.execute(sql, {"table": PeriodicTasks._meta.db_table})[0][0])
