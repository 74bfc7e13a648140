"""A whole instance for a command that needs workers: the running one, or one of its own.

A command such as ``run_workflow`` waits for work that workers do. Where ``make run`` is up, they
are there; elsewhere this starts them, supervised like any, on free ports and without the demo.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from config.launch import BASE_DIR
from config.processes import spawn
from config.supervisor import instance
from config.supervisor.errors import StartFailed
from config.supervisor.instance import Instance
from config.supervisor.readiness import READY_SECONDS

_LOOK_EVERY_SECONDS = 0.1
# Every grace of an orderly stop together, with room: workers 20 s, PostgreSQL's checkpoint.
_STOP_SECONDS = 120.0


@contextmanager
def standby(home: Path) -> Iterator[Instance]:
    """Run the body beside a ready instance of ``home``; stop it afterwards if it was made here.

    Call it from the main thread. Raises StartFailed with the reason the instance gave.
    """
    running = instance.running(home)
    if running is not None:
        yield _await_ready(home, None)
        return
    log = home / "logs" / "standby.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    options = ("--no-demo", "--no-flower", "--port", "0")
    child = spawn(
        [sys.executable, BASE_DIR / "manage.py", "up", *options],
        log=log,
        # Not this command's role: the instance gives each process its own.
        env={name: value for name, value in os.environ.items() if name != "RATCHET_DB_ROLE"},
        cwd=BASE_DIR,
    )
    try:
        yield _await_ready(home, child)
    finally:
        child.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_STOP_SECONDS)


def _await_ready(home: Path, child: subprocess.Popen[bytes] | None) -> Instance:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        running = instance.running(home)
        if running is not None and running.ready:
            return running
        if (child is not None and child.poll() is not None) or (child is None and not running):
            raise StartFailed("instance", _last_line(home / "logs" / "standby.log"))
        time.sleep(_LOOK_EVERY_SECONDS)
    raise StartFailed("instance", f"not ready in {READY_SECONDS:g} s")


def _last_line(log: Path) -> str:
    with suppress(OSError):
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        if lines:
            return lines[-1].strip().removeprefix("manage.py: ")
    return "it ended before it was ready"
