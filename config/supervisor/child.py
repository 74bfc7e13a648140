"""One supervised process: started, watched, started again, stopped with its whole group."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from config.launch import BASE_DIR
from config.processes import Identity, identity, spawn
from config.supervisor.backoff import failures_in_a_row, restart_delay
from config.supervisor.forked import Forked, ForkServer

_LOG_LIMIT_BYTES = 50_000_000
Running = subprocess.Popen[bytes] | Forked


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and how it is stopped."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)  # on top of the instance's
    stage: int = 0  # a stop goes through the stages in order, each at once
    grace_seconds: float = 10.0  # from SIGTERM to SIGKILL
    niceness: int = 0  # how far it gives way to the others, 0 to 19

    @property
    def module(self) -> str | None:
        """What ``python -m`` is to run, if it is that."""
        return self.argv[2] if self.argv[:2] == (sys.executable, "-m") else None


class Child:
    """A program that should always be running."""

    def __init__(
        self,
        program: Program,
        *,
        logs: Path,
        forks: ForkServer | None = None,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.program = program
        self.log = logs / f"{program.name}.log"
        self.failures = 0  # deaths in a row
        self.restart_at: float | None = None
        self._forks = forks
        self._clock = clock
        self._draw = draw
        self._started = 0.0
        self._process: Running | None = None

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def identity(self) -> Identity | None:
        return identity(self._process.pid) if self._process else None

    def start(self, env: Mapping[str, str]) -> None:
        """Start it. Raises OSError if its log can't be opened."""
        self.restart_at = None
        self._started = self._clock()
        self._process = self._forked(env) or self._spawned(env)

    def _forked(self, env: Mapping[str, str]) -> Running | None:
        """From the warm process, if there is one and it runs modules of Python."""
        wanted = self.program
        if self._forks is None or wanted.module is None:
            return None
        return self._forks.run(
            wanted.module, wanted.argv[3:],
            log=self.log, env={**env, **wanted.env}, niceness=wanted.niceness,
        )  # fmt: skip

    def _spawned(self, env: Mapping[str, str]) -> Running:
        wanted = self.program
        gentle = ("nice", "-n", str(wanted.niceness)) if wanted.niceness else ()
        return spawn((*gentle, *wanted.argv), log=self.log, env={**env, **wanted.env}, cwd=BASE_DIR)

    def tick(self, env: Mapping[str, str]) -> str | None:
        """Notice a death or make a due restart; returns a line when there is news."""
        if self._process is None:
            if self.restart_at is not None and self._clock() >= self.restart_at:
                self.start(env)
                return f"{self.name} started again"
            return None
        if not _ended(self._process):
            return None
        lived = self._clock() - self._started
        code = self._reap(self._process)
        self.failures = failures_in_a_row(self.failures, lived_seconds=lived)
        delay = restart_delay(self.failures, jitter=self._draw())
        self.restart_at = self._clock() + delay
        return f"{self.name} ended ({_told(code)}) after {lived:.0f} s; again in {delay:.1f} s"

    def send(self, number: signal.Signals) -> None:
        """Signal the process (SIGKILL: its whole group)."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)

    def finished(self) -> bool:
        """Whether it is gone (with its group), after a stop was asked for."""
        if self._process is not None and _ended(self._process):
            self._reap(self._process)
        self.restart_at = None
        return self._process is None

    def last_words(self) -> str:
        """The last line of its log that is not part of a stack trace's body."""
        with suppress(OSError):
            lines = self.log.read_text(errors="replace").splitlines()[-200:]
            told = [line.strip() for line in lines if line.strip() and not line.startswith(" ")]
            return told[-1][:300] if told else "it ended without a word"
        return "it has no log"

    def fresh_log(self) -> None:
        """Keep the last log as ``.log.1`` and begin a new one."""
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))

    def trim_log(self) -> None:
        """Move a log that has grown too large aside; its writer appends and never notices."""
        with suppress(OSError):
            if self.log.stat().st_size > _LOG_LIMIT_BYTES:
                shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
                os.truncate(self.log, 0)

    def _reap(self, process: Running) -> int:
        """End what the process left of its group (a pool's children), then take its code."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        self._process = None
        return process.wait()


def _ended(process: Running) -> bool:
    # WNOWAIT leaves the zombie, so that its number still names its group in _reap.
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _told(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"
