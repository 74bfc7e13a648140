"""A naive Bayes model of what a complaint is about, counted from our own sayings. Pure.

For texts in which the lists of words find nothing: it weighs the pieces of their words (three to
five letters, so that endings and compounds still tell), kinds being equally likely beforehand. It
says nothing where the next kind is nearly as likely, or where the words are those of no issue.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import cache

from learning.domain.sayings import SAYINGS

NONE = "none"
# Counted for each piece that a kind never said.
UNSEEN = 0.03
# By how much (a logarithm of odds, of pieces that overlap) the best has to be likelier.
MARGIN = 16.0
PIECES = (3, 4, 5)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
# Words that every kind needs; negations and pronouns tell something and stay.
_EMPTY = frozenset(
    "a an the of to in on for and or is are was were be been it its this that these those with as "
    "at by from i we my our me us".split()
)


def kind_of(text: str) -> str:
    """The likeliest kind of issue; empty where none stands out."""
    kinds, weights = list(SAYINGS), _weights()
    scores = [0.0] * len(kinds)
    for piece in pieces_of(text):
        for place, weight in enumerate(weights.get(piece, ())):
            scores[place] += weight
    best, second = sorted(scores, reverse=True)[:2]
    if best - second < MARGIN:
        return ""
    kind = kinds[scores.index(best)]
    return "" if kind == NONE else kind


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
    """Piece → the log of how often a saying of each kind has it."""
    said = {kind: sayings.split("|") for kind, sayings in SAYINGS.items()}
    counts = {k: Counter(p for one in given for p in pieces_of(one)) for k, given in said.items()}
    return {
        piece: tuple(
            math.log((counts[kind][piece] + UNSEEN) / (len(given) + 2 * UNSEEN))
            for kind, given in said.items()
        )
        for piece in sorted(set().union(*counts.values()))
    }
