"""All processes of one instance: kept running, and stopped in order."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from config import embedded
from config.embedded import ServiceFailed
from config.processes import Identity, ended_children
from config.supervisor.backoff import failures_in_a_row, restart_delay
from config.supervisor.child import Child

Say = Callable[[str], None]

TICK_SECONDS = 0.2
_STOP_TICK_SECONDS = 0.05
_HOUSEKEEPING_SECONDS = 60.0
_JOINED_SECONDS = 2.0


class Fleet:
    """Children on top of PostgreSQL and Redis. Used from the main thread only.

    ``environment`` turns the services' addresses into the variables of every child.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        services: embedded.Handle | None,
        environment: Callable[[embedded.Services], Mapping[str, str]],
        say: Say,
    ) -> None:
        self.children = list(children)
        self._services = services
        self._environment = environment
        self._say = say
        self._env = dict(environment(services.services if services else embedded.Services()))
        self._server_deaths: dict[str, tuple[int, float]] = {}  # name: (in a row, at)
        self._server_due: dict[str, float] = {}
        self._housekeeping_at = 0.0
        self._joined_check_at = 0.0
        self._ended_before: set[int] = set()
        self.changed = True  # whether processes came or went since the last ``identities``

    def start(self) -> None:
        """Start every child, all at once."""
        for child in self.children:
            child.fresh_log()
            child.start(self._env)

    def tick(self) -> None:
        """Restart what died and is due. Short: never waits for a process."""
        now = time.monotonic()
        self._tick_servers(now)
        for child in self.children:
            try:
                news = child.tick(self._env)
            except OSError as error:
                # A full disk or table of processes: say so, and try again like any death.
                news = f"{child.name} can't be started: {error}"
                child.failures += 1
                child.restart_at = now + restart_delay(child.failures, jitter=random.random())
            if news:
                self.changed = True
                self._say(news)
        if now >= self._housekeeping_at:
            self._housekeeping_at = now + _HOUSEKEEPING_SECONDS
            for child in self.children:
                child.trim_log()
            self._bury_orphans()

    def _bury_orphans(self) -> None:
        """Wait for the ended children that nobody has waited for since the last look.

        Orphans of our children become ours (``forked``); our own are waited for at once.
        """
        ended = ended_children()
        for pid in ended & self._ended_before:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        self._ended_before = ended

    def identities(self) -> dict[str, Identity]:
        """Who runs now, to be written down for the next start after an unclean stop."""
        self.changed = False
        return {child.name: who for child in self.children if (who := child.identity)}

    def stop(self, *, hurry: Callable[[], bool] = lambda: False) -> None:
        """Stop stage by stage: SIGTERM, a grace, SIGKILL. ``hurry`` cuts the graces short."""
        for stage in sorted({child.program.stage for child in self.children}):
            members = [child for child in self.children if child.program.stage == stage]
            self._stop_together([child for child in members if not child.finished()], hurry)

    def _stop_together(self, members: list[Child], hurry: Callable[[], bool]) -> None:
        started = time.monotonic()
        for child in members:
            child.send(signal.SIGTERM)
        killed: set[str] = set()
        while members := [child for child in members if not child.finished()]:
            waited = time.monotonic() - started
            for child in members:
                late = waited >= child.program.grace_seconds
                if child.name not in killed and (late or hurry()):
                    killed.add(child.name)
                    why = f"{child.program.grace_seconds:g} s are over" if late else "in a hurry"
                    self._say(f"{child.name} did not stop in time ({why}); killed")
                    child.send(signal.SIGKILL)
            time.sleep(_STOP_TICK_SECONDS)

    # ------------------------------------------------------------ PostgreSQL and Redis

    def _tick_servers(self, now: float) -> None:
        if self._services is None:
            return
        if not self._services.owned:
            self._take_over_if_gone(self._services, now)
            return
        for server in self._services.dead():
            due = self._server_due.get(server.name)
            if due is None:
                failures, last = self._server_deaths.get(server.name, (0, 0.0))
                failures = failures_in_a_row(failures, lived_seconds=now - last)
                delay = restart_delay(failures, jitter=random.random())
                self._server_deaths[server.name] = (failures, now)
                self._server_due[server.name] = now + delay
                self._say(f"{server.title} ended ({server.failure().why}); again in {delay:.1f} s")
            elif now >= due:
                del self._server_due[server.name]
                try:
                    self._services.revive(server)
                    self._say(f"{server.title} started again")
                except ServiceFailed as error:
                    self._say(str(error))

    def _take_over_if_gone(self, joined: embedded.Handle, now: float) -> None:
        """Another command ran the services that we joined: if it ended, run them ourselves."""
        if now < self._joined_check_at:
            return
        self._joined_check_at = now + _JOINED_SECONDS
        if embedded.running(joined.home) is not None:
            return
        try:
            self._services = embedded.start(joined.home, note=self._say)
        except ServiceFailed as error:
            self._say(str(error))
            return
        self._say("the command that ran PostgreSQL and Redis has ended; they run here now")
        if self._services.services != joined.services:
            self._env = dict(self._environment(self._services.services))
            for child in self.children:
                child.send(signal.SIGTERM)  # tick starts it again, with the new addresses

    def release(self) -> None:
        """Stop the services if they are ours."""
        if self._services is not None:
            self._services.stop()
