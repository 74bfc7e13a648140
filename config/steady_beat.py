"""Beat that goes on when its clock is set back.

Celery's waits until the clock has come to where it was: an hour back is an hour without sweeps.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django_celery_beat.schedulers import DatabaseScheduler

# Less than the shortest period, more than clocks are set by to keep them right.
SLACK = timedelta(seconds=0.5)


class SteadyScheduler(DatabaseScheduler):
    """What last ran in the future ran just now, as far as anybody can tell."""

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
