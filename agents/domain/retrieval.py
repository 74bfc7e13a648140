"""Choosing passages: fusing rankings, freshness, marks, and what fits into a context."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from agents.domain.context import estimate_tokens
from agents.domain.lexical import stems

# Numbers in a stored vector; vectors of other lengths are projected or padded.
DIMENSIONS = 384
# Constant of reciprocal rank fusion; 60 in Cormack et al., SIGIR 2009.
RRF_K = 60
# A text loses half of its freshness in so many days; all of it moves a score by this share.
HALF_LIFE_DAYS = 730.0
FRESHNESS_WEIGHT = 0.1
# How far marks may move a score either way.
MARK_WEIGHT = 0.3
# Imagined marks, half of them helpful. So many that one real mark moves a score by 1.4 %: less than
# the 1.6 % between the first and the second place of a ranking. Ten alike move it by 10 %.
IMAGINED_MARKS = 20
# Sum of the rankings' weights in settings; only their ratio matters, so more is a slip.
MOST_WEIGHT = 30.0
# The rankings that are fused, in the order in which search makes them.
RANKINGS = ("words", "nearest", "coverage")
_CITED = re.compile(r"\[(\d{1,3})\]")

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Standing:
    """What speaks for or against a passage beside its match."""

    as_of: date | None = None
    helpful: int = 0
    unhelpful: int = 0


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each ranking, freshness and marks count; a version's settings may change them."""

    words: float = 1.0
    nearest: float = 1.0
    coverage: float = 1.0
    freshness: float = FRESHNESS_WEIGHT
    marks: float = MARK_WEIGHT

    def __post_init__(self) -> None:
        rankings = (self.words, self.nearest, self.coverage)
        if min(rankings) < 0 or not 0 < sum(rankings) <= MOST_WEIGHT:
            raise ValueError(f"need weights from 0, above 0 and at most {MOST_WEIGHT} in all")
        if not (0 <= self.freshness < 1 and 0 <= self.marks < 1):
            raise ValueError("need freshness and marks from 0 to under 1")

    @property
    def rankings(self) -> tuple[float, float, float]:
        """In the order of RANKINGS."""
        return self.words, self.nearest, self.coverage


STANDARD = Weights()


def weights_from(given: Mapping[str, Any]) -> Weights:
    """The weights that settings name, others standard; raises ValueError."""
    if unknown := sorted(set(given) - {"words", "nearest", "coverage", "freshness", "marks"}):
        raise ValueError(f"unknown: {', '.join(unknown)}")
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in given.values()):
        raise ValueError("need numbers")
    return Weights(**{name: float(value) for name, value in given.items()})


def fuse(
    rankings: Iterable[Sequence[Key]], k: int = RRF_K, weights: Sequence[float] | None = None
) -> dict[Key, float]:
    """Reciprocal rank fusion: the sum of ``weight / (k + rank)`` over all rankings, ranks from 1.

    Source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion Outperforms Condorcet and
    Individual Rank Learning Methods", SIGIR 2009.
    """
    scores: dict[Key, float] = {}
    for place, ranking in enumerate(rankings):
        counts = 1.0 if weights is None else weights[place]
        for rank, key in enumerate(ranking, start=1):
            scores[key] = scores.get(key, 0.0) + counts / (k + rank)
    return scores


def weight(standing: Standing, today: date, weights: Weights = STANDARD) -> float:
    """A factor around 1 for freshness and marks."""
    fresh = 0.5
    if standing.as_of is not None:
        age = max(0, (today - standing.as_of).days)
        fresh = 0.5 ** (age / HALF_LIFE_DAYS)
    given = standing.helpful + standing.unhelpful
    marks = (standing.helpful + IMAGINED_MARKS / 2) / (given + IMAGINED_MARKS)
    return (1 + weights.freshness * (2 * fresh - 1)) * (1 + weights.marks * (2 * marks - 1))


def by_coverage(query: str, texts: Mapping[Key, str]) -> list[Key]:
    """Keys by how much of the query's rarer words their text covers, best first; ties as given.

    Word weights are BM25's (k1 1.2, b 0.75; Robertson and Zaragoza, 2009) with frequencies among
    ``texts`` themselves: PostgreSQL's rank has none, and common words would decide.
    """
    wanted = set(stems(query))
    bags = {key: Counter(stems(text)) for key, text in texts.items()}
    mean = max(1.0, sum(bag.total() for bag in bags.values()) / max(1, len(bags)))
    spread = Counter(word for bag in bags.values() for word in wanted if word in bag)
    scores: dict[Key, float] = {}
    for key, bag in bags.items():
        length = 1.2 * (0.25 + 0.75 * bag.total() / mean)
        score = 0.0
        # In one order: sums of floats in another could part two equal texts.
        for word in sorted(wanted & bag.keys()):
            rare = math.log(1 + (len(bags) - spread[word] + 0.5) / (spread[word] + 0.5))
            score += rare * bag[word] * 2.2 / (bag[word] + length)
        if score:
            scores[key] = score
    return sorted(scores, key=lambda key: -scores[key])


def pack(texts: Sequence[str], max_tokens: int, limit: int) -> int:
    """How many of ``texts``, best first, fit into ``max_tokens`` (at least one, at most limit)."""
    used = 0
    for place, text in enumerate(texts[:limit]):
        used += estimate_tokens(text)
        if used > max_tokens and place:
            return place
    return min(limit, len(texts))


def cited(answer: str, passages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``passages`` as citations: each with its ``number`` and whether the answer names it."""
    named = {int(found) for found in _CITED.findall(answer)}
    return [{**one, "cited": one["number"] in named} for one in passages]


def fitted(vector: Sequence[float], dimensions: int = DIMENSIONS) -> list[float]:
    """``vector`` as a unit vector of ``dimensions`` numbers, angles kept as far as they can be.

    A longer one is projected onto fixed random directions (Johnson and Lindenstrauss, 1984;
    the error of a cosine is about ``1 / sqrt(dimensions)``), a shorter one is padded.
    """
    given = np.asarray(vector, dtype=np.float64)
    if given.size > dimensions:
        given = _directions(given.size, dimensions) @ given
    elif given.size < dimensions:
        given = np.pad(given, (0, dimensions - given.size))
    length = float(np.linalg.norm(given))
    if not math.isfinite(length) or length == 0.0:
        given, length = np.eye(1, dimensions)[0], 1.0
    return [float(value) for value in given / length]


@lru_cache(maxsize=4)
def _directions(size: int, dimensions: int) -> Any:
    return np.random.default_rng(20_261_120).standard_normal((dimensions, size))
