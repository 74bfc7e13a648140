"""What a corrected answer says about the document that the wrong one was taken from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agents.domain.grading import numbers_in

_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|\n+")
_FIGURE = re.compile(r"(?<![\w.,])\d[\d.,'  ]*\d|(?<![\w.,])\d")
MOST_NOTE = 2_000


@dataclass(frozen=True, slots=True)
class Change:
    """``before`` becomes ``after``; an empty ``before`` appends ``after`` to the document."""

    before: str
    after: str


def changed_sentence(passage: str, *, wrong: str, right: str, question: str = "") -> Change | None:
    """The one sentence of ``passage`` that holds the wrong figure, with the right one in its place.

    None unless the correction takes one figure away, brings one in, and one sentence alone holds
    what was taken away: anything else needs a person to write it.
    """
    gone = [f for f in _figures(wrong) if not numbers_in(f) & numbers_in(right)]
    new = [
        f for f in _figures(right)
        if not numbers_in(f) & numbers_in(wrong) and not numbers_in(f) & numbers_in(question)
    ]  # fmt: skip
    if len(new) != 1 or not gone:
        return None
    found = [
        (sentence, place)
        for sentence in _SENTENCE.split(passage)
        for place in _FIGURE.finditer(sentence)
        if any(numbers_in(place[0]) & numbers_in(figure) for figure in gone)
    ]
    if len(found) != 1:
        return None
    sentence, place = found[0]
    after = sentence[: place.start()] + new[0] + sentence[place.end() :]
    return None if after == sentence else Change(sentence.strip(), after.strip())


def note(question: str, answer: str, reason: str) -> Change:
    """A section at the end of the document that says what is right."""
    lines = ["## Correction", "", f"On: {_line(question)}", "", _line(answer)]
    if reason.strip():
        lines += ["", f"Why: {_line(reason)}"]
    return Change("", "\n".join(lines))


def applied(text: str, change: Change) -> str | None:
    """``text`` with the change; None if what it replaces is not there once, or it is made."""
    if not change.before:
        return None if change.after in text else f"{text.rstrip()}\n\n{change.after}\n"
    if text.count(change.before) != 1:
        return None
    return text.replace(change.before, change.after)


def reverted(text: str, change: Change) -> str | None:
    """``text`` without the change; None if it is not there as it was made."""
    if text.count(change.after) != 1:
        return None
    made = text.replace(change.after, change.before)
    return f"{made.rstrip()}\n" if made.strip() else None


def as_markdown(blocks: Sequence[tuple[str, str]]) -> str:
    """A document's text from (heading path, text): headings where they change, as they nest."""
    lines: list[str] = []
    before: list[str] = []
    for heading, text in blocks:
        path = [part for part in heading.split(" › ") if part]
        same = 0
        while same < min(len(path), len(before)) and path[same] == before[same]:
            same += 1
        for depth in range(same, len(path)):
            lines += ["", f"{'#' * (depth + 1)} {path[depth]}", ""]
        before = path
        lines += [text]
    return "\n".join(lines).strip() + "\n"


def _figures(text: str) -> list[str]:
    once: dict[frozenset[object], str] = {}
    for place in _FIGURE.finditer(text):
        once.setdefault(frozenset(numbers_in(place[0])), place[0])
    return list(once.values())


def _line(text: str) -> str:
    return " ".join(text.split())[:MOST_NOTE]
