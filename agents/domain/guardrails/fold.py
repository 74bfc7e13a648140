# ruff: noqa: E501 (patterns and word lists read better whole)
"""Folding that keeps offsets, so that patterns read ASCII and findings are the original's."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# Characters that show nothing: zero-width, bidi marks and isolates, soft hyphen, tag block,
# variation selectors.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f\U000e0100-\U000e01ef]+"
)
# Scripts that are written without spaces: a value may stand right between their letters.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
)
_SEAM = re.compile(
    rf"(?<=[{_UNSPACED}])(?=[+(]{{0,3}}[0-9A-Za-z])|(?<=[0-9A-Za-z)])(?=[{_UNSPACED}])"
)
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
_SINGLE = {ord(c): "-" for c in _DASHES} | {
    0x00B7: ".",
    0x2024: ".",
    0x2044: "/",
    0x2215: "/",
    0xFE6B: "@",
}


@dataclass(frozen=True, slots=True)
class Folded:
    """``text`` to match on; ``origin[i]`` is where its character ``i`` stands in the original.

    ``origin`` is None while both have the same indices.
    """

    text: str
    origin: tuple[int, ...] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original's indices of the folded text's ``start`` to ``end`` (``end`` > ``start``)."""
        if self.origin is None:
            return start, end
        return self.origin[start], self.origin[end - 1] + 1


def fold(text: str) -> Folded:
    """Plain spaces, hyphens, ASCII digits and letters for their wide and foreign forms."""
    if "\\n" in text or "\\t" in text:  # escaped, as in JSON: a break, not a letter
        text = text.replace("\\n", " \n").replace("\\t", "  ")
    if text.isascii():
        return Folded(text)
    folded = "".join(c if c < "\x80" else _fold_char(c) for c in text)
    hidden, seams = INVISIBLE.search(folded) is not None, _SEAM.search(folded) is not None
    if not hidden and not seams:
        return Folded(folded)
    kept = [i for i, c in enumerate(folded) if not hidden or INVISIBLE.match(c) is None]
    return _spaced("".join(folded[i] for i in kept), kept)


def _spaced(text: str, origin: list[int]) -> Folded:
    """A space where a value meets letters of a script that has none; it stands for the next letter."""
    parts: list[str] = []
    places: list[int] = []
    start = 0
    for seam in _SEAM.finditer(text):
        at = seam.start()
        parts += (text[start:at], " ")
        places += (*origin[start:at], origin[at])
        start = at
    parts.append(text[start:])
    places += origin[start:]
    return Folded("".join(parts), tuple(places))


def _fold_char(char: str) -> str:
    code = ord(char)
    if code in _SINGLE:
        return _SINGLE[code]
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    if unicodedata.category(char) == "Zs":
        return " "
    if 0xFF01 <= code <= 0xFF5E:  # full-width ASCII
        return chr(code - 0xFEE0)
    return char


def lowered(text: str) -> str:
    """Lower case of the same length (a few capitals, such as "İ", have a longer lower case)."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
