"""Answers from passages of text that came with the question, with citations like [1]."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.domain.lexical import stems
from agents.offline_model.planning import Result

MAX_SENTENCES = 3
# A sentence is quoted if it scores at least this share of the best one.
NEAR_BEST = 0.6

_TAGGED = re.compile(
    r"<(passage|document|doc|source|context|excerpt)\b([^>]*)>(.*?)</\1>", re.S | re.I
)
_TAG_NUMBER = re.compile(r"(?:id|index|number|n|ref)\s*=\s*[\"']?\[?(\d+)")
_NUMBERED = re.compile(
    r"^[ \t]*\[(\d{1,3})\][ \t]*(.*?)(?=^[ \t]*\[\d{1,3}\]|\n[ \t]*\n|\Z)", re.S | re.M
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"“(])|\n+")


@dataclass(frozen=True, slots=True)
class Passage:
    """One piece of context; ``ref`` is what a citation of it says."""

    ref: str
    text: str


def passages_in(text: str) -> tuple[list[Passage], str]:
    """Passages marked as ``<passage id=1>…</passage>`` or ``[1] …``, and the text around them."""
    tagged = list(_TAGGED.finditer(text))
    if tagged:
        found = []
        for place, match in enumerate(tagged, start=1):
            body = match[3].strip()
            numbered = _TAG_NUMBER.search(match[2])
            inner = _numbered_in(body) if numbered is None else []
            found += inner or [Passage(numbered[1] if numbered else str(place), body)]
        return found, _TAGGED.sub("\n", text)
    found = _numbered_in(text)
    return (found, _NUMBERED.sub("\n", text)) if found else ([], text)


def _numbered_in(text: str) -> list[Passage]:
    return [Passage(m[1], m[2].strip()) for m in _NUMBERED.finditer(text) if m[2].strip()]


def passages_of(results: Iterable[Result]) -> list[Passage]:
    """Passages among tool results: lists of objects that have a ``text`` or ``content``."""
    found: list[Passage] = []
    for result in results:
        for value in result.data.values():
            if isinstance(value, list):
                found += [p for n, one in enumerate(value, 1) if (p := _passage(one, n))]
    return found


def _passage(value: Any, place: int) -> Passage | None:
    if not isinstance(value, Mapping):
        return None
    text = value.get("text") or value.get("content") or value.get("passage")
    if not isinstance(text, str) or len(text) < 20:
        return None
    return Passage(str(value.get("ref") or value.get("number") or place).strip("[]"), text)


def quote(question: str, passages: Sequence[Passage], *, wrong: bool = False) -> str | None:
    """The sentences that best match ``question``, cited; None when nothing matches.

    Sentences are scored by the inverse document frequency of the question's words in them,
    dampened by length. ``wrong`` quotes the least fitting sentence instead.
    """
    wanted = set(stems(question))
    sentences = [(p.ref, s.strip()) for p in passages for s in _SENTENCE.split(p.text) if s.strip()]
    bags = [Counter(stems(sentence)) for _ref, sentence in sentences]
    spread = Counter(word for bag in bags for word in bag)
    scored = []
    for place, bag in enumerate(bags):
        hit = sum(math.log(1 + len(bags) / spread[word]) for word in wanted if word in bag)
        scored.append((-hit / math.sqrt(8 + bag.total()), place))
    scored.sort()
    if not scored or scored[0][0] == 0:
        return None
    if wrong:
        chosen = [scored[-1][1]]
    else:
        best = scored[0][0]
        chosen = sorted(p for s, p in scored[:MAX_SENTENCES] if s <= best * NEAR_BEST)
    return " ".join(f"{sentences[place][1].rstrip()} [{sentences[place][0]}]" for place in chosen)
