"""Whether a promise is kept, and how much of what may go wrong has gone wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class ScoreState(StrEnum):
    """No data is never success."""

    MET = "met"
    MISSED = "missed"
    NO_DATA = "no_data"


@dataclass(frozen=True, slots=True)
class Score:
    """The figure, where there is one, against its target."""

    state: ScoreState
    value: float | None
    observations: int


@dataclass(frozen=True, slots=True)
class Budget:
    """An error budget over its window, in events. ``burn_rate`` 1 uses it up exactly in time."""

    allowed: float
    used: float
    left_ratio: float
    burn_rate: float | None


def score(value: float | None, target: float, *, above: bool, observations: int) -> Score:
    """Met when at or above the target, or below it where less is better."""
    if value is None or observations == 0:
        return Score(ScoreState.NO_DATA, None, observations)
    met = value >= target if above else value < target
    return Score(ScoreState.MET if met else ScoreState.MISSED, value, observations)


def growth(before: float | None, now: float | None) -> float | None:
    """Relative growth; None without a past to compare with."""
    return (now - before) / before if before and now is not None else None


def budget(
    allowed_ratio: float, *, bad: float, whole: float, recent_bad: float, recent: float
) -> Budget:
    """What is left of the share of events that may be bad. Raises ValueError unless in (0, 1)."""
    if not 0 < allowed_ratio < 1:
        raise ValueError(f"need a share between 0 and 1, got {allowed_ratio}")
    allowed = allowed_ratio * whole
    left = 1 - bad / allowed if allowed else 1.0
    burn = recent_bad / recent / allowed_ratio if recent else None
    return Budget(allowed, bad, left, burn)


@dataclass(frozen=True, slots=True)
class BurnWindow:
    """A pair of windows and the speed at which both must burn to say something."""

    long: timedelta
    short: timedelta
    factor: float
    words: str


# Two percent of a 30-day budget in an hour, five in six hours, ten in a day, ten in three days.
# Source: Beyer et al., "The Site Reliability Workbook", 2018, chapter 5, table 5-8.
BURN_WINDOWS = (
    BurnWindow(timedelta(hours=1), timedelta(minutes=5), 14.4, "1 h and 5 min"),
    BurnWindow(timedelta(hours=6), timedelta(minutes=30), 6.0, "6 h and 30 min"),
    BurnWindow(timedelta(days=1), timedelta(hours=2), 3.0, "1 d and 2 h"),
    BurnWindow(timedelta(days=3), timedelta(hours=6), 1.0, "3 d and 6 h"),
)


# More than all cannot be bad: this share is enough wherever a speed would ask for more.
ENOUGH_BAD = 0.9


def least_burn(factor: float, allowed_ratio: float) -> float:
    """How many times too fast a budget must burn where ``factor`` is wanted; at least 1.

    Of a budget of 10 % nothing burns 14.4 times too fast: 9 times is when nearly all is bad.
    """
    return max(min(factor, ENOUGH_BAD / allowed_ratio), 1.0)


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast a budget is used in both windows; ``is_burning``: both at least ``least``."""

    window: BurnWindow
    least: float
    long_rate: float | None
    short_rate: float | None

    @property
    def is_burning(self) -> bool:
        rates = (self.long_rate, self.short_rate)
        return all(rate is not None and rate >= self.least for rate in rates)


def burn(
    window: BurnWindow, allowed_ratio: float, *, long: tuple[float, float],
    short: tuple[float, float],
) -> Burn:  # fmt: skip
    """The burn of (bad, whole) in the long and the short window."""
    rates = (_rate(bad, whole, allowed_ratio) for bad, whole in (long, short))
    return Burn(window, least_burn(window.factor, allowed_ratio), *rates)


def _rate(bad: float, whole: float, allowed_ratio: float) -> float | None:
    return bad / whole / allowed_ratio if whole else None


def allowed_share(target: float, *, above: bool, statistic: str) -> float:
    """What share of events may be bad: of a percentile objective, what lies beyond it.

    0.001 for an availability of 99.9 %, 0.05 for a p95 under so many seconds.
    """
    if statistic.startswith("p") and statistic[1:].isdigit():
        return 1 - int(statistic[1:]) / 100
    return 1 - target if above else target
