"""Who is on call at a moment, who follows, and from when to when: dates in, names out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from config.errors import InvalidInput

# A plan that is asked for further ahead is a guess, and would fill a page.
LONGEST = timedelta(days=400)


def is_time_zone(name: str) -> bool:
    """Whether the database of time zones has this name."""
    return name in available_timezones()


@dataclass(frozen=True, slots=True)
class Override:
    """``person`` is on call from ``starts_at`` until before ``ends_at``, whoever's turn it is."""

    person: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """``people`` take turns of ``shift_days``, from ``first_day`` on, at a local time of the day.

    Of several overrides at one moment the last one holds.
    """

    people: tuple[str, ...]
    first_day: date
    hand_over_at: time
    time_zone: str
    shift_days: int
    overrides: tuple[Override, ...] = ()

    def starts(self, number: int) -> datetime:
        """When shift ``number`` (from 0) begins: the same local time, also over a clock change."""
        day = self.first_day + timedelta(days=number * self.shift_days)
        local = datetime.combine(day, self.hand_over_at, ZoneInfo(self.time_zone))
        return local.astimezone(UTC)

    def number_at(self, at: datetime) -> int:
        """The shift in which ``at`` lies; below 0 before the first one."""
        local = at.astimezone(ZoneInfo(self.time_zone)).date()
        number = (local - self.first_day).days // self.shift_days
        while at < self.starts(number):
            number -= 1
        while at >= self.starts(number + 1):
            number += 1
        return number


@dataclass(frozen=True, slots=True)
class Shift:
    """``person`` is on call in this time; ``stands_in``: by an override."""

    person: str
    starts_at: datetime
    ends_at: datetime
    stands_in: bool


def order(plan: Plan, at: datetime) -> tuple[str, ...]:
    """Who is told first at ``at``, who next, and so on; empty before the first shift."""
    number = plan.number_at(at)
    turn: tuple[str, ...] = ()
    if number >= 0 and plan.people:
        first = number % len(plan.people)
        turn = plan.people[first:] + plan.people[:first]
    stand_in = _stand_in(plan, at)
    if stand_in is None:
        return turn
    return (stand_in, *(person for person in turn if person != stand_in))


def _stand_in(plan: Plan, at: datetime) -> str | None:
    found = [one.person for one in plan.overrides if one.starts_at <= at < one.ends_at]
    return found[-1] if found else None


def shifts(plan: Plan, since: datetime, until: datetime) -> list[Shift]:
    """Who is on call between the two times, one after another; gaps are left out.

    Raises InvalidInput for a stretch that is longer than ``LONGEST``.
    """
    if until - since > LONGEST:
        raise InvalidInput("until", until.isoformat(), f"at most {LONGEST.days} days ahead")
    found: list[Shift] = []
    if since >= until:
        return found
    for start, end in _pieces(plan, since, until):
        first = next(iter(order(plan, start)), None)
        if first is None:
            continue
        stands_in = _stand_in(plan, start) is not None
        last = found[-1] if found else None
        if last and (last.person, last.stands_in, last.ends_at) == (first, stands_in, start):
            found[-1] = Shift(first, last.starts_at, end, stands_in)
        else:
            found.append(Shift(first, start, end, stands_in))
    return found


def _pieces(plan: Plan, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The stretch, cut wherever somebody else may be on call."""
    cuts = {since, until}
    number = plan.number_at(since) + 1
    while (start := plan.starts(number)) < until:
        cuts.add(start)
        number += 1
    for one in plan.overrides:
        cuts |= {at for at in (one.starts_at, one.ends_at) if since < at < until}
    yield from pairwise(sorted(at.astimezone(UTC) for at in cuts))
