"""When ticks come, over clock changes too, and which of those that passed still start a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from workflows.domain.ticks import MOST_AT_ONCE, Missed, next_tick, ticks_until, to_start


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("30 6 * * *", "Europe/Berlin", "2026-07-01T12:00", "2026-07-02T04:30"),
        ("30 6 * * *", "Europe/Berlin", "2026-12-01T12:00", "2026-12-02T05:30"),
        # 02:30 does not exist on 29 March 2026: it comes when the hour has been skipped
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T01:00"),
        # 02:30 comes twice on 25 October 2026, and counts once
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", "2026-10-25T00:30"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30", "2026-10-26T01:30"),
        ("0 9 1 */3 *", "UTC", "2026-01-01T09:00", "2026-04-01T09:00"),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", "2028-02-29T00:00"),
    ],
)
def test_a_tick_comes_at_the_wall_clock_of_its_zone(
    cron: str, zone: str, after: str, expected: str
) -> None:
    assert next_tick(cron, zone, after=at(after)) == at(expected)


@pytest.mark.parametrize(
    ("cron", "zone"),
    [("", "UTC"), ("a b c d e", "UTC"), ("0 0 30 2 *", "UTC"), ("* * * * *", "../etc/passwd")],
)
def test_what_is_no_schedule_is_a_value_error(cron: str, zone: str) -> None:
    with pytest.raises(ValueError, match=r"write|fields"):
        next_tick(cron, zone, after=at("2026-01-01T00:00"))


def test_a_long_sleep_leaves_a_bounded_number_of_ticks() -> None:
    first, now = at("2020-01-01T00:00"), at("2026-01-01T00:00")
    ticks, following = ticks_until("* * * * *", "UTC", first=first, until=now)
    assert (len(ticks), ticks[-1], following) == (MOST_AT_ONCE, now, now + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("missed", "late_minutes", "expected"),
    [
        (Missed.SKIP, 10, 0), (Missed.LATEST, 10, 1), (Missed.ALL, 10, 3),
        (Missed.SKIP, 0, 1), (Missed.LATEST, 0, 1), (Missed.ALL, 0, 3),
    ],
)  # fmt: skip
def test_the_policy_says_which_ticks_start_a_run(
    missed: Missed, late_minutes: int, expected: int
) -> None:
    last = at("2026-01-01T12:00")
    ticks = [last - timedelta(hours=2), last - timedelta(hours=1), last]
    now = last + timedelta(minutes=late_minutes)
    started = to_start(ticks, now=now, grace=timedelta(minutes=5), missed=missed)
    assert (len(started), started <= set(ticks)) == (expected, True)
