"""Lexical vectors: texts that share words, word pairs and letter groups point the same way."""

from __future__ import annotations

import hashlib
import math
import re
from array import array
from collections import Counter
from functools import lru_cache
from itertools import pairwise

# Words carry the meaning; pairs their order; letter groups forgive spelling and inflection.
WORD_WEIGHT, PAIR_WEIGHT, LETTERS_WEIGHT = 1.0, 0.5, 0.25
# Words that say nothing about what a text is about.
STOP_WORDS = frozenset(
    "a about all an and any are as at be been but by can do does for from had has have he her "
    "his how i if in into is it its me must my no not of on or our please she should so such tell "
    "than that the their them there these they this those to under us was we were what when "
    "where which who why will with would you your".split()
)
_ENDINGS = ("ations", "ation", "ments", "ment", "ings", "ing", "ies", "ed", "es", "s")


def embed(text: str, dimensions: int) -> array[float]:
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


def stems(text: str) -> list[str]:
    """Content words of ``text``, case folded, endings cut."""
    return [_stem(w) for w in re.findall(r"[^\W_]+", text.casefold()) if w not in STOP_WORDS]


@lru_cache(maxsize=20_000)
def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


@lru_cache(maxsize=65_536)
def _hash(feature: str) -> int:
    return int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest())
