# ruff: noqa: E501 (patterns read better whole)
"""Sentences that stand in code, markup, data and logs: comments, strings, attributes, cells, names.

Whoever hides an order there counts on it being read with the code around it, which looks harmless.
Each sentence is given out alone, unescaped and without its comment marks, so that it can be judged
as what it is.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

# A sentence has so many words at the least, and is read up to so many characters.
MIN_WORDS = 4
MAX_CHARACTERS = 600
# More sentences than that are not judged alone: cost stays bounded.
MOST = 60

# Marks that start a comment on a line of its own; a sign of a diff may stand before them.
_OWN_LINE = re.compile(
    r"^[ \t]*[+-]?[ \t]*(?:#+!?|//+!?|--+|;+|%+|\*+(?!\*)|/\*+|(?:REM|rem|dnl)\b)[ \t]*(?=\S)(.*?)[ \t]*(?:\*+/)?$"
)
_BEHIND_CODE = re.compile(r"(?<=[\s;{}(),])(?:#+|//+|--|/\*+)[ \t]+([^\n]{12,}?)(?:\*/)?[ \t]*$")
_ENCLOSED = re.compile(
    r"<!--(?P<markup>.{8,4000}?)-->|<!\[CDATA\[(?P<cdata>.{8,4000}?)\]\]>"
    r"|\"\"\"(?P<long>.{8,4000}?)\"\"\"|'''(?P<long2>.{8,4000}?)'''"
    r"|\"(?P<double>(?:[^\"\\\n]|\\.){12,2000})\""
    r"|(?<![\w'])'(?P<single>(?:[^'\\\n]|\\.|''|'(?=[a-z])){12,2000})'(?!\w)"
    r"|`(?P<tick>[^`\n]{12,1000})`"
    r"|>(?P<node>[^<>{}]{12,2000})<",
    re.DOTALL,
)
# "key: value", "key = value" and what stands after a level or a bracket in a log.
_VALUE = re.compile(
    r"^[ \t]*[+-]?[ \t]*(?:- )?[\w.\-\[\]/ ]{1,40}?[ \t]*(?::|=|=>|:=|\?=)[ \t]+(?![>|{\[(]?[ \t]*$)([^\n]{12,})$"
)
_LOGGED = re.compile(
    r"^.{0,120}?\b(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|FATAL|CRITICAL)\b[\]:| \t-]+(.{12,})$"
)
_CELLS = re.compile(r"[,;\t|]")
_NAME = re.compile(
    r"(?<![\w.])(?:[A-Za-z]{1,20}[_-]){3,}[A-Za-z]{1,20}\b|\b[A-Za-z]?[a-z]+(?:[A-Z][a-z]*){3,}\b"
)
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|[_-]+")
_ESCAPE = re.compile(r"\\([nrt\"'\\/])")
_WORD = re.compile(r"[^\W\d_]{2,}")
_MARKS = re.compile(r"[\s*#/]*\n[\s*#/;+-]*")
# Prose has few of these; without any, nothing is looked for.
_CODE = re.compile(
    r"[{}<>;=#`|\\]|//|--|/\*|\w_\w|\":|^[ \t]*[\w-]+:[ \t]|^[ \t]*[-+]|\b[A-Z]{4,}\b|,\S+,",
    re.MULTILINE,
)


def asides(text: str) -> Iterator[str]:
    """The sentences of ``text`` that code, markup or data hold, each once, at most MOST."""
    if _CODE.search(text) is None:
        return
    seen = {" ".join(text.split())}  # the whole is judged anyway
    for raw in _found(text):
        said = _cleaned(raw)
        if said in seen or len(_WORD.findall(said)) < MIN_WORDS:
            continue
        seen.add(said)
        yield said[:MAX_CHARACTERS]
        if len(seen) > MOST:
            return


def _found(text: str) -> Iterator[str]:
    for match in _ENCLOSED.finditer(text):
        yield match[match.lastgroup or 0]
    yield from _by_line(text)
    for match in _NAME.finditer(text):
        yield _HUMP.sub(" ", match[0])


def _by_line(text: str) -> Iterator[str]:
    """Comments with the lines that go on, values with their folded lines, log messages, cells."""
    comment: list[str] = []
    for line in text.split("\n"):
        own = _OWN_LINE.match(line)
        if own is not None:
            comment.append(own[1])
            continue
        if comment:
            yield from _comment(comment)
            comment = []
        if len(line) < 12:
            continue
        if behind := _BEHIND_CODE.search(line):
            yield behind[1]
        if logged := _LOGGED.match(line):
            yield logged[1]
        elif value := _VALUE.match(line):
            yield value[1]
        elif len(cells := _CELLS.split(line)) > 2:
            yield from (cell for cell in cells if cell.count(" ") >= MIN_WORDS - 1)
        else:
            yield line
    yield from _comment(comment)


def _comment(lines: list[str]) -> Iterator[str]:
    """A block of comment lines as one sentence, and each line of its own."""
    if len(lines) > 1:
        yield " ".join(lines)
    yield from lines


def _cleaned(raw: str) -> str:
    if "\\" in raw:
        raw = _ESCAPE.sub(lambda m: " " if m[1] in "nrt" else m[1], raw)
    if "&" in raw:
        raw = html.unescape(raw)
    return " ".join(_MARKS.sub(" ", raw.replace("''", "'")).split()).strip("\"'`*#/<>-| ")
