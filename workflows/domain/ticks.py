"""Ticks of a schedule: when they are, and which of those that have passed still start a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

# Ticks decided at once: a schedule of every minute that slept for a week has 10,000.
MOST_AT_ONCE = 100
# Ticks that are older are not even counted.
LONGEST_PAST = timedelta(days=31)


class Missed(StrEnum):
    """What happens with ticks that passed while nothing ran."""

    SKIP = "skip"  # none of them starts
    LATEST = "latest"  # one run stands for all of them
    ALL = "all"  # each starts, the oldest first


def next_tick(cron: str, time_zone: str, *, after: datetime) -> datetime:
    """The first tick later than ``after``, in UTC.

    An hour that the clock skips is made up for when it has passed, one that comes twice counts
    once, as in Debian's cron. Raises ValueError for an expression that is wrong or never comes,
    and for an unknown time zone.
    """
    try:
        zone = ZoneInfo(time_zone)
    except (OSError, ValueError, LookupError):
        raise ValueError(f"{time_zone!r} is no time zone; write Europe/Berlin or UTC") from None
    try:
        found = next(CronSim(cron, after.astimezone(zone)))
    except CronSimError as error:
        raise ValueError(f"{cron!r}: {error}; write minute hour day month weekday") from None
    except StopIteration:
        raise ValueError(f"{cron!r} never comes") from None
    return found.astimezone(UTC)


def ticks_until(
    cron: str, time_zone: str, *, first: datetime, until: datetime
) -> tuple[list[datetime], datetime]:
    """The ticks from ``first`` (itself one) up to ``until``, and the next one behind them.

    Of more than MOST_AT_ONCE only the latest ones are given, and none older than LONGEST_PAST.
    """
    ticks: list[datetime] = []
    at = first
    if until - first > LONGEST_PAST:
        at = next_tick(cron, time_zone, after=until - LONGEST_PAST)
    while at <= until:
        ticks.append(at)
        at = next_tick(cron, time_zone, after=at)
    return ticks[-MOST_AT_ONCE:], at


def to_start(
    ticks: list[datetime], *, now: datetime, grace: timedelta, missed: Missed
) -> set[datetime]:
    """Those of ``ticks`` (oldest first, none later than ``now``) that start a run."""
    in_time = {tick for tick in ticks if now - tick <= grace}
    if missed is Missed.ALL:
        return set(ticks)
    if missed is Missed.LATEST and not in_time:
        return set(ticks[-1:])
    return in_time
