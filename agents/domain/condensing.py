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
# Digits, and the numerals that are none: ½, Ⅳ, 三.
_FIGURE = re.compile(r"\d|[\u00bc-\u00be\u2150-\u218b\u2460-\u249b]|[一二三四五六七八九十百千万]")
# Objects looked for in one text.
MAX_OBJECTS = 64


def compress(text: str) -> str:
    """``text`` without what carries nothing: runs of space, ruled lines, repeated footers.

    Indentation and single line breaks stay. A line with a figure is never left out: two equal
    postings are two, and so are their sums.
    """
    lines: list[str] = []
    seen: set[str] = set()
    for line in _RULE.sub("", text).split("\n"):
        tight = re.sub(r"(?<=\S)[ \t\u00a0]{2,}", " ", line).rstrip()
        key = tight.strip()
        # A page's header, a quoted mail's footer.
        if len(key) > 40 and key in seen and not _FIGURE.search(key):
            continue
        seen.add(key)
        if key or (lines and lines[-1]):
            lines.append(tight)
    return "\n".join(lines).strip()


def tight(text: str) -> str:
    """``text`` with every JSON object in it on one line, and otherwise compressed.

    Numbers stay as they were written, and so does the order of members.
    """
    return "".join(
        _written(part) if isinstance(part, dict) else _loose(part) for part in json_parts(text)
    )


def json_parts(text: str) -> list[str | dict[str, Any]]:
    """``text`` cut into JSON objects and what stands between them; numbers as written."""
    parts: list[str | dict[str, Any]] = []
    position = start = 0
    for _ in range(MAX_OBJECTS):
        start = text.find("{", start)
        if start < 0:
            break
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            start += 1
            continue
        parts += [text[position:start], value]
        position = start = end
    return [part for part in (*parts, text[position:]) if part]


def _loose(text: str) -> str:
    """Text between objects, compressed, with the space that parts it from them."""
    tight_text = compress(text)
    if not tight_text:
        return "\n" if "\n" in text else " "
    before = " " if text[0].isspace() else ""
    after = " " if text[-1].isspace() else ""
    return f"{before}{tight_text}{after}"


def lean_schema(schema: Any) -> Any:
    """A JSON Schema without ``title`` and null ``default``: a model reads names and types.

    Properties that are themselves called title or default stay.
    """
    if isinstance(schema, list):
        return [lean_schema(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    lean: dict[str, Any] = {}
    for key, value in schema.items():
        if (key == "title" and isinstance(value, str)) or (key == "default" and value is None):
            continue
        if key in ("properties", "$defs"):
            lean[key] = {name: lean_schema(item) for name, item in value.items()}
        else:
            lean[key] = lean_schema(value)
    return lean


def lean_description(text: str) -> str:
    """What a tool does, without the paragraphs that say which source its author followed."""
    paragraphs = [part for part in text.split("\n\n") if not part.lstrip().startswith("Source")]
    return " ".join("\n\n".join(paragraphs).split()) or text


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


_DECODER = json.JSONDecoder(parse_float=_Literal, parse_int=_Literal)


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
