"""Which examples a prompt gets: near to the question, and unlike one another.

Maximal marginal relevance: each pick has the best mix of similarity to the question and
distance from what was picked before. Source: Carbonell, Goldstein, SIGIR 1998.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from learning.domain import numeric

# Weight of similarity to the question; the rest is diversity.
BALANCE = 0.7
# Cosine of two texts from which they are the same example told twice.
SAME = 0.95


def similarities(texts: Sequence[str]) -> np.ndarray:
    """Cosines of all pairs, by words and parts of words; texts without any are like nothing."""
    if not texts:
        return np.zeros((0, 0))
    parts = numeric.texts().TfidfVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True
    )
    try:
        rows = parts.fit_transform(texts)
    except ValueError:  # nothing but white space
        return np.eye(len(texts))
    found = np.asarray((rows @ rows.T).toarray())
    np.fill_diagonal(found, 1.0)
    return np.asarray(np.clip(found, 0.0, 1.0))


def choose(
    question: str, candidates: Sequence[str], *, most: int, balance: float = BALANCE
) -> list[int]:
    """Places of at most ``most`` candidates, best first; ties go to the earlier one.

    ``balance`` 1 looks at similarity alone, 0 at diversity alone. Raises ValueError outside.
    """
    if not 0 <= balance <= 1 or most < 0:
        raise ValueError(f"need 0 <= balance <= 1 and most >= 0, got {balance}, {most}")
    if not candidates or most == 0:
        return []
    matrix = similarities([question, *candidates])
    near, between = matrix[0, 1:], matrix[1:, 1:]
    picked: list[int] = []
    while len(picked) < min(most, len(candidates)):
        spread = between[:, picked].max(axis=1) if picked else np.zeros(len(candidates))
        gain = balance * near - (1 - balance) * spread
        gain[picked] = -np.inf
        picked.append(int(np.argmax(gain)))
    return picked


def distinct(texts: Sequence[str], *, same: float = SAME) -> list[int]:
    """Places of the texts to keep when each one too like an earlier kept one is dropped."""
    matrix = similarities(texts)
    kept: list[int] = []
    for place in range(len(texts)):
        if all(matrix[place, other] < same for other in kept):
            kept.append(place)
    return kept
