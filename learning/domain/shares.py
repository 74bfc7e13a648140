"""Buckets of a bandit's arms as its shares move: only what an arm loses changes hands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Ranges = list[list[int]]


def moved(
    ranges: Mapping[str, Sequence[Sequence[int]]], shares: Mapping[str, float]
) -> dict[str, Ranges]:
    """The arms' buckets, as many in all as before, in ``shares`` (of those buckets, sum 1).

    An arm that grows keeps every bucket it had, one that shrinks gives from its upper end, and each
    keeps one at least. Raises ValueError unless ``shares`` names exactly the arms.
    """
    if set(ranges) != set(shares) or not ranges:
        raise ValueError(f"need a share for each of {sorted(ranges)}, got {sorted(shares)}")
    sizes = _sizes(sum(_size(pairs) for pairs in ranges.values()), shares)
    kept: dict[str, Ranges] = {}
    free: Ranges = []
    for arm, pairs in ranges.items():
        kept[arm], given = _split(pairs, sizes[arm])
        free += given
    free.sort()
    for arm, pairs in kept.items():
        taken, free = _split(free, sizes[arm] - _size(pairs))
        kept[arm] = _merged(pairs + taken)
    return kept


def ratios(ranges: Mapping[str, Sequence[Sequence[int]]]) -> dict[str, float]:
    """Each arm's share of the buckets of all arms."""
    whole = sum(_size(pairs) for pairs in ranges.values())
    return {arm: _size(pairs) / whole for arm, pairs in ranges.items()}


def _sizes(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Whole buckets by the largest remainders, one at least; ties in the arms' order."""
    spare = total - len(shares)
    if spare < 0:
        raise ValueError(f"need a bucket for each of {len(shares)} arms, got {total}")
    exact = {arm: spare * share for arm, share in shares.items()}
    sizes = {arm: 1 + int(value) for arm, value in exact.items()}
    left = total - sum(sizes.values())
    for arm in sorted(exact, key=lambda arm: int(exact[arm]) - exact[arm])[:left]:
        sizes[arm] += 1
    return sizes


def _size(pairs: Sequence[Sequence[int]]) -> int:
    return sum(end - start for start, end in pairs)


def _split(pairs: Sequence[Sequence[int]], size: int) -> tuple[Ranges, Ranges]:
    """The first ``size`` buckets, and what is left."""
    first: Ranges = []
    rest: Ranges = []
    for start, end in sorted(map(list, pairs)):
        middle = min(end, start + max(size, 0))
        size -= middle - start
        if middle > start:
            first.append([start, middle])
        if end > middle:
            rest.append([middle, end])
    return first, rest


def _merged(pairs: Ranges) -> Ranges:
    found: Ranges = []
    for start, end in sorted(pairs):
        if found and found[-1][1] == start:
            found[-1][1] = end
        else:
            found.append([start, end])
    return found
