"""Cutting a text into passages: along headings, paragraphs and sentences, never inside one."""

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
