"""Beat that goes on when its clock is set back, and ends when it is told to.

Celery's waits until the clock has come to where it was: an hour back is an hour without sweeps.
It also writes its schedule inside the signal's handler. A signal that comes amid a query finds the
connection's lock taken, by the very frame that it has put on hold, and beat stands still for good.
"""

from __future__ import annotations

import signal
import threading
from datetime import timedelta
from types import FrameType
from typing import Any

from django_celery_beat.schedulers import DatabaseScheduler

# Less than the shortest period, more than clocks are set by to keep them right.
SLACK = timedelta(seconds=0.5)


class SteadyScheduler(DatabaseScheduler):
    """What last ran in the future ran just now, as far as anybody can tell."""

    def setup_schedule(self) -> None:
        """Take the signals from Celery, which has set its own handler by now, and read the rows."""
        if threading.current_thread() is threading.main_thread():
            for stop in (signal.SIGTERM, signal.SIGINT):
                signal.signal(stop, _leave)
        super().setup_schedule()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """One iteration, by the clock as it is now; seconds until the next."""
        now = self.app.now()
        entries = list((self._schedule or {}).values())
        if any(entry.model.last_run_at > now + SLACK for entry in entries):
            for entry in entries:  # whose rows know of runs since they were read
                entry.last_run_at = entry.model.last_run_at = min(entry.model.last_run_at, now)
            self._heap = None  # its times are those of the old clock
        wait: float = super().tick(*args, **kwargs)
        return wait


def _leave(number: int, frame: FrameType | None) -> None:
    """Unwind: a query under way is cancelled, then beat's own ``finally`` writes the schedule."""
    raise SystemExit(0)
