"""Trying a pattern only where it can begin finds what trying it everywhere finds."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from agents.domain.guardrails import languages, orders, signals, training
from agents.domain.guardrails.normalise import plain
from agents.domain.guardrails.starts import DIGIT, Index, beginnings

SIGNALS = (*signals.ENGLISH, *languages.ALL, *orders.ORDERS)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"\b(?:ignore|forget)\b", {"igno", "forg"}),
        (r"\b(?:no|nothing)\b", {"no"}),
        (r"\bpw\b[^.]{0,9}x", {"pw"}),
        (r"\b\d+ days", {DIGIT}),
        (r"(?<=[.!] )now\b", {"now"}),
        (r"<!--", {"<!--"}),
        (r"ignore", None),  # may begin inside a word
        (r"\b\w+ingly", None),
        (r"(?:^|x)a", None),
    ],
)
def test_the_beginnings_of_a_pattern_are_told_or_are_unknown(
    pattern: str, expected: set[str] | None
) -> None:
    found = beginnings(re.compile(pattern))
    assert found == (None if expected is None else frozenset(expected))


def test_nearly_every_signal_is_tried_only_where_it_can_begin() -> None:
    known = [one for one in signals.ENGLISH if beginnings(one.pattern) is not None]
    assert len(known) >= 0.95 * len(signals.ENGLISH)


def test_every_signal_matches_where_it_did_in_short_and_long_and_mangled_texts() -> None:
    folder = Path(training.__file__).parent
    lines = [
        line
        for name in ("attacks.txt", "benign.txt")
        for line in (folder / name).read_text("utf-8").splitlines()
        if line.strip()
    ]
    draw = random.Random(11)
    texts = draw.sample(lines, 250)
    texts += [" ".join(draw.sample(lines, 12)) for _ in range(10)]
    for line in draw.sample(lines, 60):  # glued together, cut open, with signs and odd letters
        at = draw.randrange(len(line))
        texts.append(
            line[:at] + draw.choice(["_", "x", "é", "٣", "\u0301", "-", "ß", '"']) + line[at:]
        )
    index = Index(one.pattern for one in SIGNALS)
    for text in map(plain, texts):
        starts = index.of(text)
        for one in SIGNALS:
            wanted, found = one.pattern.search(text), starts.search(one.pattern)
            assert (found and found.span()) == (wanted and wanted.span()), (one, text)
