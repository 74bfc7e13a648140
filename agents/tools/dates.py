"""Dates as deadlines count them."""

from __future__ import annotations

from datetime import date, timedelta


def months_after(day: date, months: int) -> date:
    """The same day ``months`` later; a month's last day stays the last (as in CA 2006 s.443)."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    last = (following - timedelta(days=1)).day
    ends_month = (day + timedelta(days=1)).day == 1
    return date(year, month + 1, last if ends_month else min(day.day, last))
