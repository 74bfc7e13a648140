"""Cutting a text into passages: along headings, paragraphs and sentences, never inside one.

Every document is cut the standard way. A version may ask for another one, a *cut*: longer passages
that run over headings and begin with the end of the one before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agents.domain.context import estimate_tokens

# Tokens of a passage. Chosen at equal context length: see docs/reference/knowledge.md.
MAX_TOKENS = 120
# A rest shorter than this joins the passage before it.
MIN_TOKENS = 24
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+(?=[\w\"“(•-])|\n+")
_LONGEST = MAX_TOKENS * 4
# What a cut may ask for.
LEAST_TOKENS, MOST_TOKENS = 32, 4_096
_CUT = re.compile(r"^(\d{2,4})/(\d{1,4})$")


@dataclass(frozen=True, slots=True)
class Cut:
    """Passages of at most ``max_tokens``, each beginning with ``overlap_tokens`` of the last."""

    max_tokens: int
    overlap_tokens: int

    def __post_init__(self) -> None:
        if not LEAST_TOKENS <= self.max_tokens <= MOST_TOKENS:
            raise ValueError(f"need {LEAST_TOKENS} to {MOST_TOKENS} tokens, got {self.max_tokens}")
        if not 0 <= self.overlap_tokens <= self.max_tokens // 2:
            raise ValueError(f"need an overlap of at most half of it, got {self.overlap_tokens}")

    @property
    def name(self) -> str:
        """As settings and rows have it: ``512/100``."""
        return f"{self.max_tokens}/{self.overlap_tokens}"


def cut_named(name: str) -> Cut:
    """The cut of a name like ``512/100``; raises ValueError for what is none."""
    match = _CUT.match(name)
    if match is None:
        raise ValueError(f"need tokens/overlap, such as 512/100, got {name!r}")
    return Cut(int(match[1]), int(match[2]))


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a document under one heading."""

    text: str
    heading: str = ""
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage to be: what is stored and found."""

    number: int
    text: str
    heading: str
    page: int | None
    tokens: int


def chunks(blocks: Iterable[Block], max_tokens: int = MAX_TOKENS) -> list[Chunk]:
    """Passages of at most about ``max_tokens`` in reading order; headings and pages stay apart."""
    found: list[Chunk] = []
    for block in blocks:
        for text in _passages(block.text, max_tokens):
            number = len(found) + 1
            found.append(Chunk(number, text, block.heading, block.page, estimate_tokens(text)))
    return found


def windows(blocks: Iterable[Block], cut: Cut) -> list[Chunk]:
    """Passages of ``cut`` in reading order; headings stand in the text where they begin.

    Heading and page of a passage are those of its first sentence.
    """
    found: list[Chunk] = []
    parts: list[tuple[str, Block, int]] = []
    size = fresh = 0
    for sentence, block in _in_order(blocks):
        tokens = estimate_tokens(sentence)
        if fresh and size + tokens > cut.max_tokens:
            found.append(_window(parts, len(found) + 1))
            parts = _carried(parts, min(cut.overlap_tokens, cut.max_tokens - tokens))
            size, fresh = sum(part[2] for part in parts), 0
        parts.append((sentence, block, tokens))
        size, fresh = size + tokens, fresh + 1
    if fresh:
        found.append(_window(parts, len(found) + 1))
    return found


def _in_order(blocks: Iterable[Block]) -> Iterator[tuple[str, Block]]:
    before = ""
    for block in blocks:
        if block.heading and block.heading != before:
            yield block.heading, block
        before = block.heading
        for sentence in _sentences(block.text):
            yield sentence, block


def _carried(parts: list[tuple[str, Block, int]], most_tokens: int) -> list[tuple[str, Block, int]]:
    """The last sentences that fit into ``most_tokens``."""
    used, first = 0, len(parts)
    while first > 0 and used + parts[first - 1][2] <= most_tokens:
        first -= 1
        used += parts[first][2]
    return parts[first:] if first else []


def _window(parts: list[tuple[str, Block, int]], number: int) -> Chunk:
    text = " ".join(sentence for sentence, _, _ in parts)
    first = parts[0][1]
    return Chunk(number, text, first.heading, first.page, estimate_tokens(text))


def _passages(text: str, max_tokens: int) -> Iterator[str]:
    parts: list[str] = []
    size = 0
    ready: list[str] = []
    for sentence in _sentences(text):
        tokens = estimate_tokens(sentence)
        if parts and size + tokens > max_tokens:
            ready.append(" ".join(parts))
            parts, size = [], 0
        parts.append(sentence)
        size += tokens
    if parts:
        rest = " ".join(parts)
        if ready and estimate_tokens(rest) < MIN_TOKENS:
            ready[-1] = f"{ready[-1]} {rest}"
        else:
            ready.append(rest)
    yield from ready


def _sentences(text: str) -> Iterator[str]:
    for sentence in _SENTENCE.split(text):
        whole = " ".join(sentence.split())
        while len(whole) > _LONGEST:  # a table or a text without stops: cut between words
            place = whole.rfind(" ", 0, _LONGEST)
            place = place if place > 0 else _LONGEST
            yield whole[:place]
            whole = whole[place:].strip()
        if whole:
            yield whole
