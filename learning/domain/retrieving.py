"""How much of an answer a context of so many tokens holds, and weights learnt from marks.

Ways of cutting are compared at equal context length: recall at k alone would reward long passages.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.domain.context import estimate_tokens
from agents.domain.retrieval import RRF_K, Weights, pack
from learning.domain import numeric

# Tokens of a passage / of the passage before it that it begins with.
CONFIGURATIONS = ("256/50", "512/100", "1024/200", "2048/400")
# Sentences of a marked passage that a context is held to.
MOST_NEEDLES = 8
# Fewer marks of one kind say nothing about weights.
MIN_MARKS = 8
# Pull of the learnt weights towards equal ones, and how far they may go from them.
RIDGE = 0.02
LEAST, MOST = 0.1, 5.0
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Seen:
    """A passage that somebody marked, and where each ranking had it for that question.

    ``weight``: how much the mark counts beside one of a reader who marked the passage once.
    """

    ranks: tuple[int | None, ...]
    is_helpful: bool
    weight: float = 1.0


def needles(text: str) -> tuple[str, ...]:
    """What a context must hold to hold ``text``: its sentences of three words or more."""
    found = [_plain(one) for one in _SENTENCE.split(text)]
    long = [one for one in found if len(one.split()) >= 3] or [one for one in found if one]
    return tuple(dict.fromkeys(long))[:MOST_NEEDLES]


def context_of(texts: Sequence[str], max_tokens: int, limit: int = 50) -> tuple[str, bool]:
    """The passages, best first, that fit into ``max_tokens``; and whether the first one did.

    One that is too long by itself is cut, so that no way of cutting gets a longer context.
    """
    if not texts:
        return "", True
    kept = list(texts[: pack(texts, max_tokens, limit)])
    size = estimate_tokens(kept[0])
    if size <= max_tokens:
        return _plain(" ".join(kept)), True
    return _plain(kept[0][: int(len(kept[0]) * max_tokens / size)]), False


def held(context: str, wanted: Sequence[str]) -> float:
    """The share of ``wanted`` that stands in ``context``; raises ValueError for nothing wanted."""
    if not wanted:
        raise ValueError("need something to look for")
    return sum(one in context for one in wanted) / len(wanted)


def wanted_of(answer: str) -> tuple[str, ...]:
    """An answer as somebody labelled it: one stretch of words."""
    return (_plain(answer),)


def learn_weights(marks: Sequence[Seen]) -> Weights | None:
    """Weights of the rankings under which helpful passages stand before unhelpful ones.

    Pairwise logistic loss (Burges et al., "Learning to Rank using Gradient Descent", ICML 2005)
    over all pairs, with a pull towards equal weights. None with under MIN_MARKS of either kind.
    """
    if min(counted(marks)) < MIN_MARKS:
        return None
    gaps, counts = _pairs(marks)
    shares = counts / counts.sum()

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margins = gaps @ weights
        pull = weights - 1.0
        slope = -shares / (1.0 + np.exp(np.clip(margins, -50, 50)))
        value = float(shares @ np.logaddexp(0.0, -margins) + RIDGE * (pull @ pull))
        return value, gaps.T @ slope + 2 * RIDGE * pull

    start = np.ones(gaps.shape[1])
    done = numeric.optimize().minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(LEAST, MOST)] * len(start)
    )
    scaled = done.x * len(start) / done.x.sum()
    words, nearest, coverage = (round(float(value), 3) for value in scaled)
    return Weights(words=words, nearest=nearest, coverage=coverage)


def pairs_right(marks: Sequence[Seen], weights: Weights) -> float | None:
    """The share of pairs in which the helpful passage scores higher; None without pairs."""
    if not all(counted(marks)):
        return None
    gaps, counts = _pairs(marks)
    ahead = gaps @ np.asarray(weights.rankings)
    right = np.where(ahead == 0, 0.5, ahead > 0)
    return float((counts * right).sum() / counts.sum())


def counted(marks: Sequence[Seen]) -> tuple[float, float]:
    """Helpful and unhelpful marks, by their weights."""
    good, bad = (
        math.fsum(one.weight for one in marks if one.is_helpful is kind) for kind in (True, False)
    )
    return round(good, 6), round(bad, 6)


def _pairs(marks: Sequence[Seen]) -> tuple[np.ndarray, np.ndarray]:
    """What each ranking says for the helpful passage of each pair, and how much the pair counts."""
    good, bad = ([one for one in marks if one.is_helpful is kind] for kind in (True, False))
    ours, theirs = (np.asarray([_features(one) for one in side]) for side in (good, bad))
    gaps = (ours[:, None, :] - theirs[None, :, :]).reshape(-1, ours.shape[1])
    counts = np.outer([one.weight for one in good], [one.weight for one in bad]).ravel()
    return gaps, counts


def _features(mark: Seen) -> np.ndarray:
    """What each ranking adds to the fused score, 1 for a first place."""
    return np.asarray([0.0 if r is None else (RRF_K + 1) / (RRF_K + r) for r in mark.ranks])


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
