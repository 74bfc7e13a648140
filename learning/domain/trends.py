"""Whether something happens more or less often than before, for the traffic there was."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from learning.domain import numeric

# Two-sided; a list of patterns is read every day, so chance must not fill it with trends.
ALPHA = 0.01


class Direction(StrEnum):
    """How a rate has moved."""

    NEW = "new"
    RISING = "rising"
    STEADY = "steady"
    FALLING = "falling"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Trend:
    """``ratio`` is the rate now over the rate before; None where there was none before."""

    direction: Direction
    ratio: float | None
    p_value: float


def trend(*, before: int, before_calls: int, now: int, now_calls: int) -> Trend:
    """Compare two counts, each out of so many calls, by the exact conditional test.

    Given both counts' sum, the later one is binomial with the later share of the calls if the
    rate has not moved. Raises ValueError for a negative number.
    Source: Przyborowski, Wilenski, Biometrika 31 (1940).
    """
    if min(before, before_calls, now, now_calls) < 0:
        raise ValueError(f"need counts of 0 or more, got {(before, before_calls, now, now_calls)}")
    if before == 0:
        return Trend(Direction.NEW if now else Direction.GONE, None, 1.0)
    calls = max(before_calls, 1), max(now_calls, 1)
    share = calls[1] / (calls[0] + calls[1])
    p_value = float(numeric.stats().binomtest(now, before + now, share).pvalue)
    ratio = (now / calls[1]) / (before / calls[0])
    if now == 0:
        return Trend(Direction.GONE, 0.0, p_value)
    if p_value >= ALPHA:
        return Trend(Direction.STEADY, ratio, p_value)
    return Trend(Direction.RISING if ratio > 1 else Direction.FALLING, ratio, p_value)
