"""Dates as people write them, read as days; day-first or month-first is a column's decision."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

# Payments outside these years are typing errors.
FIRST_YEAR, LAST_YEAR = 1970, 2100

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ]\d{1,2}:\d{2}.*)?$")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})$")
_NUMERIC = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})(?: \d{1,2}:\d{2}.*)?$")
_NAMED = re.compile(r"(\d{1,2})[- ./]([A-Za-z]{3,9})[- ./](\d{4}|\d{2})$")


@dataclass(frozen=True, slots=True)
class Order:
    """``day_first`` for 03/04/2012 as 3 April. ``proven`` if some value could only be that."""

    day_first: bool
    proven: bool
    numeric_values: int
    contradicting: int


def decide(values: Iterable[str]) -> Order:
    """Day-first unless the column proves month-first; contradicting values are counted."""
    day_first = month_first = numeric = 0
    for value in values:
        found = _NUMERIC.match(value.strip())
        if found:
            numeric += 1
            first, second = int(found[1]), int(found[2])
            day_first += first > 12 >= second
            month_first += second > 12 >= first
    return Order(
        day_first=day_first >= month_first,
        proven=day_first != month_first,
        numeric_values=numeric,
        contradicting=min(day_first, month_first),
    )


def day(value: str, order: Order) -> date:
    """``value`` as a date; raises ValueError with the reason."""
    text = value.strip()
    if not text:
        raise ValueError("the date is empty")
    parts = _parts(text, order)
    if parts is None:
        raise ValueError(f"the date {text[:40]!r} has no known format")
    year, month, number = parts
    try:
        found = date(year, month, number)
    except ValueError:
        raise ValueError(f"the date {text[:40]!r} is not in the calendar") from None
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError(f"the date {text[:40]!r} is outside {FIRST_YEAR}-{LAST_YEAR}")
    return found


def _parts(text: str, order: Order) -> tuple[int, int, int] | None:
    if found := _ISO.match(text) or _COMPACT.match(text):
        return int(found[1]), int(found[2]), int(found[3])
    if found := _NUMERIC.match(text):
        first, second = int(found[1]), int(found[2])
        number, month = (first, second) if order.day_first else (second, first)
        return _full_year(found[3]), month, number
    if (found := _NAMED.match(text)) and found[2][:3].lower() in _MONTHS:
        return _full_year(found[3]), _MONTHS.index(found[2][:3].lower()) + 1, int(found[1])
    return None


def _full_year(text: str) -> int:
    year = int(text)
    if len(text) == 4:
        return year
    return 2000 + year if year < 70 else 1900 + year
