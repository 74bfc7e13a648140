# ruff: noqa: E501 (patterns and word lists read better whole)
"""What kind of line a number stands in: prose, or the output of a machine."""

from __future__ import annotations

import re

_TIMESTAMP = re.compile(
    r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d|^\W?\s*(?:\d{4}[-/.]\d\d[-/.]\d\d|"
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:[a-z]{0,5}day)?|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\w*)"
    r"[ ,]+\w+ \d\d?:?\d*)|^\[?\d\d:\d\d:\d\d|^\[?\d{9,13}[.\]]|"
    r"^- \d{9,13} \d{4}\.|^\d{6} \d{6}\b|^\d\d?[-/.]\d\d?[-/.]\d\d(?:\d\d)? \d\d?:\d\d|^\d{8}[- T]\d\d?:?\d\d|^\[\d\d?[-/.]\d\d|\d\d/[A-Z][a-z]{2}/\d{4}:\d\d"
)
_LEVEL = re.compile(
    r"\b(?:INFO|WARN(?:ING)?|ERROR|DEBUG|TRACE|FATAL|CRITICAL|NOTICE|SEVERE|ALERT|EMERG)\b|\[(?:info|warn|error|debug)"
)
_PAIR = re.compile(r"[\w.-]+=[^\s=]+")
_JSON_KEY = re.compile(r"[\"'][\w. -]+[\"']\s*:")
# A comma inside a number ("1,204,332.10") parts no cells.
_CELL = re.compile(r"[;|](?=\S)|\t|\s\|\s|;|,(?=[^\s\d])|(?<!\d),(?=\d)|\d,(?=\d(?!\d\d(?!\d)))")
# Numbers that stand alone, in columns; a telephone has five groups at the most.
_FIGURE = re.compile(r"(?<!\S)[-+]?\d[\d.,]*%?(?!\S)")
MANY_FIGURES = 7
_WORD = re.compile(r"[^\W\d_]{2,}")


def is_machine_line(line: str) -> bool:
    """Whether a line reads like a log, CSV, key=value or JSON record rather than a sentence."""
    if _LEVEL.search(line[:120]) and _digit_share(line) > 0.05 and ":" in line:
        return True
    if _TIMESTAMP.search(line) and (_LEVEL.search(line) or _digit_share(line) > 0.12):
        return True
    if len(_PAIR.findall(line)) >= 2 or len(_JSON_KEY.findall(line)) >= 2:
        return True
    if len(_CELL.findall(line)) >= 3:
        return True
    figures = len(_FIGURE.findall(line))
    if figures >= MANY_FIGURES and figures > 2 * len(_WORD.findall(line)):
        return True
    return len(_WORD.findall(line)) < 2 and _digit_share(line) > 0.4 and len(line) > 45


def _digit_share(line: str) -> float:
    return sum(c.isdigit() for c in line) / max(len(line), 1)


def line_around(text: str, start: int, end: int) -> tuple[int, int]:
    """Start and end of the line that holds ``start`` to ``end``, at most 200 characters off."""
    left = text.rfind("\n", max(0, start - 200), start)
    right = text.find("\n", end, end + 200)
    return (left + 1 if left >= 0 else max(0, start - 200)), (
        right if right >= 0 else min(len(text), end + 200)
    )
