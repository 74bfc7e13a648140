"""Which version a unit meets: a hash that any language can reproduce, and ranges that only widen.

Source: GrowthBook SDK hashing, version 2 (FNV-1a 32 applied twice, 10,000 buckets). Version 1
is not used: similar seeds gave it correlated assignments.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from config.errors import InvalidInput

BUCKETS = 10_000
Arms = Mapping[str, Sequence[Sequence[int]]]


def fnv1a32(text: str, value: int = 0x811C9DC5) -> int:
    """FNV-1a, 32 bits, over the UTF-8 bytes of ``text``. Source: Fowler, Noll, Vo; RFC 9923.

    ``value`` is the hash so far, to go on from.
    """
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def new_seed() -> str:
    """A seed that nobody can foresee, 32 hexadecimal digits; two of them divide independently."""
    return secrets.token_hex(16)


def bucket_of(seed: str, unit: str) -> int:
    """The bucket, 0 to 9,999, that ``unit`` falls into under ``seed``."""
    return fnv1a32(str(fnv1a32(unit, _after(seed)))) % BUCKETS


# A split's seed stands before every unit: its part of the hash is the same each time.
_after = lru_cache(maxsize=1024)(fnv1a32)


def arm_of(arms: Arms, bucket: int) -> str | None:
    """The version whose ranges hold ``bucket``; None outside all of them."""
    for version, ranges in arms.items():
        if any(start <= bucket < end for start, end in ranges):
            return version
    return None


def passes(gates: Sequence[Mapping[str, Any]], unit: str) -> bool:
    """Whether every gate lets ``unit`` in; a gate is a ``seed`` and the ``ranges`` under it."""
    return all(
        any(start <= bucket_of(gate["seed"], unit) < end for start, end in gate["ranges"])
        for gate in gates
    )


def check_arms(arms: Arms) -> None:
    """Raise InvalidInput unless all ranges are [start, end) within the buckets and disjoint."""
    taken: list[tuple[int, int, str]] = []
    for version, ranges in arms.items():
        for pair in ranges:
            if len(pair) != 2 or not 0 <= pair[0] < pair[1] <= BUCKETS:
                raise InvalidInput(
                    f"arms.{version}",
                    list(pair),
                    f"[start, end) with 0 <= start < end <= {BUCKETS}",
                )
            taken.append((pair[0], pair[1], version))
    taken.sort()
    for (_, end, first), (start, _, second) in pairwise(taken):
        if start < end:
            raise InvalidInput("arms", start, f"{first} and {second} must not share buckets")


def shares(arms: Arms) -> dict[str, float]:
    """Each version's share of all units, as a ratio; what is left meets production."""
    return {
        version: sum(end - start for start, end in ranges) / BUCKETS
        for version, ranges in arms.items()
    }


def reassigned(before: Arms, after: Arms) -> int:
    """How many buckets that had a version in ``before`` have another one in ``after``."""
    return sum(
        1
        for bucket in range(BUCKETS)
        if (old := arm_of(before, bucket)) is not None and arm_of(after, bucket) != old
    )
