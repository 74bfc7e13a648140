"""What the two embedded servers have in common: a process, a log, a port, a way to stop."""

from __future__ import annotations

import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from config.embedded import leftovers, state
from config.embedded.errors import PortTaken, ServiceFailed
from config.embedded.place import Place
from config.processes import Identity, identity, send_signal, spawn

Note = Callable[[str], None]

# Replaying a day of write-ahead log on a slow disk takes minutes; nothing is gained by giving up.
_READY_SECONDS = 900.0
_NOTE_EVERY_SECONDS = 10.0
_STOP_SECONDS = 60.0
_KILL_SECONDS = 10.0
_LOG_LIMIT_BYTES = 10_000_000
_PORT_TRIES = 3


class Service(ABC):
    """One embedded server of one place."""

    name: ClassVar[str]  # key of its port and its record
    title: ClassVar[str]
    program: ClassVar[str]  # the kernel's name of its process
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, place: Place) -> None:
        self.place = place
        self.log = place.logs / f"{self.name}.log"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    @abstractmethod
    def working_folder(self) -> Path:
        """Where the server's process works: its data."""

    @abstractmethod
    def command(self) -> list[str]:
        """The server's command line; nothing secret may stand in it."""

    @abstractmethod
    def prepare(self) -> None:
        """Make what must exist before the first start. Raises ServiceFailed."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves requests now (False while it starts or recovers)."""

    @abstractmethod
    def reason(self, lines: list[str]) -> str:
        """The line of its log that says why it ended."""

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def identity(self) -> Identity | None:
        return identity(self.process.pid) if self.process and self.alive else None

    def end_leftovers(self, note: Note) -> None:
        """End servers that still work in this data folder from an unclean stop."""
        found = leftovers.find(
            self.working_folder, program=self.program, account=self.place.account
        )
        if leftovers.end(found, polite=self.stop_signal):
            note(f"ended {len(found)} {self.title} processes left by an unclean stop")

    def start(self, note: Note) -> None:
        """Start and wait until it answers, however long a crash recovery takes.

        Raises ServiceFailed with the log's last telling line if it ends instead.
        """
        self.prepare()
        for attempt in range(1, _PORT_TRIES + 1):
            self.port = state.port(self.place.home, self.name, fresh=attempt > 1)
            try:
                self.spawn()
                self._wait_ready(note)
                return
            except PortTaken:
                if attempt == _PORT_TRIES:
                    raise

    def spawn(self) -> None:
        """Start the server on its port without waiting for it (also after it died)."""
        try:
            self._rotate_log()
            self.process = spawn(
                self.command(),
                log=self.log,
                account=self.place.account,
                death_signal=self.stop_signal,
            )
        except OSError as error:
            raise ServiceFailed(self.title, f"{error.filename}: {error.strerror}") from error

    def stop(self) -> None:
        """Stop in order, then by force; returns when the process is gone."""
        if self.process is None:
            return
        who = self.identity
        if who is not None:
            send_signal(who, self.stop_signal)
            if not self._reap(_STOP_SECONDS):
                leftovers.end([who], polite=self.stop_signal)
        self._reap(_KILL_SECONDS)
        self.process = None

    def failure(self) -> ServiceFailed:
        """Why the server ended: the signal that killed it, else as its log tells."""
        code = self.process.poll() if self.process else None
        if code is not None and code < 0:
            return ServiceFailed(self.title, f"killed by {_signal_name(-code)}", self.log)
        lines = self._new_log_lines()
        taken = any("Address already in use" in line for line in lines)
        kind = PortTaken if taken else ServiceFailed
        return kind(self.title, self.reason(lines) or "it ended without a word", self.log)

    def _wait_ready(self, note: Note) -> None:
        started = time.monotonic()
        noted = started
        while not self.answers():
            now = time.monotonic()
            if not self.alive:
                raise self.failure()
            if now - started > _READY_SECONDS:
                raise ServiceFailed(self.title, f"no answer in {_READY_SECONDS:g} s", self.log)
            if now - noted > _NOTE_EVERY_SECONDS:
                noted = now
                note(f"waiting for {self.title} ({now - started:.0f} s; recovering after a crash)")
            time.sleep(0.03)

    def _reap(self, seconds: float) -> bool:
        if self.process is None:
            return True
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _rotate_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        self._log_start = self.log.stat().st_size if self.log.exists() else 0

    def _new_log_lines(self) -> list[str]:
        try:
            with self.log.open("rb") as stream:
                stream.seek(self._log_start)
                return stream.read().decode(errors="replace").splitlines()
        except OSError:
            return []


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
