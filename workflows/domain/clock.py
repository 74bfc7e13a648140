"""The clock of a Gantt view: seconds of a run to places on a line, long idle waits cut short."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# What a cut stretch of waiting takes of the line.
CUT_RATIO = 0.06
_STEPS = (1.0, 2.0, 5.0)
# Above a minute people count in these.
_LONG = (60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400)


@dataclass(frozen=True, slots=True)
class Cut:
    """A stretch in which nothing worked, drawn shorter than it was; seconds from the start."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Clock:
    """Maps seconds from the run's start to 0–1 of the line's width."""

    total: float
    cuts: tuple[Cut, ...] = ()

    def at(self, seconds: float) -> float:
        """The place of a moment, 0–1; moments outside are put on the ends."""
        seconds = min(max(seconds, 0.0), self.total)
        worked = self.total - sum(cut.end - cut.start for cut in self.cuts)
        scale = (1.0 - CUT_RATIO * len(self.cuts)) / worked if worked > 0 else 0.0
        place, before = 0.0, 0.0
        for cut in self.cuts:
            if seconds <= cut.start:
                break
            place += (cut.start - before) * scale
            inside = min(seconds, cut.end) - cut.start
            place += CUT_RATIO * inside / (cut.end - cut.start)
            before = min(seconds, cut.end)
            if seconds <= cut.end:
                return min(place, 1.0)
        return min(place + (seconds - before) * scale, 1.0)


def clock_for(total: float, busy: Sequence[tuple[float, float]], *, cut_over: float = 0.5) -> Clock:
    """A clock of ``total`` seconds on which stretches outside ``busy`` are cut if they are long.

    A stretch is long when it lasts more than ``cut_over`` of all that is busy: a night of
    waiting for an approval should not press ten seconds of work into one pixel.
    """
    total = max(total, 0.001)
    gaps, worked, until = [], 0.0, 0.0
    for start, end in sorted(busy):
        if start > until:
            gaps.append(Cut(until, start))
        worked += max(end - max(start, until), 0.0)
        until = max(until, end)
    if total > until:
        gaps.append(Cut(until, total))
    if worked <= 0:
        return Clock(total)
    return Clock(total, tuple(gap for gap in gaps if gap.end - gap.start > cut_over * worked))


def ticks(clock: Clock, wanted: int = 7) -> list[float]:
    """Round moments for the axis, in seconds from the start, none inside a cut."""
    worked = clock.total - sum(cut.end - cut.start for cut in clock.cuts)
    step = _round_step(worked / max(wanted, 1))
    found = (
        [number * step for number in range(int(clock.total / step) + 1)]
        if (clock.total / step < 10_000)
        else []
    )
    outside = [t for t in found if not any(cut.start < t <= cut.end for cut in clock.cuts)]
    return outside[: 3 * wanted]


def _round_step(least: float) -> float:
    if least > 30:
        return next(
            (float(step) for step in _LONG if step >= least), math.ceil(least / 86_400) * 86_400.0
        )
    power = 10.0 ** math.floor(math.log10(max(least, 1e-3)))
    return next((m * power for m in _STEPS if m * power >= least), 10 * power)
