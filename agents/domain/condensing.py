"""Saying the same with fewer tokens: tighter text, and summaries made of a text's own sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agents.domain.context import estimate_tokens
from agents.domain.lexical import stems
from agents.domain.retrieval import by_coverage

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[\w\"“(])|\n+")
_RULE = re.compile(r"^[ \t]*([-=_*#~.])\1{3,}[ \t]*$", re.MULTILINE)
_NUMBER = re.compile(r"\d")
_EMPTY: tuple[Any, ...] = (None, "", [], {})


def compress(text: str) -> str:
    """``text`` without what carries nothing: runs of space, ruled lines, repeated lines.

    Indentation and single line breaks stay; numbers and words are never touched.
    """
    lines: list[str] = []
    seen: set[str] = set()
    for line in _RULE.sub("", text).split("\n"):
        tight = re.sub(r"(?<=\S)[ \t\u00a0]{2,}", " ", line).rstrip()
        key = tight.strip()
        if len(key) > 40 and key in seen:  # a page's header, a quoted mail's footer
            continue
        seen.add(key)
        if key or (lines and lines[-1]):
            lines.append(tight)
    return "\n".join(lines).strip()


def without_empty(value: Any) -> Any:
    """``value`` without members that are null or empty, which a model would only skip."""
    if isinstance(value, Mapping):
        kept = {key: without_empty(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in _EMPTY}
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    return value


def tight_json(text: str) -> str:
    """JSON ``text`` on one line without spaces; other text as it is."""
    stripped = text.strip()
    if not stripped.startswith(("{", "[")):
        return text
    try:
        value = json.loads(stripped, parse_float=_Literal, parse_int=_Literal)
    except ValueError:
        return text
    return _written(value)


def summarise(texts: Sequence[str], max_tokens: int, *, about: str = "") -> str:
    """The sentences of ``texts`` that say most, in their order, within ``max_tokens``.

    A sentence counts by how much of the rarer words it covers (``about`` first, if given) and by
    the figures it states. Nothing is reworded, so nothing is invented.
    """
    sentences = [
        " ".join(part.split())
        for text in texts
        for part in _SENTENCE.split(text)
        if part.strip()
    ]  # fmt: skip
    unique = list(dict.fromkeys(sentences))
    if sum(estimate_tokens(one) + 1 for one in unique) <= max_tokens:
        return " ".join(unique)
    numbered = dict(enumerate(unique))
    topic = f"{about} {' '.join(_frequent(unique))}"
    ranks = {key: place for place, key in enumerate(by_coverage(topic, numbered))}
    order = sorted(
        numbered,
        key=lambda key: ranks.get(key, len(unique)) - (3 if _NUMBER.search(numbered[key]) else 0),
    )
    kept, left = [], max_tokens
    for key in order:
        size = estimate_tokens(numbered[key]) + 1
        if size <= left:
            kept.append(key)
            left -= size
    return " ".join(numbered[key] for key in sorted(kept))


class _Literal(str):
    """A number as it was written: 1.10 stays 1.10."""

    __slots__ = ()


def _written(value: Any) -> str:
    if isinstance(value, _Literal):
        return str(value)
    if isinstance(value, dict):
        inside = (f"{json.dumps(k, ensure_ascii=False)}:{_written(v)}" for k, v in value.items())
        return f"{{{','.join(inside)}}}"
    if isinstance(value, list):
        return f"[{','.join(_written(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)


def _frequent(sentences: Sequence[str]) -> list[str]:
    counts: dict[str, int] = {}
    for sentence in sentences:
        for word in set(stems(sentence)):
            counts[word] = counts.get(word, 0) + 1
    return sorted(counts, key=lambda word: -counts[word])[:12]
