"""Splitting examples and cases for good: the same one lands on the same side every time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

Item = TypeVar("Item")


def digest_of(value: Any) -> str:
    """Hex SHA-256 of ``value`` as JSON; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def share_of(key: object, *, seed: str) -> float:
    """A number in [0, 1) that depends on ``key`` and ``seed`` only."""
    digest = hashlib.sha256(f"{seed}\x1f{key}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def split(
    items: Iterable[Item], *, key: Callable[[Item], Hashable], held_out_ratio: float, seed: str
) -> tuple[list[Item], list[Item]]:
    """(kept, held out). Items of one key stay together, so nothing leaks across.

    Exactly ``round(keys × ratio)`` keys are held out, at least one of two or more when the ratio
    is above 0. Raises ValueError outside [0, 1).
    """
    if not 0 <= held_out_ratio < 1:
        raise ValueError(f"need 0 <= held_out_ratio < 1, got {held_out_ratio}")
    found = list(items)
    keys = sorted({key(item) for item in found}, key=lambda k: share_of(k, seed=seed))
    count = round(len(keys) * held_out_ratio)
    if held_out_ratio > 0 and len(keys) > 1:
        count = min(max(count, 1), len(keys) - 1)
    out = set(keys[:count])
    return [i for i in found if key(i) not in out], [i for i in found if key(i) in out]
