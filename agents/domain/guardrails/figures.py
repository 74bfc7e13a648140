"""Figures of an answer that nothing its model read holds: a cheap sign of a slip."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from agents.domain.guardrails.claims import values_of

# Days, amounts and other figures of some weight. Counts and numbers of a list say nothing.
_FIGURE = re.compile(
    r"(?<![\w.,/-])\d{4}-\d\d-\d\d(?!\d)"
    r"|(?<![\w.,/])(?<!\d-)\d[\d,.'\u00a0\u202f]*\d(?![\w/]|-\d)"
)
_DIGITS = re.compile(r"\d")
# A whole number of fewer digits stands in most texts by chance, and in many answers as a count.
LEAST_DIGITS = 3
# So many of an answer's figures may be its own: a sum or a rounded one is no slip.
MOST_OWN_RATIO = 0.3


def unfounded(answer: str, read: Sequence[str]) -> tuple[str, ...]:
    """The figures of ``answer`` that occur in nothing of what was ``read``, if they are so many
    (more than ``MOST_OWN_RATIO`` of all) that it does not rest on it; else none.

    Figures are compared as decimals in any usual notation, as rounded as the answer has them, and
    as percentages too.
    """
    figures = [one for one in _figures(answer) if _tells(one)]
    if not figures:
        return ()
    written = {one for text in read for one in _figures(text)}
    unknown = [one for one in figures if one not in written]
    most = MOST_OWN_RATIO * len(figures)
    if len(unknown) <= most:
        return ()
    known = {value for one in written if "-" not in one for value in values_of(one)}
    missing = tuple(one for one in unknown if "-" in one or not _is_among(one, known))
    return missing if len(missing) > most else ()


def _tells(figure: str) -> bool:
    return len(_DIGITS.findall(figure)) >= LEAST_DIGITS or not figure.isdigit()


def _figures(text: str) -> dict[str, None]:
    return dict.fromkeys(found[0].rstrip(".,' ") for found in _FIGURE.finditer(text))


def _is_among(figure: str, known: set[Decimal]) -> bool:
    for value in values_of(figure):
        for meant in (value, value / 100):
            exponent = meant.as_tuple().exponent
            half = Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0) / 2
            if meant in known or any(abs(one - meant) <= half for one in known):
                return True
    return False
