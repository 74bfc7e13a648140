"""Which chain of steps decided how long a run took, and which of them took the most of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """When a step ended, in seconds from the run's start, and which steps it waited for.

    ``started`` None: it has not begun. A step under way ends at the present. Nothing before
    ``since``, when a person took an ended run up again, is the step's own time.
    """

    key: str
    started: float | None
    ended: float | None
    needs: tuple[str, ...] = ()
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Share:
    """``seconds`` of the run that are owed to one step of the critical path: from the end of
    the step before it, or from when the run was taken up again, to its own end. ``queued`` of
    them it waited for a worker; ``ratio`` is its part of the path."""

    key: str
    seconds: float
    queued: float
    ratio: float


def critical_path(spans: Sequence[Span]) -> list[Share]:
    """The path from the first step to the one that ended last, each step's share of it.

    Goes back from the last end, each time to the need that ended last: without any step of this
    path the run would have ended sooner. Steps that never began are no part of it. Ties go to
    the earlier in ``spans``. Empty if nothing has begun.

    Source: Kelley and Walker, "Critical-Path Planning and Scheduling", 1959, on actual times.
    """
    begun = {s.key: s for s in spans if s.started is not None and s.ended is not None}
    if not begun:
        return []
    order = {span.key: place for place, span in enumerate(spans)}

    def latest(keys: Sequence[str]) -> str | None:
        known = [key for key in keys if key in begun]
        return max(known, key=lambda key: (_end(begun, key), -order[key]), default=None)

    path: list[str] = []
    at = latest(list(begun))
    while at is not None and at not in path:
        path.append(at)
        at = latest(begun[at].needs)
    path.reverse()
    return _shares(path, begun)


def _end(begun: Mapping[str, Span], key: str) -> float:
    ended = begun[key].ended
    return 0.0 if ended is None else ended


def _shares(path: Sequence[str], begun: Mapping[str, Span]) -> list[Share]:
    before = 0.0
    found: list[tuple[str, float, float]] = []
    for key in path:
        before = max(before, begun[key].since)
        end = max(_end(begun, key), before)
        started = begun[key].started or 0.0
        found.append((key, end - before, min(max(started - before, 0.0), end - before)))
        before = end
    total = sum(seconds for _, seconds, _ in found)
    return [
        Share(key, seconds, queued, seconds / total if total > 0 else 0.0)
        for key, seconds, queued in found
    ]


def bottleneck(path: Sequence[Share], *, at_least: float = 0.25) -> Share | None:
    """The step with the largest share of the path; None if no share reaches ``at_least``.

    A path of one step has no bottleneck: there is nothing to compare it with.
    """
    if len(path) < 2:
        return None
    longest = max(path, key=lambda share: share.seconds)
    return longest if longest.ratio >= at_least and longest.seconds > 0 else None
