"""The stretch of time that a page is about, as the address of the page says it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from config.errors import InvalidInput

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Name → (length, step of a plot, words). Plots have 24 to 90 points; tables need no more.
RANGES: dict[str, tuple[timedelta, timedelta, str]] = {
    "24h": (DAY, HOUR, "24 hours"),
    "7d": (7 * DAY, 3 * HOUR, "7 days"),
    "30d": (30 * DAY, DAY, "30 days"),
    "90d": (90 * DAY, DAY, "90 days"),
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """From ``since`` to ``until``, in steps; ``words`` says how long it is (``24 hours``)."""

    name: str
    since: datetime
    until: datetime
    step: timedelta
    words: str

    @property
    def length(self) -> timedelta:
        return RANGES[self.name][0]

    @property
    def before(self) -> Stretch:
        """As long a stretch that ends where this one begins."""
        return Stretch(self.name, self.since - self.length, self.since, self.step, self.words)

    @property
    def seconds(self) -> float:
        return (self.until - self.since).total_seconds()


def stretch(name: str, *, now: datetime) -> Stretch:
    """Whole steps that end with the one that is open now. Raises InvalidInput."""
    if name not in RANGES:
        raise InvalidInput("range", name, f"one of {', '.join(RANGES)}")
    length, step, words = RANGES[name]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    # Steps begin at multiples since midnight, so that closed windows fit into them.
    end = midnight + (((now - midnight) // step) + 1) * step
    return Stretch(name, end - length, min(end, now + timedelta(minutes=1)), step, words)
