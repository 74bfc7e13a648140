"""Turns at the interpreter: of the calls that a process answers at once, few compute at a time.

Python runs one thread at a time. Dozens that all have something to compute take it from each other
every few milliseconds, and each waits for all the others after every statement it sends: then all
are late together. Whoever has a turn goes on until it waits for a model or a tool (``away``), and
whoever comes back from there goes first.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from agents import connections

# One computes while another waits for the database.
TURNS = 3
# Nobody waits longer: a turn makes calls quicker and protects nothing.
LONGEST_SECONDS = 2.0


class Turns:
    """So many turns, given in the order in which they were asked for."""

    def __init__(self, turns: int) -> None:
        self._lock, self._free = threading.Lock(), turns
        self._new: deque[threading.Lock] = deque()
        self._back: deque[threading.Lock] = deque()

    def take(self, *, is_back: bool = False) -> bool:
        """Wait for a turn; False: it took too long, go on without."""
        mine, line = threading.Lock(), self._back if is_back else self._new
        if not self._free:
            connections.release()  # who has a turn may be waiting for it
        mine.acquire()
        with self._lock:
            if self._free:  # then nobody waits
                self._free -= 1
                return True
            line.append(mine)
        if mine.acquire(timeout=LONGEST_SECONDS):
            return True
        with self._lock:
            if mine in line:
                line.remove(mine)
                return False
            return True  # it was given at the last moment

    def give(self) -> None:
        """End a turn: whoever is next has it."""
        with self._lock:
            line = self._back or self._new
            if line:
                line.popleft().release()
            else:
                self._free += 1


_turns = Turns(TURNS)
_mine = threading.local()


@contextmanager
def at_work() -> Iterator[None]:
    """Hold a turn of this process on this thread."""
    _mine.has = _turns.take()
    try:
        yield
    finally:
        _give()


@contextmanager
def away() -> Iterator[None]:
    """Leave the turn to others while this thread waits; harmless for one that has none."""
    if not _give():
        yield
        return
    try:
        yield
    finally:
        _mine.has = _turns.take(is_back=True)


def _give() -> bool:
    had = getattr(_mine, "has", False)
    if had:
        _mine.has = False
        _turns.give()
    return had
