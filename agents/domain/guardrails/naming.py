"""Whether a text is nothing but names: of companies, people, places, with a label before them."""

from __future__ import annotations

import re

# Longer texts are sentences, whatever their capitals.
MOST_LINES, MOST_WORDS = 3, 6
_LABEL = re.compile(r"^[\w .-]{1,40}:\s+")
# As a word of a name begins, or a small word that stands in one.
_SMALL = r"of|and|the|de|du|des|der|von|van|und|et|y|z|plc|ltd|inc|sp\.|o\.o\.|s\.r\.o\.|a\.s\."
_WORD = re.compile(rf"[\"'(]?(?:[A-Z\u00c0-\u00de0-9&][\w&.,'\u2019()-]*|{_SMALL})")
# Words of somebody who speaks to somebody: a capital makes no name of an order.
_SPEAKS = re.compile(
    r"\b(?:you|yours?|yourself|me|us|this|that|what|who|how|tell|put|give|let|show|print|reveal|"
    r"repeat|ignore|forget|password|prompt|instructions?|secret)\b",
    re.IGNORECASE,
)


def is_names(text: str) -> bool:
    """True for a few short lines whose every word begins as in a name, and speaks to nobody."""
    if _SPEAKS.search(text):
        return False
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return 0 < len(lines) <= MOST_LINES and all(map(_is_name, lines))


def _is_name(line: str) -> bool:
    words = _LABEL.sub("", line).split()
    return 0 < len(words) <= MOST_WORDS and all(_WORD.fullmatch(word) for word in words)
