"""The supervisor's end of the fork server: programs started from a process that is warm."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from config.launch import BASE_DIR
from config.processes import spawn
from config.supervisor.forkserver import Order

_PR_SET_CHILD_SUBREAPER = 36
# Loading takes seconds, on a cold disk many; a program waits for it rather than load it all too.
_ANSWER_SECONDS = 30.0
_POLL_SECONDS = 0.02
# Read once, when the interpreter or the C library starts, so they are the server's already.
_AT_START = {"PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "2"}


class Forked:
    """A child of this process that the fork server made; as much of Popen as is needed."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def send_signal(self, number: int) -> None:
        """Signal it, unless it was waited for."""
        if self._code is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        """Its exit code; None while it runs. Negative: the number of the signal that ended it."""
        return self._take(os.WNOHANG)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code once it has ended; raises TimeoutExpired after ``timeout`` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self._take(0 if until is None else os.WNOHANG)) is None:
            if until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(_POLL_SECONDS)
        return code

    def _take(self, options: int) -> int | None:
        if self._code is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code


def _take_in_orphans(yes: bool) -> None:
    """Whether the kernel gives this process the orphans among its descendants."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0)


class ForkServer:
    """Starts modules in copies of one warm process. Used from the main thread only.

    While one runs, this process takes in the orphans of its descendants; ``Child`` reaps them.
    """

    # How many run in this process: the last to end ends the taking in.
    _running: ClassVar[int] = 0

    def __init__(
        self, modules: Sequence[str], *, log: Path, answer_seconds: float = _ANSWER_SECONDS
    ) -> None:
        self._modules = list(modules)
        self._log = log
        self._answer_seconds = answer_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._door: socket.socket | None = None

    def start(self) -> None:
        """Start loading; orders given meanwhile wait. Raises OSError if it can't be started."""
        _take_in_orphans(True)
        ours, theirs = socket.socketpair()
        ours.settimeout(self._answer_seconds)
        with theirs:
            module = ("-m", "config.supervisor.forkserver")
            self._process = spawn(
                (sys.executable, *module, str(theirs.fileno()), str(os.getpid()), *self._modules),
                log=self._log, env={**os.environ, **_AT_START}, cwd=BASE_DIR,
                keep=(theirs.fileno(),),
            )  # fmt: skip
        self._door = ours
        ForkServer._running += 1

    def run(
        self, module: str, arguments: Sequence[str], *,
        log: Path, env: Mapping[str, str], niceness: int = 0,
    ) -> Forked | None:  # fmt: skip
        """A child that runs ``module``; None if this server is gone, so another way is due.

        Raises OSError if the log can't be opened or no process be made.
        """
        if self._door is None:
            return None
        with log.open("ab"):  # whoever starts a child learns of a full disk
            pass
        order = Order(
            module=module, arguments=list(arguments), env=dict(env), log=os.fspath(log),
            folder=os.fspath(BASE_DIR), niceness=niceness,
        )  # fmt: skip
        try:
            self._door.sendall(order.line())
            answer = json.loads(self._line(self._door))
        except (OSError, ValueError):
            self.stop()
            return None
        if error := answer.get("error"):
            raise OSError(error)
        return Forked(answer["pid"])

    def stop(self) -> None:
        """End the server; what it started stays."""
        if self._door is not None:
            self._door.close()
            self._door = None
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
            ForkServer._running -= 1
            _take_in_orphans(ForkServer._running > 0)

    @staticmethod
    def _line(door: socket.socket) -> bytes:
        found = b""
        while not found.endswith(b"\n"):
            part = door.recv(4096)
            if not part:
                raise ConnectionResetError("the fork server has ended")
            found += part
        return found
