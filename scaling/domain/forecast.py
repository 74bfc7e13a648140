"""How many arrivals to expect when a worker that is started now becomes ready.

A damped level and trend follow the last minutes; a profile of the season (a day, say) tells how
the rate usually moves from now to then. The spare is learnt from the forecast's own misses.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass

import numpy as np

LEVEL, TREND, DAMPING = 0.3, 0.1, 0.9
PROFILE_BINS = 288
# A new cycle counts this much against all earlier ones.
PROFILE_MEMORY = 0.4
# How far the season may multiply or divide the present rate; beyond, differences are used.
MOST_GROWTH = 5.0
MISSES = 240
MIN_MISSES = 20


@dataclass(frozen=True, slots=True)
class Rate:
    """Arrivals a second: the expected rate, and one that is seldom exceeded."""

    expected: float
    high: float


class ArrivalForecaster:
    """Feed it the arrivals of each interval in order; ask it for the rate some way ahead.

    ``season_seconds`` None means no season; ``share`` (0 to 1) is how often ``high`` holds.
    """

    def __init__(self, *, season_seconds: float | None = 86_400.0, share: float = 0.9) -> None:
        if season_seconds is not None and season_seconds <= 0:
            raise ValueError(f"need a season over 0 seconds, got {season_seconds}")
        if not 0 < share < 1:
            raise ValueError(f"need a share between 0 and 1, got {share}")
        self.season_seconds, self.share = season_seconds, share
        self._level: float | None = None
        self._trend = 0.0
        self._interval = 1.0
        self._profile: list[float | None] = [None] * PROFILE_BINS
        self._cycle = [-1] * PROFILE_BINS
        self._open: list[tuple[float, float]] = []
        self._misses: deque[float] = deque(maxlen=MISSES)

    def observe(self, at_seconds: float, arrivals: int, interval_seconds: float) -> None:
        """Take in the arrivals of the interval that ended at ``at_seconds``."""
        rate = arrivals / interval_seconds
        self._interval = interval_seconds
        self._learn_miss(at_seconds, rate)
        if self._level is None:
            self._level = rate
        else:
            before = self._level
            self._level += LEVEL * (rate - self._level) + (1 - LEVEL) * DAMPING * self._trend
            self._trend = DAMPING * self._trend + TREND * (self._level - before - self._trend)
        if self.season_seconds is not None:
            self._learn_season(at_seconds - interval_seconds / 2, rate)

    def ahead(self, at_seconds: float, ahead_seconds: float) -> Rate:
        """The rate expected ``ahead_seconds`` after ``at_seconds``, from what was observed."""
        if self._level is None:
            return Rate(0.0, 0.0)
        expected = self._seasonal(at_seconds, at_seconds + ahead_seconds)
        if expected is None:
            steps = ahead_seconds / self._interval
            damped = DAMPING * (1 - DAMPING**steps) / (1 - DAMPING)
            expected = max(0.0, self._level + self._trend * damped)
        heapq.heappush(self._open, (at_seconds + ahead_seconds, expected))
        return Rate(expected, expected + self._spare() * self._noise(expected))

    def _spare(self) -> float:
        """Standard deviations of Poisson noise to add, from the misses so far."""
        if len(self._misses) < MIN_MISSES:
            return 1.3
        return max(0.5, float(np.quantile(np.fromiter(self._misses, float), self.share)))

    def _noise(self, rate: float) -> float:
        return math.sqrt(max(rate, 1 / self._interval) / self._interval)

    def _learn_miss(self, at_seconds: float, rate: float) -> None:
        while self._open and self._open[0][0] <= at_seconds:
            due, expected = heapq.heappop(self._open)
            if due > at_seconds - self._interval:
                self._misses.append((rate - expected) / self._noise(expected))

    def _bin(self, at_seconds: float) -> int:
        season = self.season_seconds or 1.0
        return int(at_seconds % season / season * PROFILE_BINS) % PROFILE_BINS

    def _learn_season(self, at_seconds: float, rate: float) -> None:
        place = self._bin(at_seconds)
        cycle = int(at_seconds // (self.season_seconds or 1.0))
        known = self._profile[place]
        if known is None:
            self._profile[place] = rate
        else:
            share = PROFILE_MEMORY if cycle != self._cycle[place] else PROFILE_MEMORY / 4
            self._profile[place] = known + share * (rate - known)
        self._cycle[place] = cycle

    def _seasonal(self, now_seconds: float, then_seconds: float) -> float | None:
        """The level, moved as it usually moves from now to then; None before a full cycle."""
        if self.season_seconds is None or self._level is None:
            return None
        now, then = self._around(now_seconds), self._around(then_seconds)
        if now is None or then is None or self._cycle[self._bin(then_seconds)] < 0:
            return None
        floor = 1 / self._interval
        growth = (then + floor) / (now + floor)
        if growth > MOST_GROWTH:  # a ratio to almost nothing means nothing; the difference does
            return max(MOST_GROWTH * self._level, then + self._level - now)
        return self._level * max(growth, 1 / MOST_GROWTH)

    def _around(self, at_seconds: float) -> float | None:
        """The profile at a time, smoothed over the bins beside it."""
        place = self._bin(at_seconds)
        near = [self._profile[(place + step) % PROFILE_BINS] for step in (-1, 0, 1)]
        known = [value for value in near if value is not None]
        return sum(known) / len(known) if known else None
