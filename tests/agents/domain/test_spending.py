from __future__ import annotations

import math
import random
from datetime import date, timedelta

import pytest

from agents.domain.spending import month_end

TODAY = date(2026, 11, 16)  # a Monday


def office(weeks: int = 8, weekday: float = 10.0) -> dict[date, float]:
    days = (TODAY - timedelta(n) for n in range(1, 7 * weeks + 1))
    return {day: weekday if day.weekday() < 5 else 0.0 for day in days}


def test_weekends_that_cost_nothing_are_expected_to_cost_nothing() -> None:
    outlook = month_end(office(), spent_usd=110.0, cap_usd=500.0, today=TODAY, day_ratio=0.0)
    assert outlook is not None
    assert outlook.expected_usd == 110 + 11 * 10  # eleven working days from the 16th to the 30th
    assert outlook.low_usd == outlook.high_usd == outlook.expected_usd  # nothing ever deviated
    assert outlook.reaches_cap_on is None


def test_the_day_on_which_the_cap_is_reached_is_told() -> None:
    outlook = month_end(office(), spent_usd=110.0, cap_usd=145.0, today=TODAY, day_ratio=0.5)
    assert outlook is not None
    assert outlook.reaches_cap_on == date(2026, 11, 19)
    spent = month_end(office(), spent_usd=150.0, cap_usd=145.0, today=TODAY, day_ratio=0.5)
    assert spent is not None
    assert spent.reaches_cap_on == TODAY


def test_what_is_left_of_today_counts_in_part() -> None:
    whole, half = (
        month_end(office(), spent_usd=0.0, cap_usd=1.0, today=TODAY, day_ratio=ratio)
        for ratio in (0.0, 0.5)
    )
    assert whole is not None
    assert half is not None
    assert whole.expected_usd - half.expected_usd == 5


@pytest.mark.parametrize("days", [1, 3, 6])
def test_a_few_days_give_a_rate_and_no_range(days: int) -> None:
    seen = {TODAY - timedelta(n): 4.0 for n in range(1, days + 1)}
    outlook = month_end(seen, spent_usd=0.0, cap_usd=9.0, today=TODAY, day_ratio=0.0)
    assert outlook is not None
    assert outlook.expected_usd == 60
    assert outlook.low_usd is None
    assert outlook.days_seen == days


def test_without_a_whole_day_nothing_is_claimed() -> None:
    assert month_end({}, spent_usd=5.0, cap_usd=9.0, today=TODAY, day_ratio=0.5) is None


def test_the_range_holds_what_it_promises_where_days_are_independent() -> None:
    draw = random.Random(7)
    held = 0
    for _ in range(300):
        past = {TODAY - timedelta(n): draw.gauss(20, 4) for n in range(1, 57)}
        rest = sum(draw.gauss(20, 4) for _ in range(15))
        outlook = month_end(past, spent_usd=0.0, cap_usd=1e9, today=TODAY, day_ratio=0.0)
        assert outlook is not None
        assert outlook.low_usd is not None
        assert outlook.high_usd is not None
        held += outlook.low_usd <= rest <= outlook.high_usd
    assert math.isclose(held / 300, 0.9, abs_tol=0.09), held / 300
