"""One-step forecasts that compete: the one with the least recent error speaks.

Each knows only earlier values. Errors are compared on a clipped absolute scale, so that one
spike does not depose the right forecaster.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitoring.domain.anomaly.seasons import DAY_SECONDS, WEEK_SECONDS, Profile, find_period

# Forgetting of a forecaster's error: about 200 rows.
ERROR_MEMORY = 0.005
# A single error counts at most this many times the usual one.
ERROR_CLIP = 6.0
FAST, SLOW = 0.3, 0.03
# The seasonal profile explains the level when its error is under this share of the median's.
SEASONAL_GAIN = 0.8
MIN_ROWS_A_DAY = 12


@dataclass(slots=True)
class _Error:
    """Discounted mean of one forecaster's clipped absolute errors."""

    size: float = 0.0
    seen: int = 0

    def learn(self, error: float) -> None:
        self.seen += 1
        error = abs(error)
        if self.seen > 20:
            error = min(error, ERROR_CLIP * self.size + 1e-12)
        self.size += (error - self.size) * max(ERROR_MEMORY, 1 / self.seen)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What was expected of a row.

    ``value`` is the next value; ``level`` the usual one (of this phase, if ``seasonal``).
    """

    value: float
    level: float
    seasonal: bool


class Forecasters:
    """All forecasters of one series. Times are seconds since any fixed instant."""

    __slots__ = (
        "_fast",
        "_history",
        "_interval",
        "_last",
        "_median",
        "_offsets",
        "_profiles",
        "_size",
        "_slow",
        "errors",
    )

    def __init__(self, capacity: int) -> None:
        self._history = np.empty(capacity)
        self._size = 0
        self._last = self._fast = self._slow = self._median = 0.0
        self._interval = 0.0
        self._profiles: dict[str, Profile] = {}
        self._offsets: dict[str, float] = {}
        self.errors: dict[str, _Error] = {}

    def expect(self, at_seconds: float) -> Forecast:
        """The best forecast for this time. Meaningless before the first ``learn``."""
        guesses = self._guesses(at_seconds)
        value = guesses[self._best(guesses)]
        level, seasonal = self._median, False
        named = [n for n in self._profiles if n in guesses and n in self.errors]
        if named:
            name = min(named, key=lambda n: self.errors[n].size)
            median = self.errors["median"].size
            if self.errors[name].seen >= 50 and self.errors[name].size < SEASONAL_GAIN * median:
                level, seasonal = guesses[name], True
        return Forecast(value, level, seasonal)

    def learn(self, at_seconds: float, value: float) -> None:
        """Take a row into account, after ``expect`` was asked for it."""
        if self._size:
            for name, guess in self._guesses(at_seconds).items():
                self.errors.setdefault(name, _Error()).learn(value - guess)
                if name in self._offsets:
                    error = value - guess
                    self._offsets[name] += FAST * (error - self._offsets[name])
            self._fast += FAST * (value - self._fast)
            self._slow += SLOW * (value - self._slow)
        else:
            self._fast = self._slow = self._median = value
        self._last = value
        for profile in self._profiles.values():
            profile.learn(at_seconds, value)
        self._history[self._size % len(self._history)] = value
        self._size += 1
        if self._size % 25 == 0 or self._size < 25:
            kept = self._history[: min(self._size, len(self._history))]
            self._median = float(np.median(kept))

    def propose(self, times: np.ndarray, values: np.ndarray) -> None:
        """Look for periods in the rows so far (oldest first) and let their profiles compete."""
        gaps = np.diff(times)
        gaps = gaps[gaps > 0]
        if len(gaps) == 0:
            return
        self._interval = float(np.median(gaps))
        wanted = {}
        if DAY_SECONDS / self._interval >= MIN_ROWS_A_DAY:
            wanted["day"] = DAY_SECONDS
        if WEEK_SECONDS / self._interval >= MIN_ROWS_A_DAY:
            wanted["week"] = WEEK_SECONDS
        period = find_period(values)
        if period is not None and "found" not in self._profiles:
            seconds = period * self._interval
            if all(abs(seconds / known - 1) > 0.05 for known in wanted.values()):
                wanted["found"] = seconds
        for name, seconds in wanted.items():
            if name not in self._profiles:
                profile = Profile(seconds, self._interval)
                for at, value in zip(times.tolist(), values.tolist(), strict=True):
                    profile.learn(at, value)
                self._profiles[name] = profile
                self._offsets[name] = 0.0

    def _guesses(self, at_seconds: float) -> dict[str, float]:
        guesses = {
            "last": self._last,
            "fast": self._fast,
            "slow": self._slow,
            "median": self._median,
        }
        for name, profile in self._profiles.items():
            usual = profile.expected(at_seconds)
            if usual is not None:
                guesses[name] = usual
                guesses[name + "+offset"] = usual + self._offsets[name]
        return guesses

    def _best(self, guesses: dict[str, float]) -> str:
        seen = {n: e for n in guesses if (e := self.errors.get(n)) and e.seen >= 20}
        return min(seen, key=lambda n: seen[n].size) if seen else "fast"
