"""How surprising a value is, given the values before it: an adaptive extreme-value tail.

The largest recent values are fitted by a generalised Pareto distribution, so a threshold means
the same on a quiet series and on a heavy-tailed one: a probability per point.
Source: Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory", KDD 2017;
Hosking, Wallis, "Parameter and Quantile Estimation for the GPD", Technometrics 29(3), 1987.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Shape of the tail assumed before there is evidence; metrics of services are heavy-tailed.
PRIOR_SHAPE = 0.25
# The prior counts as this many excesses.
PRIOR_WEIGHT = 20
# A bounded tail (negative shape) is never believed: the next value may be outside.
SHAPE_LIMITS = (0.05, 0.8)
BLOCK_ROWS = 12  # rows of a block
# So many blocks with extremes are cut; a tail that has more is heavy, and is believed.
CUT_BLOCKS = 4
TAIL_RATIO = 0.25
MIN_BLOCKS, MIN_EXCESSES, FEW_EXCESSES = 12, 8, 8
# Probabilities under 10 ** -MAX_SURPRISE are not told apart.
MAX_SURPRISE = 12.0


@dataclass(frozen=True, slots=True)
class Pareto:
    """A generalised Pareto tail: a share ``share`` of all values is above ``start``."""

    start: float
    share: float
    sigma: float
    shape: float

    def surprise(self, value: float) -> float:
        """Minus log10 of the chance of a value at least this large; 0 below ``start``."""
        if not value > self.start:
            return 0.0
        excess = math.log1p(self.shape * (value - self.start) / self.sigma)
        return excess / self.shape / math.log(10) - math.log10(self.share)

    def value_at(self, surprise: float) -> float:
        """The value that is as surprising as this."""
        exponent = self.shape * math.log(10) * (surprise + math.log10(self.share))
        return self.start + self.sigma * math.expm1(min(exponent, 600.0)) / self.shape


class Tail:
    """The upper tail of a stream of numbers, kept as the maxima of its last blocks of rows.

    Blocks, because an outage of twenty rows is one event, not twenty: counted by row it would
    teach at once that outages are normal. Two fits are held, to the top quarter of the blocks
    and to the top few; the less surprised one speaks. A mixture (a calm body with rare bursts)
    fools the first, a lone extreme the second.
    """

    __slots__ = ("_buffer", "_cut", "_cuts", "_fits", "_in_block", "_maximum", "_next", "_size")

    def __init__(self, capacity: int) -> None:
        """Remember about ``capacity`` rows."""
        self._buffer = np.empty(max(capacity // BLOCK_ROWS, 2 * MIN_EXCESSES))
        self._size = self._next = self._in_block = 0
        self._maximum = -math.inf
        self._cut, self._cuts = False, 0
        self._fits: tuple[Pareto, ...] = ()

    def surprise(self, value: float) -> float:
        """Minus log10 of the chance that a value is at least this large; 0 below the tail."""
        if not self._fits or not value > self._fits[0].start:
            return 0.0
        return min(MAX_SURPRISE, *(fit.surprise(value) for fit in self._fits))

    def learn(self, value: float, *, ceiling: float) -> None:
        """Take the value into account, cut to one as surprising as ``ceiling``.

        One outage must not teach that outages are normal, but a second and third one may.
        """
        if self._fits and self._cuts < CUT_BLOCKS and self.surprise(value) > ceiling:
            value = min(value, max(fit.value_at(ceiling) for fit in self._fits))
            self._cut = True
        self._maximum = max(self._maximum, value)
        self._in_block += 1
        if self._in_block == BLOCK_ROWS:
            self._buffer[self._next] = self._maximum
            self._next = (self._next + 1) % len(self._buffer)
            self._size = min(self._size + 1, len(self._buffer))
            self._cuts += self._cut
            self._in_block, self._maximum, self._cut = 0, -math.inf, False
            if self._size >= MIN_BLOCKS:
                self._fit()

    def _fit(self) -> None:
        n = self._size
        values = np.sort(self._buffer[:n])
        most = min(max(round(n * TAIL_RATIO), MIN_EXCESSES), n - 1)
        spread = float(values[(3 * n) // 4] - values[n // 4])
        counts = [most] + ([FEW_EXCESSES] if most >= 2 * FEW_EXCESSES else [])
        self._fits = tuple(_pareto(values[-k - 1 :], k / n / BLOCK_ROWS, spread) for k in counts)


def _pareto(top: np.ndarray, share: float, spread: float) -> Pareto:
    """Probability-weighted moments of the excesses over ``top[0]``; shape shrunk to its prior."""
    start, excess = float(top[0]), top[1:] - top[0]
    k = len(excess)
    mean = float(excess.mean())
    weighted = float(np.dot(excess, 1 - (np.arange(1, k + 1) - 0.35) / k)) / k
    shape = PRIOR_SHAPE
    if mean > 2 * weighted:
        shape = 2 - mean / (mean - 2 * weighted)
    shape = (k * shape + PRIOR_WEIGHT * PRIOR_SHAPE) / (k + PRIOR_WEIGHT)
    shape = min(max(shape, SHAPE_LIMITS[0]), SHAPE_LIMITS[1])
    # Without a spread in the tail a hair's breadth would be infinitely surprising.
    smallest = 1e-3 * abs(start) + 0.05 * spread + 1e-12
    return Pareto(start, share, max(mean * (1 - shape), smallest), shape)
