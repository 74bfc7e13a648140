# ruff: noqa: E501 (patterns and word lists read better whole)
"""What kind of line a number stands in: prose, or the output of a machine."""

from __future__ import annotations

import re

from agents.domain.guardrails.pii.phonewords import phone_word

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
# Numbers that stand alone, as in columns, or as the groups of telephones.
_FIGURE = re.compile(r"(?<!\S)[-+]?\d[\d.,]*%?(?!\S)")
MANY_FIGURES = 7
# A telephone or id: so many digits, in so many groups; dictated digit by digit it has more of them.
FEWEST_DIGITS, MOST_DIGITS = 7, 15
_MOST_GROUPS, _MOST_SPELLED = 5, 8
_GROUP = re.compile(r"\+?\d{1,5}[.,]?")
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
    words = len(_WORD.findall(line))
    figures = len(_FIGURE.findall(line))
    if figures >= MANY_FIGURES and figures > 2 * words:
        return _figures_apart(line.split()) > max(MANY_FIGURES - 1, 2 * words)
    return words < 2 and _digit_share(line) > 0.4 and len(line) > 45


def _figures_apart(tokens: list[str]) -> int:
    """How many figures are no group of a telephone or id that stands apart."""
    apart, run = 0, []
    for place, token in enumerate([*tokens, ""]):
        if _FIGURE.fullmatch(token):
            run.append(token)
            if not token.endswith((",", ".")):
                continue
        if run:
            end = place + 1 if token and run[-1] is token else place
            before = " ".join(tokens[max(0, end - len(run) - 3) : end - len(run)])
            apart += 0 if _are_numbers(run, before) else len(run)
        run = []
    return apart


def _are_numbers(run: list[str], before: str) -> bool:
    """Whether the figures between two words or commas are telephones or ids, not cells of a row."""
    if not all(map(_GROUP.fullmatch, run)):
        return False
    groups = [group.rstrip(".,") for group in run]
    if _is_number(groups):
        return True
    if len(groups) <= _MOST_SPELLED and groups[0][0] in "+0" and phone_word(before):
        return FEWEST_DIGITS <= len("".join(groups).lstrip("+")) <= MOST_DIGITS
    return bool(side_by_side(groups))


def _is_number(groups: list[str]) -> bool:
    most = _MOST_GROUPS + (groups[0][0] == "+")
    return (
        2 <= len(groups) <= most
        and all(len(group) > 1 for group in groups[1:])
        and FEWEST_DIGITS <= len("".join(groups).lstrip("+")) <= MOST_DIGITS
    )


def side_by_side(groups: list[str]) -> list[int]:
    """How many groups each has of telephones in a row, all with a 0 or + in front; else none."""
    sizes: list[int] = []
    at = 0
    while at < len(groups):
        ends = range(min(at + _MOST_GROUPS + 1, len(groups)), at + 1, -1)
        end = next((end for end in ends if _is_telephone(groups, at, end)), 0)
        if not end:
            return []
        sizes.append(end - at)
        at = end
    return sizes


def _is_telephone(groups: list[str], at: int, end: int) -> bool:
    if groups[at][0] not in "+0" or (end < len(groups) and groups[end][0] not in "+0"):
        return False
    # Days and months, "01 02 03 …", have a 0 in front of nearly every group.
    padded = sum(group[0] == "0" for group in groups[at + 1 : end])
    return _is_number(groups[at:end]) and padded * 2 <= end - at - 1


def _digit_share(line: str) -> float:
    return sum(c.isdigit() for c in line) / max(len(line), 1)


def line_around(text: str, start: int, end: int) -> tuple[int, int]:
    """Start and end of the line that holds ``start`` to ``end``, at most 200 characters off."""
    left = text.rfind("\n", max(0, start - 200), start)
    right = text.find("\n", end, end + 200)
    return (left + 1 if left >= 0 else max(0, start - 200)), (
        right if right >= 0 else min(len(text), end + 200)
    )
