"""Figures of an answer that nothing its model read holds: a cheap sign of a slip."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal

from agents.domain.guardrails.claims import values_of

# Days, amounts and other figures of some weight. Counts and numbers of a list say nothing.
_FIGURE = re.compile(
    r"(?<![\w.,/-])\d{4}-\d\d-\d\d(?!\d)"
    r"|(?<![\w.,/-])\d{1,2}/\d{1,2}/\d{4}(?![\w/])"
    r"|(?<![\w.,/])(?<!\d-)\d[\d,.'\u00a0\u202f]*\d(?![\w/]|-\d)"
)
_WRITTEN_DAY = re.compile(r"(\d{1,2})([./])(\d{1,2})\2(\d{4})")
# The number of a heading: "1.1 Scope".
_NUMBERING = re.compile(r"(?m)^[ \t#*>-]*\d{1,2}(?:\.\d{1,2}){0,3}\.?[ \t]+(?=[A-ZÀ-Þ][a-zà-ÿ])")
_DIGITS = re.compile(r"\d")
# A whole number of fewer digits stands in most texts by chance, and in many answers as a count.
LEAST_DIGITS = 3
# So many of an answer's figures may be its own: a sum or a rounded one is no slip.
MOST_OWN_RATIO = 0.3


def unfounded(answer: str, read: Sequence[str]) -> tuple[str, ...]:
    """The figures of ``answer`` that occur in nothing of what was ``read``, if they are so many
    (more than ``MOST_OWN_RATIO`` of all) that it does not rest on it; else none.

    Figures are compared as decimals in any usual notation, as rounded as the answer has them, and
    as percentages too; days in any order of day and month, and a year is held by a day in it. Takes
    time in proportion to what was read.
    """
    figures = [one for one in _figures(_NUMBERING.sub("", answer)) if _tells(one)]
    if not figures:
        return ()
    written = {one for text in read for one in _figures(text)}
    unknown = [one for one in figures if one not in written]
    most = MOST_OWN_RATIO * len(figures)
    if len(unknown) <= most:
        return ()
    days: set[str] = set()
    values: set[Decimal] = set()
    for one in written:
        if meant := _days_of(one):
            days |= meant
            values |= {Decimal(day[:4]) for day in meant}
        else:
            values |= values_of(one)
    known = sorted(values)
    missing = tuple(one for one in unknown if not _is_among(one, days, known))
    return missing if len(missing) > most else ()


def _tells(figure: str) -> bool:
    return len(_DIGITS.findall(figure)) >= LEAST_DIGITS or not figure.isdigit()


def _figures(text: str) -> dict[str, None]:
    return dict.fromkeys(found[0].rstrip(".,' ") for found in _FIGURE.finditer(text))


def _days_of(figure: str) -> set[str]:
    """The days that a figure may mean, as ISO has them: 02/03/2026 may be either of two."""
    if "-" in figure:
        return {figure}
    written = _WRITTEN_DAY.fullmatch(figure)
    if written is None:
        return set()
    one, _, other, year = written.groups()
    orders = [(one, other), (other, one)]
    return {
        f"{year}-{int(month):02}-{int(day):02}"
        for day, month in orders
        if 1 <= int(month) <= 12 and 1 <= int(day) <= 31
    }


def _is_among(figure: str, days: set[str], known: Sequence[Decimal]) -> bool:
    """Whether ``days`` or the ``known`` values, in their order, hold what the figure may mean."""
    if meant := _days_of(figure):
        return bool(meant & days)
    for value in values_of(figure):
        for number in (value, value / 100):
            exponent = number.as_tuple().exponent
            half = Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0) / 2
            place = bisect_left(known, number - half)
            if place < len(known) and known[place] <= number + half:
                return True
    return False
