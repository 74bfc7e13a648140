"""JSON in the middle of a message, opened: what it says of the failure stays, what it carries goes.

``{"error": {"message": "Rate limit reached", "param": null}}`` is ``<json> message: Rate limit
reached``, ``{"code": 429}`` is ``<json> CODE429``; an order that could not be sent is ``<json>``.
"""

from __future__ import annotations

import re

# A document or Python's way to print one: a brace and a quoted name.
_START = re.compile(r"\{\s*(?:\"[^\"\n{}]{1,80}\"|'[^'\n{}]{1,80}')\s*:")
_PIECE = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|[{}]")
# Names under which an answer says what went wrong.
_TELLING = (
    r"[\"'](message|msg|error|errors|detail|details|reason|code|type|title|cause|status"
    r"|error_?(?:code|type|message|description))[\"']\s*:\s*"
    r"(?:\"((?:[^\"\\\n]|\\.)*)\"|'((?:[^'\\\n]|\\.)*)')"
)
# And a status of three digits, which stays as one word: numbers beside words go.
_STATUS = (
    r"[\"'](code|status|error_?code|status_?code|http_?status)[\"']\s*:\s*([1-5]\d\d)(?![\w.])"
)
_SAID = re.compile(f"{_TELLING}|{_STATUS}", re.IGNORECASE)


def opened(text: str) -> str:
    """``text`` with each document replaced by what it tells; one that is cut off ends with it."""
    found, place = [], 0
    while start := _START.search(text, place):
        end = _end(text, start.start())
        found += [text[place : start.start()], _told(text[start.start() : end])]
        place = end
    return "".join([*found, text[place:]])


def _end(text: str, start: int) -> int:
    """Where the document that begins at ``start`` is over; braces within quotes don't count."""
    depth = 0
    for piece in _PIECE.finditer(text, start):
        depth += (piece[0] == "{") - (piece[0] == "}")
        if depth == 0 and piece[0] == "}":
            return piece.end()
    return len(text)


def _told(document: str) -> str:
    said = [
        f"{one[4].upper()}{one[5]}" if one[5] else f"{one[1]}: {one[2] or one[3]}"
        for one in _SAID.finditer(document) if one[2] or one[3] or one[5]
    ]  # fmt: skip
    return " ".join(["<json>", *said])
