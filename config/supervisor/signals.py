"""SIGINT, SIGTERM and SIGHUP as one wish to stop; a second one as a wish to hurry."""

from __future__ import annotations

import signal
from types import FrameType

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopAsked(BaseException):
    """Raised out of a long wait, only where ``StopSignals.interrupting`` allows it."""


class StopSignals:
    """Counts wishes to stop. Install it in the main thread."""

    def __init__(self) -> None:
        self.count = 0
        self._interrupting = False

    def install(self) -> None:
        for number in _STOPPING:
            signal.signal(number, self._received)

    @property
    def asked(self) -> bool:
        return self.count > 0

    @property
    def hurry(self) -> bool:
        return self.count > 1

    def __enter__(self) -> None:
        """Let a signal interrupt the body by raising StopAsked (also one that came before)."""
        self._interrupting = True
        if self.asked:
            self._interrupting = False
            raise StopAsked

    def __exit__(self, *error: object) -> None:
        self._interrupting = False

    def _received(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self._interrupting:
            self._interrupting = False
            raise StopAsked
