"""Stretches of time, and what is left of the past when some of them are taken out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

Span = tuple[datetime, datetime]
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same time as spans that neither touch nor overlap, oldest first."""
    found: list[Span] = []
    for since, until in sorted(spans):
        if found and since <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], until))
        elif since < until:
            found.append((since, until))
    return found


def holds(spans: Sequence[Span], since: datetime, until: datetime) -> bool:
    """Whether one of ``spans`` touches [since, until)."""
    return any(start < until and end > since for start, end in spans)


def clean_past(
    until: datetime, length: timedelta, spans: Sequence[Span], *, furthest: datetime
) -> list[Span]:
    """The last ``length`` before ``until`` outside of ``spans``, in whole hours, oldest first.

    It reaches back to ``furthest`` at most, and holds less where there is less.
    """
    found: list[Span] = []
    left, end = length, until
    for start, stop in reversed(joined((_floor(a), _ceil(b)) for a, b in spans)):
        if left <= timedelta() or end <= furthest:
            break
        since = max(min(stop, end), end - left, furthest)
        if since < end:
            found.append((since, end))
            left -= end - since
        end = min(end, start)
    since = max(end - left, furthest)
    if left > timedelta() and since < end:
        found.append((since, end))
    return found[::-1]


def _floor(at: datetime) -> datetime:
    return at - (at - _EPOCH) % HOUR


def _ceil(at: datetime) -> datetime:
    return _floor(at) + HOUR if (at - _EPOCH) % HOUR else at
