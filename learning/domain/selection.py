"""Which examples a prompt gets: near to the question, and unlike one another.

Maximal marginal relevance: each pick has the best mix of similarity to the question and
distance from what was picked before. Source: Carbonell, Goldstein, SIGIR 1998.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from learning.domain import numeric

# Weight of similarity to the question; the rest is diversity.
BALANCE = 0.7
# Cosine of two texts from which they are the same example told twice.
SAME = 0.95
_NUMBER = re.compile(r"\d+(?:[.,'\u2019\u00a0\u202f]?\d+)*")
_WORD = re.compile(r"[^\W\d_]{2,}")


def similarities(texts: Sequence[str]) -> np.ndarray:
    """Cosines of all pairs, by words and parts of words; texts without any are like nothing."""
    if not texts:
        return np.zeros((0, 0))
    rows = _rows(texts)
    if rows is None:
        return np.eye(len(texts))
    found = np.asarray((rows @ rows.T).toarray())
    np.fill_diagonal(found, 1.0)
    return np.asarray(np.clip(found, 0.0, 1.0))


def _rows(texts: Sequence[str]) -> Any:
    """A unit vector for each text, sparse; None where there is nothing but white space."""
    parts = numeric.texts().TfidfVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True
    )
    try:
        return parts.fit_transform(texts)
    except ValueError:
        return None


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


def copies(texts: Sequence[str], known: Sequence[str], *, same: float = SAME) -> list[bool]:
    """Whether each of ``texts`` is one of ``known`` told again, by the measure of ``distinct``."""
    rows = _rows([*known, *texts]) if known and texts else None
    if rows is None:
        return [False] * len(texts)
    near = rows[len(known) :] @ rows[: len(known)].T
    return [bool(one >= same) for one in near.max(axis=1).toarray().ravel()]


def wording(value: Any) -> Any:
    """``value`` without what two tellings of one question differ in.

    Case, white space, punctuation, and the figures of a sentence. A number that stands alone, as
    the fields of a record do, stays: there the figures are what is asked.
    """
    if isinstance(value, str):
        return _told(value)
    if isinstance(value, Mapping):
        return {str(key): wording(one) for key, one in value.items()}
    return [wording(one) for one in value] if isinstance(value, list | tuple) else value


def _told(text: str) -> str:
    # Two words are a sentence; a date, a code or an amount is none.
    words = _NUMBER.sub("0", text) if len(_WORD.findall(text)) > 1 else text
    kept = "".join(
        " " if unicodedata.category(one)[0] in "PZC" else one
        for one in unicodedata.normalize("NFKC", words).casefold()
    )
    return " ".join(kept.split())
