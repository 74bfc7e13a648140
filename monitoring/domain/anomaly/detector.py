"""The shipped detector: one row in, one reading out, nothing of the future used.

Each row is looked at from several sides (next-step error, shift of a window's level, the raw
value, spread, standstill). Each side has its own adaptive tail, so all speak one language: how
unlikely so large a value is. The least likely one is the row's score.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from monitoring.domain.anomaly.forecasts import Forecast, Forecasters
from monitoring.domain.anomaly.tails import Tail

# A standstill has no tail to be measured by; it counts as one in ten million.
STANDSTILL_SURPRISE = 7.0
# Rows after which the longest standstill so far (a night, say) is taken for the usual one.
STANDSTILL_HISTORY = 750


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may turn; the defaults are the measured ones.

    A row is flagged when its ``surprise`` (minus log10 of its chance) reaches the limit, which is
    ``surprise`` after 1,000 rows and moves by ``slope`` for ten times as many: with more history
    there is more to be surprised by, and the tail is known further out. ``warm_up`` rows are
    never flagged. ``quiet`` rows follow each flag, broken only by a row that is ``louder`` more
    surprising. ``memory`` rows are kept; ``short`` and ``spread`` are the rows of the level's and
    the spread's window. Values more surprising than ``surprise + ceiling`` are learnt as that.
    """

    surprise: float = 3.9
    slope: float = 0.5
    warm_up: int = 300
    quiet: int = 100
    louder: float = 3.0
    memory: int = 5000
    short: int = 12
    spread: int = 30
    ceiling: float = -0.6
    standstill: int = 30

    def limit(self, seen: int) -> float:
        """The surprise at which row number ``seen`` is flagged."""
        return self.surprise + self.slope * math.log10(max(seen, self.warm_up) / 1000)

    def __post_init__(self) -> None:
        if self.surprise <= 0 or self.warm_up < 50 or self.memory < self.warm_up:
            raise ValueError(f"need surprise > 0 and 50 <= warm_up <= memory, got {self}")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the detector says of one row.

    ``score`` is 0 to 1, and 0.5 at the limit; ``flagged`` marks the onset of an anomaly;
    ``cause`` names the side that saw most; ``expected`` is the forecast, None in the warm-up.
    """

    score: float
    flagged: bool
    surprise: float
    cause: str
    expected: float | None


SILENT = Reading(0.0, False, 0.0, "", None)


class Detector:
    """A stream's state. Feed rows in order of time with ``update``."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._forecasters = Forecasters(self.settings.memory)
        self._tails: dict[str, Tail] = {}
        self._seen = 0
        self._times: deque[float] = deque(maxlen=self.settings.memory)
        self._values: deque[float] = deque(maxlen=self.settings.memory)
        self._errors: deque[float] = deque(maxlen=self.settings.spread)
        self._shifts: dict[bool, deque[float]] = {
            True: deque(maxlen=self.settings.short),
            False: deque(maxlen=self.settings.short),
        }
        self._run = self._longest_run = 0
        self._flagged_at = -math.inf
        self._flagged_surprise = 0.0
        self._propose_at = 100

    def update(self, at_seconds: float, value: float | None) -> Reading:
        """Read one row; a missing value (None or not finite) is skipped and never flagged."""
        if value is None or not math.isfinite(value):
            return SILENT
        if self._seen == 0:
            self._learn(at_seconds, value)
            return SILENT
        forecast = self._forecasters.expect(at_seconds)
        sides = self._sides(value, forecast)
        cause, surprise = self._least_likely(sides)
        if self._stands_still(value) and surprise < STANDSTILL_SURPRISE:
            cause, surprise = "standstill", STANDSTILL_SURPRISE
        self._learn(at_seconds, value)
        return self._reading(surprise, cause, forecast.value)

    def _least_likely(self, sides: dict[str, float]) -> tuple[str, float]:
        cause, surprise = "", 0.0
        for name, size in sides.items():
            tail = self._tails.get(name)
            if tail is None:
                tail = self._tails[name] = Tail(self.settings.memory)
            now = tail.surprise(size)
            if now > surprise:
                cause, surprise = name, now
            tail.learn(size, ceiling=self.settings.surprise + self.settings.ceiling)
        return cause, surprise

    def _reading(self, surprise: float, cause: str, expected: float) -> Reading:
        s = self.settings
        if self._seen <= s.warm_up:
            return SILENT
        limit = s.limit(self._seen)
        flagged = surprise >= limit
        if flagged and self._seen - self._flagged_at < s.quiet:
            flagged = surprise >= self._flagged_surprise + s.louder
        if flagged:
            self._flagged_at, self._flagged_surprise = self._seen, surprise
        score = surprise / (surprise + limit)
        return Reading(score, flagged, surprise, cause.split(":")[0], expected)

    def _stands_still(self, value: float) -> bool:
        """Whether the same value has come so often in a row as never nearly before."""
        s = self.settings
        if value == self._values[-1]:
            self._run += 1
            long = self._run == max(s.standstill, 2 * self._longest_run)
            return long and self._seen >= STANDSTILL_HISTORY
        self._longest_run = max(self._longest_run, self._run)
        self._run = 0
        return False

    def _sides(self, value: float, forecast: Forecast) -> dict[str, float]:
        """The sizes whose tails are watched; each is large when something is odd."""
        error = value - forecast.value
        self._errors.append(error)
        shifts = self._shifts[forecast.seasonal]
        shifts.append(value - forecast.level)
        season = "seasonal" if forecast.seasonal else "plain"
        sides = {"spike": error, "drop": -error, "high": value, "low": -value}
        if len(shifts) == shifts.maxlen:
            shift = sum(shifts) / len(shifts)
            sides[f"level up:{season}"] = shift
            sides[f"level down:{season}"] = -shift
        if len(self._errors) == self._errors.maxlen:
            mean = sum(abs(e) for e in self._errors) / len(self._errors)
            sides["spread"] = mean
        return sides

    def _learn(self, at_seconds: float, value: float) -> None:
        self._seen += 1
        self._forecasters.learn(at_seconds, value)
        self._times.append(at_seconds)
        self._values.append(value)
        if self._seen >= self._propose_at:
            self._forecasters.propose(np.array(self._times), np.array(self._values))
            self._propose_at = int(self._seen * 1.5)
