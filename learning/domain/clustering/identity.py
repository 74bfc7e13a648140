"""Ids of templates that stay from week to week, though templates grow.

An id is the digest of the template's words when it was first seen. Next week's template takes
over the id of the one it equals, else of the one it has evolved from: a word that was constant
in few messages turns out to be a variable in many.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from learning.domain.clustering.masking import MASK

# Share of equal words from which a template is the old one, evolved.
MIN_KINSHIP = 0.7


def fingerprint(words: Sequence[str]) -> str:
    """Sixteen hexadecimal digits that depend on the words only."""
    return hashlib.sha256("\x1f".join(words).encode()).hexdigest()[:16]


def carried_ids(
    templates: Sequence[Sequence[str]], known: Mapping[str, Sequence[str]]
) -> list[str]:
    """An id for each template: of a known one where it is the same or has evolved, else new.

    ``known`` maps ids to the words last seen under them. No id is given twice; equal templates
    come first, then the closest pairs.
    """
    ids: list[str | None] = [None] * len(templates)
    free = {key: tuple(words) for key, words in known.items()}
    by_words = {words: key for key, words in free.items()}
    for index, words in enumerate(templates):
        key = by_words.get(tuple(words))
        if key is not None and key in free:
            ids[index] = key
            del free[key]
    pairs = sorted(
        (-kinship(words, old), key, index)
        for index, words in enumerate(templates)
        if ids[index] is None
        for key, old in free.items()
    )
    for closeness, key, index in pairs:
        if -closeness >= MIN_KINSHIP and ids[index] is None and key in free:
            ids[index] = key
            del free[key]
    taken = {key for key in ids if key} | set(known)
    return [key or _fresh(words, taken) for key, words in zip(ids, templates, strict=True)]


def kinship(one: Sequence[str], other: Sequence[str]) -> float:
    """0 to 1: share of the places where the two agree; a variable agrees with anything.

    Templates of different length, or with no constant word in common, are strangers (0).
    """
    if len(one) != len(other):
        return 0.0
    agreed = [_agree(a, b) for a, b in zip(one, other, strict=True)]
    constant = any(a == b and not MASK.search(a) for a, b in zip(one, other, strict=True))
    return sum(agreed) / len(agreed) if constant else 0.0


def _agree(one: str, other: str) -> bool:
    return one == other or "<*>" in (one, other)


def _fresh(words: Sequence[str], taken: set[str]) -> str:
    key, salt = fingerprint(words), 0
    while key in taken:
        salt += 1
        key = fingerprint([*words, str(salt)])
    taken.add(key)
    return key
