"""Amounts as people write them, read into whole pence.

Whether a comma is a decimal or a thousands mark is decided over the whole column, because one
value such as ``1,234`` cannot tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

# Above this a value is a typing error, not a payment: 100 billion.
MAX_PENCE = 10**13

_NOISE = re.compile(r"[\s\u00a0\u202f'’]|GBP|EUR|USD|[£€$]", re.IGNORECASE)
_PLAIN = re.compile(r"\d+(?:[.,]\d+)*$|[.,]\d+$")


@dataclass(frozen=True, slots=True)
class Convention:
    """Which mark separates decimals in a column, and whether the column itself showed it."""

    decimal_mark: str
    proven: bool


def decide(values: Iterable[str], *, delimiter: str) -> Convention:
    """The decimal mark of a column; a semicolon-delimited file leans to the comma."""
    votes = {".": 0, ",": 0}
    for value in values:
        mark = _own_decimal_mark(_strip(value)[1])
        if mark:
            votes[mark] += 1
    if votes["."] == votes[","]:
        return Convention("," if delimiter == ";" else ".", proven=False)
    return Convention(max(votes, key=lambda mark: votes[mark]), proven=True)


def pence(value: str, convention: Convention) -> tuple[int, bool]:
    """``value`` in whole pence, rounded half up, and whether rounding changed it.

    Parentheses and a trailing minus mean negative. Raises ValueError with the reason.
    """
    negative, text = _strip(value)
    if not text:
        raise ValueError("the amount is empty")
    if not _PLAIN.match(text):
        raise ValueError(f"the amount {value.strip()[:40]!r} is not a number")
    mark = _own_decimal_mark(text) or convention.decimal_mark
    other = "," if mark == "." else "."
    whole, _, fraction = text.rpartition(mark) if mark in text else (text, "", "")
    if mark in whole or not _groups_of_three(whole, other) or other in fraction:
        raise ValueError(f"the amount {value.strip()[:40]!r} is not a number")
    number = Decimal(f"{whole.replace(other, '') or '0'}.{fraction or '0'}") * 100
    rounded = int(number.quantize(Decimal(1), ROUND_HALF_UP))
    if rounded > MAX_PENCE:
        raise ValueError(f"the amount {value.strip()[:40]!r} is above 100 billion")
    return (-rounded if negative else rounded), number != rounded


def _strip(value: str) -> tuple[bool, str]:
    text = _NOISE.sub("", value)
    negative = False
    if text.startswith("(") and text.endswith(")"):
        negative, text = True, text[1:-1]
    if text[:1] in "-+\u2212" and text:
        negative, text = negative != (text[0] != "+"), text[1:]
    elif text[-1:] in ("-", "\u2212"):
        negative, text = not negative, text[:-1]
    return negative, text


def _own_decimal_mark(text: str) -> str:
    """The decimal mark if this value alone proves it, otherwise ''."""
    last = max(text.rfind("."), text.rfind(","))
    if last < 0:
        return ""
    mark, other = text[last], "," if text[last] == "." else "."
    if text.count(mark) > 1:
        return other  # 1,234,567: the repeated mark groups thousands
    if other in text:
        return mark
    whole, fraction = text[:last], text[last + 1 :]
    thousands = len(fraction) == 3 and 1 <= len(whole) <= 3 and not whole.startswith("0")
    return "" if thousands else mark


def _groups_of_three(whole: str, mark: str) -> bool:
    head, *groups = whole.split(mark)
    return all(len(group) == 3 for group in groups) and (not groups or 1 <= len(head) <= 3)
