"""ADWIN: a stream of errors that keeps only the window in which nothing has changed.

The window is held as buckets of growing size, so memory and time per value are logarithmic.
Whenever two parts of it have means that differ by more than chance allows, the older part is
dropped and a drift is reported.
Source: Bifet, Gavaldà, "Learning from Time-Changing Data with Adaptive Windowing", SDM 2007.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# Buckets of one size before two of them are joined.
MOST_OF_A_SIZE = 5
# Each part must hold so many values before the parts are compared.
MIN_PART = 10


@dataclass(slots=True)
class _Bucket:
    n: int
    total: float
    squares: float


class Adwin:
    """A window over values in [0, 1] (errors, usually 0 or 1).

    ``delta`` bounds the chance of a false alarm at one look; the window is looked at every
    ``every`` values.
    """

    __slots__ = ("_buckets", "_since", "count", "delta", "every", "total")

    def __init__(self, delta: float = 0.002, *, every: int = 8) -> None:
        if not 0 < delta < 1 or every < 1:
            raise ValueError(f"need 0 < delta < 1 and every >= 1, got {delta}, {every}")
        self.delta, self.every = delta, every
        self._buckets: list[_Bucket] = []  # oldest first
        self._since = 0
        self.count, self.total = 0, 0.0

    @property
    def mean(self) -> float:
        """The mean of the window; 0 when it is empty."""
        return self.total / self.count if self.count else 0.0

    def update(self, value: float) -> bool:
        """Take in one value; True if the mean has changed and the window was cut.

        Raises ValueError outside [0, 1].
        """
        if not 0 <= value <= 1:
            raise ValueError(f"need a value between 0 and 1, got {value}")
        self._buckets.append(_Bucket(1, value, value * value))
        self.count += 1
        self.total += value
        self._compress()
        self._since += 1
        if self._since < self.every:
            return False
        self._since = 0
        return self._cut()

    def _compress(self) -> None:
        size, end = 1, len(self._buckets)
        while True:
            first = end
            while first > 0 and self._buckets[first - 1].n == size:
                first -= 1
            if end - first <= MOST_OF_A_SIZE:
                return
            one, other = self._buckets[first], self._buckets[first + 1]
            joined = _Bucket(one.n + other.n, one.total + other.total, one.squares + other.squares)
            self._buckets[first : first + 2] = [joined]
            size, end = size * 2, first + 1

    def _cut(self) -> bool:
        changed = False
        while (place := self._place_to_cut()) is not None:
            for bucket in self._buckets[:place]:
                self.count -= bucket.n
                self.total -= bucket.total
            del self._buckets[:place]
            changed = True
        return changed

    def _place_to_cut(self) -> int | None:
        """The first place where the parts before and after have different means."""
        if self.count < 2 * MIN_PART:
            return None
        squares = sum(b.squares for b in self._buckets)
        variance = max(squares / self.count - self.mean**2, 0.0)
        confidence = math.log(2 * math.log(self.count) / self.delta)
        n, total = 0, 0.0
        for place, bucket in enumerate(self._buckets[:-1], start=1):
            n += bucket.n
            total += bucket.total
            rest = self.count - n
            if n < MIN_PART:
                continue
            if rest < MIN_PART:
                return None
            inverse = 1 / n + 1 / rest
            bound = math.sqrt(2 * inverse * variance * confidence) + 2 / 3 * inverse * confidence
            if abs(total / n - (self.total - total) / rest) > bound:
                return place
        return None
