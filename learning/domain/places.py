"""Room among buckets: ranges that nobody has taken yet."""

from __future__ import annotations

from collections.abc import Sequence


def find_room(used: Sequence[Sequence[int]], wanted: int, buckets: int) -> list[list[int]] | None:
    """Disjoint ranges of ``wanted`` buckets in all that none of ``used`` holds; None if too few.

    The lowest ones, so that what is left stays in one piece where it can. Raises ValueError
    unless 0 < wanted.
    """
    if wanted <= 0:
        raise ValueError(f"need a bucket or more, got {wanted}")
    found: list[list[int]] = []
    place = 0
    for start, end in [*sorted((pair[0], pair[1]) for pair in used), (buckets, buckets)]:
        if start > place and wanted > 0:
            size = min(wanted, start - place)
            found.append([place, place + size])
            wanted -= size
        place = max(place, end)
    return None if wanted > 0 else found
