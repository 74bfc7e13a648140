"""Whether a promise is kept, and how much of what may go wrong has gone wrong."""

from __future__ import annotations

from dataclasses import dataclass
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
