"""What a month will have cost, and what an improvement has paid back."""

from __future__ import annotations

import calendar
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import fmean, stdev


@dataclass(frozen=True, slots=True)
class Projection:
    """USD of a whole month: what is spent, what it comes to, between which bounds (90 %)."""

    spent_usd: float
    whole_usd: float
    low_usd: float
    high_usd: float
    days_left: int


# Fewer whole days say nothing of the days to come.
ENOUGH_DAYS = 3
# A normal distribution's central 90 %.
Z90 = 1.645


def project_month(
    days: Mapping[date, float], *, today: date, share_of_today: float
) -> Projection | None:
    """The month of ``today`` to its end: what is spent, and for each day left its weekday's mean.

    ``days`` are costs in USD by day, up to and with today; days before this month teach what a
    weekday costs. ``share_of_today`` (0 to 1) of today is over. The bounds come from how far
    past days lay from their weekday's mean. None with fewer than ``ENOUGH_DAYS`` whole days.
    Raises ValueError for a share outside [0, 1].
    """
    if not 0 <= share_of_today <= 1:
        raise ValueError(f"need a share between 0 and 1, got {share_of_today}")
    past = {day: usd for day, usd in days.items() if day < today}
    if len(past) < ENOUGH_DAYS:
        return None
    spent = sum(
        usd for day, usd in days.items() if (day.year, day.month) == (today.year, today.month)
    )
    last = today.replace(day=calendar.monthrange(today.year, today.month)[1])
    left = [today + timedelta(days=n) for n in range(1, (last - today).days + 1)]
    means = _by_weekday(past)
    rest = sum(means[day.weekday()] for day in left) + (1 - share_of_today) * means[today.weekday()]
    errors = [usd - means[day.weekday()] for day, usd in past.items()]
    spread = stdev(errors) if len(errors) > 1 else 0.0
    margin = Z90 * spread * math.sqrt(len(left) + 1 - share_of_today)
    return Projection(spent, spent + rest, max(spent, spent + rest - margin),
                      spent + rest + margin, len(left))  # fmt: skip


def _by_weekday(days: Mapping[date, float]) -> list[float]:
    """The mean of each weekday; of one that never was, the mean of all."""
    whole = fmean(days.values())
    found = []
    for weekday in range(7):
        same = [usd for day, usd in days.items() if day.weekday() == weekday]
        found.append(fmean(same) if same else whole)
    return found


@dataclass(frozen=True, slots=True)
class Payback:
    """What a change brought since it was made. ``days`` until it has paid for itself, or None."""

    saved_usd: float
    spent_usd: float
    before_usd: float
    after_usd: float
    calls: int

    @property
    def is_paid_back(self) -> bool:
        return self.saved_usd >= self.spent_usd


def payback(
    *, before: tuple[float, int], after: tuple[float, int], spent_usd: float
) -> Payback | None:
    """From (cost in USD, calls) of as many days before and since; None without calls on a side.

    ``spent_usd`` is what finding the change cost (replays, experiments).
    """
    (cost_before, calls_before), (cost_after, calls_after) = before, after
    if not calls_before or not calls_after:
        return None
    each_before, each_after = cost_before / calls_before, cost_after / calls_after
    return Payback((each_before - each_after) * calls_after, spent_usd, each_before, each_after,
                   calls_after)  # fmt: skip


def unusual_days(costs: Sequence[float], *, times: float = 1.5) -> list[int]:
    """Places of days that cost more than ``times`` the median of the 14 before them."""
    found = []
    for place, usd in enumerate(costs):
        before = sorted(costs[max(0, place - 14) : place])
        if len(before) >= 7 and usd > times * before[len(before) // 2] > 0:
            found.append(place)
    return found
