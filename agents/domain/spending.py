"""Where a month's spending is going, from the days before it.

Offices spend by weekday, so each day that is left is expected to cost the median of its weekday's
last weeks. The range takes the days' deviations as independent; where they are not (one large
engagement), it is too narrow. Source: seasonal median forecast, Hyndman and Athanasopoulos,
"Forecasting: Principles and Practice", 3rd ed., 5.2 (the seasonal naive method, made robust).
"""

from __future__ import annotations

import calendar
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

# Weeks that a weekday's median is taken from.
WEEKS = 8
# Fewer whole days than this say little about weekdays: then all days count alike.
DAYS_FOR_WEEKDAYS = 14
# Half the width of a 90 % range, in standard deviations.
NINETY = 1.645


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a month will have cost, in USD, with a 90 % range; and when it reaches the cap.

    ``days_seen``: whole days that it rests on; the range is None for fewer than seven.
    """

    expected_usd: float
    low_usd: float | None
    high_usd: float | None
    reaches_cap_on: date | None
    days_seen: int


def month_end(
    by_day: Mapping[date, float], *, spent_usd: float, cap_usd: float, today: date, day_ratio: float
) -> Outlook | None:
    """The outlook for the end of today's month; None before a whole day was seen.

    ``by_day``: what earlier days cost (a day that is left out cost nothing, from the first one
    on); ``spent_usd``: of this month, today included; ``day_ratio``: how much of today is over.
    """
    past = {day: usd for day, usd in by_day.items() if day < today}
    if not past:
        return None
    first = max(min(past), today - timedelta(weeks=WEEKS))
    days = {first + timedelta(n): 0.0 for n in range((today - first).days)}
    days |= {day: usd for day, usd in past.items() if day >= first}
    usual = _usual(days)
    last = date(today.year, today.month, calendar.monthrange(today.year, today.month)[1])
    line, reached = spent_usd, today if spent_usd >= cap_usd else None
    for n in range((last - today).days + 1):
        day = today + timedelta(n)
        line += usual[day.weekday()] * (1 - day_ratio if n == 0 else 1)
        if reached is None and line >= cap_usd:
            reached = day
    low = high = None
    if len(days) >= 7:
        misses = [usd - usual[day.weekday()] for day, usd in days.items()]
        left = (last - today).days + 1 - day_ratio
        width = NINETY * math.sqrt(left * statistics.fmean(miss * miss for miss in misses))
        low, high = max(spent_usd, line - width), line + width
    return Outlook(line, low, high, reached, len(days))


def _usual(days: Mapping[date, float]) -> list[float]:
    """What each weekday costs, Monday first."""
    if len(days) < DAYS_FOR_WEEKDAYS:
        return [statistics.fmean(days.values())] * 7
    return [
        statistics.median(usd for day, usd in days.items() if day.weekday() == weekday)
        for weekday in range(7)
    ]
