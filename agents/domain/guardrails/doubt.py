"""What of a text the rules are unsure of: the parts that a judge is to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agents.domain.guardrails.findings import Source
from agents.domain.guardrails.injection import score_injection

# An injection score from which on a text that passes may be given to a judge.
UNSURE_FROM = 0.2
# A sentence among harmless ones scores less than alone, so a longer text is scored by its parts:
# of this many characters, or in about so many parts, which bounds what looking costs.
PART_CHARACTERS, OVERLAP_CHARACTERS, PARTS = 2_000, 500, 200
# What is read around a doubtful part, and at once.
AROUND_CHARACTERS, READ_CHARACTERS = 1_000, 24_000
_GAP = "\n[...]\n"


@dataclass(frozen=True, slots=True)
class Doubt:
    """A text that may be an attack: where it stands, all of it, and what a judge is to read."""

    where: str
    source: Source
    text: str
    parts: tuple[str, ...]


def doubtful(text: str, *, source: Source, score: float) -> tuple[str, ...]:
    """What of ``text`` comes near an attack, with what stands around it; nothing if no part does.

    ``score`` is that of all of it. Each of the texts has READ_CHARACTERS at most.
    """
    if len(text) <= PART_CHARACTERS:
        return (text,) if score >= UNSURE_FROM else ()
    size = max(PART_CHARACTERS, len(text) // PARTS)
    overlap = max(OVERLAP_CHARACTERS, size // 4)
    near = [
        (start, start + size)
        for start in range(0, len(text) - overlap, size - overlap)
        if score_injection(text[start : start + size], source=source).score >= UNSURE_FROM
    ]
    if not near and score >= UNSURE_FROM:
        half = READ_CHARACTERS // 2 - AROUND_CHARACTERS  # its beginning and end together are
        near = [(0, half), (max(0, len(text) - half), len(text))]
    return tuple(_packed(text[start:end] for start, end in _widened(near, len(text))))


def _widened(near: Iterable[tuple[int, int]], length: int) -> Iterator[tuple[int, int]]:
    """The stretches with what stands around them, those that meet as one, cut at what is read."""
    whole: list[tuple[int, int]] = []
    for start, end in near:
        start, end = max(0, start - AROUND_CHARACTERS), min(length, end + AROUND_CHARACTERS)
        if whole and start <= whole[-1][1]:
            whole[-1] = (whole[-1][0], end)
        else:
            whole.append((start, end))
    for start, end in whole:
        for cut in range(start, max(start + 1, end - AROUND_CHARACTERS),
                         READ_CHARACTERS - AROUND_CHARACTERS):  # fmt: skip
            yield cut, min(end, cut + READ_CHARACTERS)


def _packed(texts: Iterable[str]) -> Iterator[str]:
    """Several stretches as one text, as long as they can be read at once."""
    waiting = ""
    for text in texts:
        if waiting and len(waiting) + len(_GAP) + len(text) > READ_CHARACTERS:
            yield waiting
            waiting = ""
        waiting = f"{waiting}{_GAP}{text}" if waiting else text
    if waiting:
        yield waiting
