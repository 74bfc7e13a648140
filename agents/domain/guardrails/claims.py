# ruff: noqa: E501 (patterns and word lists read better whole)
"""Numbers and names in an answer that none of its sources holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,.' \u00a0\u202f]*\d(?:\s?%)?|(?<![\w.])\d+(?:\s?%)?")
_NAME = re.compile(
    r"(?<![.!?:]\s)(?<!^)(?<![\n\"“(-])\b[A-ZÀ-Þ][\w'’&-]+(?:\s(?:of|de|von|van|and|&)?\s?[A-ZÀ-Þ][\w'’&-]+)*"
)
_WORD = re.compile(r"\w+")
# Numbers that any text may use: list numbering and small counts.
_SMALL = 12
_NOT_NAMES = frozenset(
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june "
    "july august september october november december i the this that it we you they he she in on at "
    "for if and or but eur usd gbp chf".split()
)


def unsupported_claims(answer: str, sources: Sequence[str]) -> tuple[str, ...]:
    """Numbers and multi-letter names of ``answer`` that occur in no source, in order, once each.

    A number matches in any notation (1,234.50 = 1.234,50 = 1234.5), rounded to the digits that the
    answer gives. It is evidence of invention, not proof: sums and rates derived from the sources
    are reported too.
    """
    text = "\n".join(sources)
    known = {v for m in _NUMBER.finditer(text) for v in values_of(m[0])}
    words = {w.casefold() for w in _WORD.findall(text)}
    missing: dict[str, None] = {}
    for m in _NUMBER.finditer(answer):
        if not _supported(m[0], known):
            missing[m[0].strip()] = None
    for m in _NAME.finditer(answer):
        parts = [w for w in _WORD.findall(m[0]) if w[0].isupper() and not w.isdigit()]
        unknown = [w for w in parts if w.casefold() not in words and w.casefold() not in _NOT_NAMES]
        if unknown and len(unknown) * 2 >= len(parts):
            missing[m[0]] = None
    return tuple(missing)


def _supported(raw: str, known: set[Decimal]) -> bool:
    values = values_of(raw)
    if not values or any(abs(v) <= _SMALL and v == v.to_integral_value() for v in values):
        return True
    for value in values:
        if value in known or -value in known:
            return True
        exponent = value.as_tuple().exponent
        digits = -exponent if isinstance(exponent, int) and exponent < 0 else 0
        step = Decimal(1).scaleb(-digits)
        if any(abs(abs(k) - abs(value)) * 2 <= step and k != k.to_integral_value() for k in known):
            return True
    return False


def values_of(raw: str) -> set[Decimal]:
    """What a written number may mean: with point or comma as the decimal sign."""
    text = re.sub(r"[\s%'+\u00a0\u202f]", "", raw).strip(".,")
    readings = {text.replace(",", ""), text.replace(".", "").replace(",", ".")}
    found = set()
    for reading in readings:
        try:
            if len(reading) <= 40 and reading.count(".") <= 1:
                found.add(Decimal(reading))
        except InvalidOperation:
            continue
    return found
