"""/healthz, /readyz and /metrics, with a real worker on the real broker."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from celery import signals
from django.db import DatabaseError, connection
from django.test import Client

from config.supervisor.forked import Forked
from monitoring import health, signs, tasks
from tests import processes
from tests.services import home, superuser_url


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    health.forget()
    signs._written.clear()
    yield
    health.forget()


@pytest.fixture
def work(process_environment: dict[str, str]) -> Iterator[Callable[[], Forked]]:
    """Starts a worker for all queues, once."""
    options = ("-A", "config", "worker", "-P", "threads", "-c", "2",
               "-Q", "high,default,low,analysis,control", "--without-gossip", "--without-mingle",
               "-n", "health@%h")  # fmt: skip
    started: list[Forked] = []

    def begin() -> Forked:
        started.append(processes.start(
            "celery", *options, env=process_environment, log=home() / "worker.log"
        ))  # fmt: skip
        return started[0]

    yield begin
    for process in started:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(60)


def ask(client: Client) -> tuple[int, dict[str, Any]]:
    health._last = None
    answer = client.get("/readyz")
    return answer.status_code, answer.json()


def test_alive_needs_no_database(client: Client) -> None:
    # Without the db mark any query would fail this test.
    assert client.get("/healthz").json() == {"alive": True}


@pytest.mark.worker
def test_ready_means_that_every_queue_is_consumed_and_stops_when_the_worker_hangs(
    client: Client, work: Callable[[], Forked], settings: Any
) -> None:
    status, body = ask(client)
    assert status == 503
    assert "queue default: no worker has taken a task" in body["detail"]
    worker = work()
    until = time.monotonic() + 150
    while status != 200 and time.monotonic() < until:
        time.sleep(0.2)
        status, body = ask(client)
    assert status == 200, body
    assert body["checks"]["queue analysis"]["ok"]
    os.kill(worker.pid, signal.SIGSTOP)  # alive, connected, and taking nothing
    settings.READY_STALE = timedelta(seconds=0.5)
    time.sleep(1)
    status, body = ask(client)
    assert (status, body["checks"]["queue low"]["ok"]) == (503, False)


@pytest.mark.django_db
def test_only_one_canary_waits_in_a_queue_that_nobody_consumes(client: Client) -> None:
    assert health.send_canaries() == sorted(f"queue:{q}" for q in health.QUEUES)
    assert health.send_canaries() == []


MEGABYTE = 2**20


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on a disk of 4 MB of its own; a counted one where nobody may mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    may_mount = os.geteuid() == 0
    if may_mount and subprocess.run(mount, check=False, capture_output=True).returncode == 0:
        yield folder
        subprocess.run(["umount", str(folder)], check=True)
        return
    real = os.statvfs

    def counted(path: Any) -> Any:
        if not Path(path).is_relative_to(folder):
            return real(path)
        used = sum(file.stat().st_size for file in folder.iterdir())
        return SimpleNamespace(f_blocks=4, f_bfree=4 - used // MEGABYTE,
                               f_bavail=4 - used // MEGABYTE, f_frsize=MEGABYTE)  # fmt: skip

    monkeypatch.setattr(os, "statvfs", counted)
    yield folder


@pytest.mark.django_db
def test_a_disk_that_fills_up_is_told_and_that_there_is_room_again(
    client: Client, settings: Any, small_disk: Path
) -> None:
    settings.RATCHET_HOME, settings.READY_MIN_FREE_BYTES = small_disk, 2 * MEGABYTE
    assert ask(client)[1]["checks"]["disk"] == {
        "ok": True, "required": True,
        "detail": "4 MB free at the data folder; at least 2 needed",
    }  # fmt: skip
    full = small_disk / "log"
    with suppress(OSError), full.open("wb") as file:  # no space left on device
        for _ in range(4):
            file.write(bytes(MEGABYTE))
            file.flush()
    status, body = ask(client)
    assert status == 503
    assert body["checks"]["disk"]["detail"] == "0 MB free at the data folder; at least 2 needed"
    assert "disk: 0 MB free" in body["detail"]
    full.unlink()
    assert ask(client)[1]["checks"]["disk"]["ok"]


def test_without_its_database_it_is_not_ready_and_says_why(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise DatabaseError("connection refused\nsecond line")

    monkeypatch.setattr(health, "_database_now", away)
    status, body = ask(client)
    assert status == 503
    assert body["checks"]["database"]["detail"] == "connection refused"


@pytest.fixture
def standby_away() -> Iterator[None]:
    """A standby has been here: its slot keeps the log for it."""
    with psycopg.connect(superuser_url(), autocommit=True) as server:
        name = f"away_{os.getpid()}"
        server.execute("SELECT pg_create_physical_replication_slot(%s, true)", [name])
        yield
        server.execute("SELECT pg_drop_replication_slot(%s)", [name])


@pytest.mark.django_db
def test_a_standby_that_is_away_is_told_and_stops_nothing(
    client: Client, standby_away: None
) -> None:
    _, body = ask(client)
    told = body["checks"]["replication"]
    assert (told["ok"], told["required"]) == (False, False)
    assert "slot(s) without a standby" in told["detail"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("row", "ok", "said"),
    [
        ((0, None, False, 0), True, "no standby"),
        ((1, None, False, 0), False, "lag not shown: GRANT pg_read_all_stats"),
        ((1, timedelta(seconds=2), True, 0), True, "1 standby(s), lag 2.0 s; limit 60 s"),
        ((2, timedelta(minutes=5), True, 0), False, "2 standby(s), lag 300.0 s"),
        ((1, None, True, 0), True, "lag 0.0 s"),  # nothing to replay
    ],
)
def test_a_standby_that_falls_behind_is_told(
    client: Client, monkeypatch: pytest.MonkeyPatch, row: tuple[Any, ...], ok: bool, said: str
) -> None:
    values = ", ".join("NULL" if one is None else f"interval '{one}'" if isinstance(one, timedelta)
                       else str(one) for one in row)  # fmt: skip
    monkeypatch.setattr(health, "_REPLICATION", f"SELECT {values}")
    told = ask(client)[1]["checks"]["replication"]
    assert told["ok"] is ok and said in told["detail"]


@pytest.mark.django_db
def test_a_sweep_that_stopped_succeeding_is_told(client: Client) -> None:
    ask(client)
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        now = cursor.fetchone()[0]
    assert health.stuck_tasks({}, now) == []
    later = now + timedelta(seconds=120)
    assert any(name.startswith("workflows.sweep ") for name in health.stuck_tasks({}, later))
    seen = {"task:workflows.sweep": later}
    assert not any(name.startswith("workflows.sweep ") for name in health.stuck_tasks(seen, later))


@pytest.mark.django_db
def test_a_periodic_task_that_succeeds_gives_a_sign_of_life(client: Client) -> None:
    signals.task_success.send(sender=tasks.send_canaries)
    assert "task:monitoring.send_canaries" in health.heartbeats()
    assert 'task="monitoring.send_canaries"' in client.get("/metrics").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("headers", "address", "status"),
    [
        ({}, "127.0.0.1", 200),
        ({}, "10.1.2.3", 403),
        ({"X-Forwarded-For": "10.1.2.3"}, "127.0.0.1", 403),  # a proxy asks for somebody
        ({"Authorization": "Bearer right"}, "10.1.2.3", 200),
        ({"Authorization": "Bearer wrong"}, "127.0.0.1", 403),
    ],
)
def test_metrics_are_for_this_machine_or_for_who_has_the_token(
    client: Client, settings: Any, headers: dict[str, str], address: str, status: int
) -> None:
    settings.METRICS_TOKEN = "right"
    answer = client.get("/metrics", headers=headers, REMOTE_ADDR=address)
    assert answer.status_code == status
