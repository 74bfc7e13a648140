"""Periods found in the past of a series, and the profile of a day, a week or any period.

Phases are of the clock, not of the row number, so gaps and irregular sampling do no harm.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

DAY_SECONDS = 86_400.0
WEEK_SECONDS = 7 * DAY_SECONDS
# Correlation with itself one period earlier that makes a period worth trying.
MIN_CORRELATION = 0.3
# A profile is believed once a phase has been seen in so many cycles.
MIN_CYCLES = 2
MAX_CYCLES = 5
MAX_BINS = 336


class Profile:
    """The usual value at each phase of one period: a median over the last few cycles."""

    __slots__ = ("_bins", "_cycle", "_width", "period_seconds")

    def __init__(self, period_seconds: float, interval_seconds: float) -> None:
        self.period_seconds = period_seconds
        count = int(min(MAX_BINS, max(1, period_seconds // interval_seconds)))
        self._width = period_seconds / count
        self._bins: list[deque[float]] = [deque(maxlen=MAX_CYCLES) for _ in range(count)]
        self._cycle: list[int] = [-1] * count

    def expected(self, at_seconds: float) -> float | None:
        """The usual value at this phase, or None while fewer than two cycles were seen."""
        index = int(at_seconds % self.period_seconds / self._width) % len(self._bins)
        here = self._bins[index]
        if len(here) < MIN_CYCLES:
            return None
        around = [*here, *self._bins[index - 1], *self._bins[(index + 1) % len(self._bins)]]
        around.sort()
        middle = len(around) // 2
        return around[middle] if len(around) % 2 else (around[middle - 1] + around[middle]) / 2

    def learn(self, at_seconds: float, value: float) -> None:
        """Take the value into its phase; several of one cycle count as their mean."""
        index = int(at_seconds % self.period_seconds / self._width) % len(self._bins)
        cycle = int(at_seconds // self.period_seconds)
        here = self._bins[index]
        if self._cycle[index] == cycle and here:
            here[-1] = (here[-1] + value) / 2
        else:
            here.append(value)
            self._cycle[index] = cycle


def find_period(values: Sequence[float] | np.ndarray) -> int | None:
    """The period of evenly spaced values, in rows, or None when there is none to speak of.

    It is the first high peak of the autocorrelation of the ranks beyond its first dip below zero
    (ranks, so that a few spikes neither make nor hide a period); at least three periods must
    fit into the values.
    """
    data = np.asarray(values, dtype=np.float64)
    n = len(data)
    if n < 24 or float(np.ptp(data)) == 0:
        return None
    ranks = np.argsort(np.argsort(data, kind="stable"), kind="stable").astype(np.float64)
    steps = np.arange(n) - (n - 1) / 2
    ranks -= ranks.mean()
    ranks -= steps * (np.dot(ranks, steps) / np.dot(steps, steps))
    spectrum = np.fft.rfft(ranks, 2 * n)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: n // 3 + 1]
    correlation = correlation / max(correlation[0], 1e-12) * (n / (n - np.arange(n // 3 + 1)))
    negative = np.flatnonzero(correlation < 0)
    if len(negative) == 0:
        return None
    first = int(negative[0])
    if first >= len(correlation) - 1:
        return None
    highest = float(correlation[first:].max())
    if highest < MIN_CORRELATION:
        return None
    # Multiples of a period correlate as well as it does: the first hill as high is the period.
    hill = first + int(np.argmax(correlation[first:] >= 0.85 * highest))
    end = hill + int(np.argmax(np.append(correlation[hill:], -1.0) < 0.5 * highest))
    lag = hill + int(np.argmax(correlation[hill:end]))
    if lag >= len(correlation) - 1:
        return None
    return lag
