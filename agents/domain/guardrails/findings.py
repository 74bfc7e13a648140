"""The values that the checks return."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

# A text is parted behind one of these; not every script has spaces.
_APART = " \n\t,;}]>。、，；！？"


class Source(StrEnum):
    """Where a text comes from; untrusted sources weigh instruction-like signals more."""

    USER = "user"
    TOOL = "tool_result"
    DOCUMENT = "document"
    EARLIER = "earlier_turn"
    ANSWER = "earlier_answer"


@dataclass(frozen=True, slots=True)
class Span:
    """A typed stretch of the original text, ``start`` and ``end`` in ``str`` indices.

    ``confidence`` is an ordering aid in [0, 1], not a probability.
    """

    type: str
    start: int
    end: int
    confidence: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"need 0 <= start < end, got {self}")

    def as_dict(self) -> dict[str, Any]:
        """The span as the contract prints it."""
        return {"type": self.type, "start": self.start, "end": self.end}


@dataclass(frozen=True, slots=True)
class Injection:
    """How much a text looks like prompt injection: ``score`` in [0, 1] and why."""

    score: float
    flagged: bool
    reasons: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The finding as the contract prints it."""
        return {"score": self.score, "flagged": self.flagged, "reasons": list(self.reasons)}


def cut_before(text: str, end: int, spans: Sequence[Span]) -> int:
    """The last place up to ``end`` where ``text`` may be parted: between words, and outside of
    every span; 0 if there is none."""
    while True:
        end = max(text.rfind(mark, 0, end) for mark in _APART) + 1
        inside = [span.start for span in spans if span.start < end < span.end]
        if not inside:
            return end
        end = min(inside)


def longest_first(spans: list[Span]) -> tuple[Span, ...]:
    """Spans without overlap, in order: the longest of two wins, then the more confident."""
    kept: list[Span] = []  # in order and apart, so that only the neighbours can overlap
    starts: list[int] = []
    for span in sorted(spans, key=lambda s: (s.start - s.end, -s.confidence, s.start)):
        place = bisect_right(starts, span.start)
        if place and kept[place - 1].end > span.start:
            continue
        if place < len(kept) and kept[place].start < span.end:
            continue
        kept.insert(place, span)
        starts.insert(place, span.start)
    return tuple(kept)
