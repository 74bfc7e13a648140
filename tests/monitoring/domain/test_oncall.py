"""Whose turn it is, who follows, and who stands in."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import InvalidInput
from monitoring.domain.oncall import LONGEST, Override, Plan, order, shifts

BERLIN = ZoneInfo("Europe/Berlin")
PLAN = Plan(("ada", "grace", "mary"), date(2026, 3, 16), time(9), "Europe/Berlin", 7)


def berlin(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (berlin(3, 16, 8, 59), ()),  # it has not begun
        (berlin(3, 16, 9), ("ada", "grace", "mary")),
        (berlin(3, 23, 8, 59), ("ada", "grace", "mary")),
        (berlin(3, 23, 9), ("grace", "mary", "ada")),
        (berlin(3, 30, 8, 59), ("grace", "mary", "ada")),  # clocks went forward the day before
        (berlin(3, 30, 9), ("mary", "ada", "grace")),
        (berlin(4, 6, 9), ("ada", "grace", "mary")),
    ],
)
def test_turns_are_handed_over_at_the_same_local_time_all_year(
    at: datetime, expected: tuple[str, ...]
) -> None:
    assert order(PLAN, at) == expected


def test_who_stands_in_is_first_and_the_last_one_that_was_entered_holds() -> None:
    plan = Plan(**{**{f: getattr(PLAN, f) for f in PLAN.__slots__}, "overrides": (
        Override("mary", berlin(3, 17, 0), berlin(3, 19, 0)),
        Override("eve", berlin(3, 18, 0), berlin(3, 20, 0)),
    )})  # fmt: skip
    assert order(plan, berlin(3, 17, 12)) == ("mary", "ada", "grace")
    assert order(plan, berlin(3, 18, 12)) == ("eve", "ada", "grace", "mary")
    found = shifts(plan, berlin(3, 16, 12), berlin(3, 24, 0))
    assert [(one.person, one.stands_in) for one in found] == [
        ("ada", False), ("mary", True), ("eve", True), ("ada", False), ("grace", False),
    ]  # fmt: skip


def test_a_year_of_shifts_and_no_more() -> None:
    with pytest.raises(InvalidInput):
        shifts(PLAN, berlin(3, 16, 9), berlin(3, 16, 9) + LONGEST + timedelta(seconds=1))
    assert shifts(PLAN, berlin(3, 16, 9), berlin(3, 16, 9)) == []


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    at=st.times(), days=st.integers(1, 20), people=st.integers(1, 5),
    begin=st.integers(0, 500), hours=st.integers(1, 2000),
)  # fmt: skip
def test_shifts_follow_each_other_without_gap_and_name_who_is_first(
    zone: str, at: time, days: int, people: int, begin: int, hours: int
) -> None:
    plan = Plan(tuple("abcde"[:people]), date(2026, 1, 1), at, zone, days)
    since = plan.starts(0).astimezone(UTC) + timedelta(hours=begin)
    until = since + timedelta(hours=hours)
    found = shifts(plan, since, until)
    assert found[0].starts_at == since
    assert found[-1].ends_at == until
    for one, following in pairwise(found):
        assert one.ends_at == following.starts_at
        assert one.person != following.person
    for one in found:
        for moment in (one.starts_at, one.ends_at - timedelta(seconds=1)):
            assert order(plan, moment)[0] == one.person
