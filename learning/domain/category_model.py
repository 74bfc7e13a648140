"""A naive Bayes model of what a complaint is about, counted from our own sayings. Pure.

For texts in which the lists of words find nothing: it weighs the pieces of their words (three to
five letters, so that endings and compounds still tell), kinds being equally likely beforehand. Each
sentence is weighed by itself: what else somebody tells must not outvote the one that complains. It
says nothing where the next kind is nearly as likely, or where the words are those of no issue.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import cache

from learning.domain.sayings import SAYINGS

NONE = "none"
# The share of a kind's sayings that is taken to have a piece which none of them has.
UNSEEN = 0.001
# By how much (a logarithm of odds) the best has to be likelier for each known piece, of which there
# are so many in a few words: fewer tell as little as they are.
MARGIN = 0.6
LEAST_PIECES = 25
PIECES = (3, 4, 5)
_END = re.compile(r"(?<=[.!?;])\s+|\n+")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
# Words that every kind needs; negations and pronouns tell something and stay.
_EMPTY = frozenset(
    "a an the of to in on for and or is are was were be been it its this that these those with as "
    "at by from i we my our me us".split()
)


def kind_of(text: str) -> str:
    """The likeliest kind of issue of the sentence that tells most; empty where none stands out."""
    told = [_weighed(sentence) for sentence in _END.split(text)]
    margin, kind = max((one for one in told if one[1] != NONE), default=(0.0, ""))
    return kind if margin >= MARGIN else ""


def _weighed(sentence: str) -> tuple[float, str]:
    """By how much the likeliest kind is likelier than the next, for each known piece; and it."""
    kinds, weights = list(SAYINGS), _weights()
    known = [found for piece in pieces_of(sentence) if (found := weights.get(piece)) is not None]
    if not known:
        return 0.0, NONE
    scores = [math.fsum(column) for column in zip(*known, strict=True)]
    best, second = sorted(scores, reverse=True)[:2]
    return (best - second) / max(len(known), LEAST_PIECES), kinds[scores.index(best)]


def pieces_of(text: str) -> set[str]:
    """Every run of three to five letters within the words that tell something, edges marked."""
    words = [f" {word} " for word in _WORD.findall(text.lower()) if word not in _EMPTY]
    return {
        word[place : place + size]
        for word in words
        for size in PIECES
        for place in range(len(word) - size + 1)
    }


@cache
def _weights() -> dict[str, tuple[float, ...]]:
    """Piece → the log of the share of each kind's sayings that has it."""
    said = {kind: sayings.split("|") for kind, sayings in SAYINGS.items()}
    counts = {k: Counter(p for one in given for p in pieces_of(one)) for k, given in said.items()}
    return {
        piece: tuple(
            math.log(counts[kind][piece] / len(given) + UNSEEN) for kind, given in said.items()
        )
        for piece in sorted(set().union(*counts.values()))
    }
