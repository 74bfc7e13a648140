"""The leases that this process holds, renewed by one thread in one statement.

A lease that was not renewed in time belongs to somebody else; its late finish changes nothing. A
process that stops hands back what it has not finished.
"""

from __future__ import annotations

import logging
import mmap
import os
import socket
import threading
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection

from config import logs
from workflows import statements
from workflows.database import execute

logger = logging.getLogger(__name__)

# One byte that a worker shares with its forks: whether they shall give up what they hold.
_given_up = mmap.mmap(-1, 1)
_MAIN = os.getpid()


class Leases:
    """Claims under way in this process, by step."""

    def __init__(self) -> None:
        self._held: dict[UUID, UUID] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._stop = threading.Event()

    def hold(self, step_ids: list[UUID], token: UUID) -> None:
        """Keep these claims alive until they are let go."""
        with self._lock:
            if self._pid != os.getpid():  # a forked worker starts with nothing of its parent's
                self._held.clear()
                self._thread, self._pid = None, os.getpid()
            self._held.update(dict.fromkeys(step_ids, token))
            if self._thread is None or not self._thread.is_alive():
                self._stop.clear()
                self._thread = threading.Thread(target=self._beat, name="leases", daemon=True)
                self._thread.start()

    def let_go(self, step_ids: list[UUID]) -> None:
        with self._lock:
            for step_id in step_ids:
                self._held.pop(step_id, None)

    def hand_back(self) -> int:
        """Give up all claims, because this process stops; how many there were."""
        with self._lock:
            held, self._held = self._held, {}
        self._stop.set()
        if held:
            execute(
                statements.HAND_BACK,
                {"ids": list(held), "tokens": list(held.values()), "worker": worker_name()},
            )
        return len(held)

    def tell_forks(self) -> None:
        """Let the forks of this process hand back at their next heartbeat."""
        _given_up[0] = 1

    def _beat(self) -> None:
        while not self._stop.wait(settings.STEP_HEARTBEAT.total_seconds()):
            if _given_up[0] and self._pid != _MAIN:
                self._hand_back_in_a_fork()
                return
            with self._lock:
                held = dict(self._held)
            if held:
                self._renew(held)

    def _hand_back_in_a_fork(self) -> None:
        try:
            self.hand_back()
        except DatabaseError as error:
            # Then the leases run out by themselves.
            logs.event(
                logger,
                "workflows.lease.not_handed_back",
                level=logging.WARNING,
                error=type(error).__name__,
            )
        finally:
            connection.close()

    def _renew(self, held: dict[UUID, UUID]) -> None:
        try:
            execute(
                statements.RENEW,
                {
                    "ids": list(held),
                    "tokens": list(held.values()),
                    "lease": settings.STEP_LEASE,
                },
            )
        except DatabaseError as error:
            # The next beat tries again: the lease outlives three of them.
            logs.event(
                logger,
                "workflows.lease.not_renewed",
                level=logging.WARNING,
                error=type(error).__name__,
                held=len(held),
            )
        finally:
            connection.close()


leases = Leases()


def worker_name() -> str:
    """This process, as histories show it."""
    return f"{socket.gethostname()}:{os.getpid()}"
