"""A hash chain over entries: what each adds, and where it is broken."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

SIZE = 32
GENESIS = bytes(SIZE)


@dataclass(frozen=True, slots=True)
class Fault:
    """One place where the record and the chain disagree. ``sequence`` counts from 1."""

    kind: str  # deleted | tampered | reordered | truncated | unsealed | forged
    sequence: int
    entry_id: str
    detail: str


def link(previous: bytes, content: str) -> bytes:
    """The chain's digest after one more entry (SHA-256 of the digest before and the content)."""
    return hashlib.sha256(previous + content.encode()).digest()


def extend(previous: bytes, contents: Iterable[str]) -> bytes:
    """The digests after each of ``contents``, one behind the other."""
    out = bytearray()
    for content in contents:
        previous = hashlib.sha256(previous + content.encode()).digest()
        out += previous
    return bytes(out)


def check_batch(
    previous: bytes,
    first_sequence: int,
    ids: Sequence[str],
    digests: bytes,
    contents: Mapping[str, str],
) -> list[Fault]:
    """The faults of one sealed batch, given the entries' contents as they are now.

    The fast way recomputes the whole batch at once; only a batch that differs is looked at entry
    by entry. After a fault the chain goes on from the sealed digest, so each fault is told once.
    """
    if len(digests) != SIZE * len(ids):
        return [Fault("forged", first_sequence, ids[0] if ids else "", "the seal's size is wrong")]
    try:
        if extend(previous, map(contents.__getitem__, ids)) == digests:
            return []
    except KeyError:
        pass
    return _faults(previous, first_sequence, ids, digests, contents)


def _faults(
    previous: bytes,
    first_sequence: int,
    ids: Sequence[str],
    digests: bytes,
    contents: Mapping[str, str],
) -> list[Fault]:
    faults = []
    by_place = [digests[i * SIZE : (i + 1) * SIZE] for i in range(len(ids))]
    for index, (entry_id, sealed) in enumerate(zip(ids, by_place, strict=True)):
        content = contents.get(entry_id)
        if content is None:
            detail = "the entry is gone"
            faults.append(Fault("deleted", first_sequence + index, entry_id, detail))
        elif link(previous, content) != sealed:
            elsewhere = any(link(previous, other) == sealed for other in contents.values())
            kind = "reordered" if elsewhere else "tampered"
            detail = "another entry was sealed here" if elsewhere else "it is not what was sealed"
            faults.append(Fault(kind, first_sequence + index, entry_id, detail))
        previous = sealed
    return faults
