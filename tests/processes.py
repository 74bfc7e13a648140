"""Children of the tests, started as an instance starts its own: copies of one warm process."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import gettempdir

from config.supervisor.forked import Forked, ForkServer
from config.supervisor.programs import LOADED_ONCE

_POLL_SECONDS = 0.02
_warm: ForkServer | None = None


class Process:
    """A started module with those methods of Popen that tests use."""

    def __init__(self, forked: Forked) -> None:
        self.pid = forked.pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float = 600.0) -> int:
        """Its exit code; raises subprocess.TimeoutExpired after ``timeout`` seconds."""
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(_POLL_SECONDS)
        return code

    def send_signal(self, number: int) -> None:
        """Signal it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(module: str, *arguments: str, env: Mapping[str, str], log: Path) -> Process:
    """``python -m module`` in a session of its own, with its output appended to ``log``."""
    global _warm
    if _warm is None:
        _warm = ForkServer(LOADED_ONCE, log=Path(gettempdir()) / f"forkserver-{os.getpid()}.log")
        _warm.start()
    forked = _warm.run(module, arguments, log=log, env=env)
    assert forked is not None, "the fork server has ended"
    return Process(forked)


def stop() -> None:
    """End the warm process, if one was started."""
    global _warm
    if _warm is not None:
        _warm.stop()
        _warm = None
