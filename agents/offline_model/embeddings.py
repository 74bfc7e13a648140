"""Lexical vectors: texts that share words, word pairs and letter groups point the same way."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from array import array
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from agents.offline_model.passages import stems

DEFAULT_DIMENSIONS = 1536
MAX_DIMENSIONS = 4096
# Words carry the meaning; pairs their order; letter groups forgive spelling and inflection.
WORD_WEIGHT, PAIR_WEIGHT, LETTERS_WEIGHT = 1.0, 0.5, 0.25


def embed(text: str, dimensions: int = DEFAULT_DIMENSIONS) -> array[float]:
    """A unit vector for ``text``; a text without words gives the first axis.

    Signed feature hashing (Weinberger et al., "Feature Hashing for Large Scale Multitask
    Learning", ICML 2009) of stems, stem pairs and letter trigrams, with sublinear counts.
    """
    vector = array("f", bytes(4 * dimensions))
    words = stems(text) or re.findall(r"[^\W_]+", text.casefold())
    letters = (f"{word}_"[i : i + 3] for word in words for i in range(len(word) - 1))
    for features, weight in (
        (Counter(words), WORD_WEIGHT),
        (Counter(f"{a} {b}" for a, b in pairwise(words)), PAIR_WEIGHT),
        (Counter(letters), LETTERS_WEIGHT),
    ):
        for feature, times in features.items():
            place = _hash(feature)
            value = weight * (1 + math.log(times))
            vector[(place >> 1) % dimensions] += value if place & 1 else -value
    length = math.sqrt(sum(value * value for value in vector if value))
    if length == 0:
        vector[0] = 1.0
        return vector
    for place, value in enumerate(vector):
        if value:
            vector[place] = value / length
    return vector


def as_base64(vector: Sequence[float]) -> str:
    """Little-endian 32-bit floats in base64, as clients ask for by default."""
    return base64.b64encode(array("f", vector).tobytes()).decode()


@lru_cache(maxsize=65_536)
def _hash(feature: str) -> int:
    return int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest())
