"""Real Celery workers as child processes, on the database and the broker of a test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celery import current_app
from django.utils import timezone

from config.supervisor.forked import Forked
from tests import processes
from workflows import lost
from workflows.models import Run, StepRun

ROOT = Path(__file__).parents[2]
# Short enough for a test, in the shipped proportions.
QUICK = {"STEP_LEASE_SECONDS": "6", "STEP_HEARTBEAT_SECONDS": "1", "SWEEP_INTERVAL_SECONDS": "1"}
_START_SECONDS = 120.0


@dataclass
class Worker:
    """One ``celery worker`` and the file that it logs to."""

    process: Forked | subprocess.Popen[bytes]
    log: Path
    name: str

    def kill(self) -> None:
        """SIGKILL, with its forks, as an out-of-memory killer or a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")


@contextmanager
def worker(
    environment: dict[str, str],
    folder: Path,
    *,
    name: str = "w1",
    pool: str = "threads",
    queues: str = "high,default,low,control,analysis",
    concurrency: int = 4,
    ready: bool = True,
) -> Iterator[Worker]:
    """A worker for the body, killed afterwards if it still runs."""
    log = folder / f"{name}-{time.monotonic_ns()}.log"
    argv = ["-A", "config", "worker", "-P", pool]
    argv += ["-c", str(concurrency), "-n", f"{name}@%h", "-Q", queues, "-E", "-l", "INFO"]
    argv += ["-I", "tests.workflows.effects", "--without-gossip", "--without-mingle"]
    env = {**environment, **({"DATABASE_POOL": "1"} if pool == "threads" else {})}
    process = (
        _alone(argv, env, log)
        if "LD_PRELOAD" in env
        else processes.start("celery", *argv, env=env, log=log)
    )
    made = Worker(process, log, name)
    try:
        if ready:
            wait_for(lambda: " ready." in made.said, _START_SECONDS, lambda: made.said)
        yield made
    finally:
        if process.poll() is None:
            made.kill()


def _alone(argv: list[str], env: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """From nothing: what the dynamic loader is to read is too late for a copy."""
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "celery", *argv],
            cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def wait_for(
    what: Callable[[], object], seconds: float = 90.0, told: Callable[[], str] = lambda: ""
) -> None:
    """Wait until ``what`` holds; fail with ``told`` if it does not within ``seconds``."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, told()[-4000:] or "it did not happen in time"
        time.sleep(0.05)


def impatient() -> None:
    """Let rows that wait for a lost message be sent again by the next sweep."""
    waiting = StepRun.objects.filter(state="queued", queued_at__lt=timezone.now())
    waiting.update(wake_at=lost.UNSENT)


def ended(run: Run) -> bool:
    run.refresh_from_db()
    return run.ended_at is not None


@contextmanager
def watching() -> Iterator[list[dict[str, Any]]]:
    """What workers tell of their tasks meanwhile, as Flower hears it."""
    told: list[dict[str, Any]] = []
    with current_app.connection_for_read() as connection:
        receiver = current_app.events.Receiver(connection, handlers={"*": told.append})
        thread = threading.Thread(target=receiver.capture, kwargs={"wakeup": False}, daemon=True)
        thread.start()
        try:
            yield told
        finally:
            receiver.should_stop = True
            thread.join(30)


@contextmanager
def sweeping(every_seconds: float = 1.0, copies: int = 1) -> Iterator[None]:
    """Send the sweep's task as beat does; more ``copies`` is a beat that runs twice."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(every_seconds):
            for _ in range(copies):
                try:
                    current_app.send_task("workflows.sweep", queue="control", expires=every_seconds)
                except Exception:  # noqa: S112  the broker is away: so is beat
                    continue

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(5)
