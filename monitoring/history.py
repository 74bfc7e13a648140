"""What a rule is judged against: its own past, without incidents and experiments.

What happened while something was wrong, or while versions were compared on live traffic, is not
what usually happens. A baseline leaves it out and reaches further back instead; a series has a
gap there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitoring import periods, queries
from monitoring.domain.periods import Span, clean_past, holds
from monitoring.domain.rollups import Stat, merge
from monitoring.domain.rules import usual_total
from monitoring.models import AlertRule

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# A baseline moves slowly and costs the most to read.
KEPT_SECONDS = 600.0
# Series that are read together: a read for each key costs seconds with a thousand of them, and
# all of them together take memory.
AT_ONCE = 100
# How many times its length a baseline may reach back to find so much that is clean.
REACH = 4
Stats = Mapping[str, Stat]


@dataclass(frozen=True, slots=True)
class Past:
    """What was measured of one key, and over how many seconds of its past."""

    stats: Stats
    seconds: float


_baselines: dict[str, tuple[float, dict[str, Past]]] = {}


def baseline(rule: AlertRule, until: datetime) -> dict[str, Past]:
    """By key: ``baseline_seconds`` of clean past before ``until``, as far as there is so much."""
    kept_until, past = _baselines.get(str(rule.pk), (0.0, {}))
    if kept_until < time.monotonic():
        past = _read_baseline(rule, until.replace(minute=0, second=0, microsecond=0))
        _baselines[str(rule.pk)] = (time.monotonic() + KEPT_SECONDS, past)
    return past


def forget() -> None:
    """Read baselines anew at the next evaluation."""
    _baselines.clear()


def _read_baseline(rule: AlertRule, until: datetime) -> dict[str, Past]:
    length = timedelta(seconds=rule.baseline_seconds)
    names = _names(rule)
    keys = [rule.key] if rule.key else None
    whole = queries.totals(names, scope=rule.scope, since=until - length, until=until, keys=keys)
    began = _began(rule, until - length, until) if usual_total(rule.statistic) else {}
    past = {
        key: Past(stats, (until - max(began.get(key, until - length), until - length))
                  .total_seconds())
        for key, stats in whole.items()
    }  # fmt: skip
    furthest = until - REACH * length
    out = periods.left_out(rule.scope, since=furthest, until=until)
    spans_of = {key: out.of(key) for key in whole}
    touched = [
        key for key, spans in spans_of.items() if any(end > until - length for _, end in spans)
    ]
    if touched and usual_total(rule.statistic):
        began |= _began(rule, furthest, until - length)
    for key in touched:
        stretches = [
            (max(since, began.get(key, furthest)), end)
            for since, end in clean_past(until, length, spans_of[key], furthest=furthest)
            if end > began.get(key, furthest)
        ]
        stats, seconds = _together(rule, names, key, stretches)
        if stats:  # else there is no clean past: what there is says more than nothing
            past[key] = Past(stats, seconds)
    return past


def _together(
    rule: AlertRule, names: list[str], key: str, stretches: list[Span]
) -> tuple[Stats, float]:
    found = [
        part[key]
        for since, until in stretches
        if key in (part := queries.totals(names, scope=rule.scope, since=since, until=until,
                                          keys=[key]))
    ]  # fmt: skip
    seconds = sum((until - since).total_seconds() for since, until in stretches)
    stats = {
        name: merge(one[name] for one in found if name in one)
        for name in {name for one in found for name in one}
    }
    return stats, seconds


def _began(rule: AlertRule, since: datetime, until: datetime) -> dict[str, datetime]:
    """When each key was first measured in the stretch: a young one has a short past."""
    step = HOUR if until - since <= 7 * DAY else DAY
    found = queries.courses(rule.denominator or rule.metric, scope=rule.scope, since=since,
                            until=until, step=step)  # fmt: skip
    first = since - (since - datetime(2000, 1, 1, tzinfo=since.tzinfo)) % step
    return {
        key: first + step * next(n for n, value in enumerate(course) if value is not None)
        for key, course in found.items()
    }


def series(
    rule: AlertRule, keys: Sequence[str], *, since: datetime, until: datetime, step: timedelta,
    recent: int,
) -> Iterator[tuple[str, list[float], list[dict[str, Stat]]]]:  # fmt: skip
    """Each key, times (seconds) and what was measured in each step, from the first that has any.

    Steps of incidents and experiments are empty, but for the last ``recent``: those are judged.
    """
    names = _names(rule)
    out = periods.left_out(rule.scope, since=since, until=until)
    for begin in range(0, len(keys), AT_ONCE):
        some = keys[begin : begin + AT_ONCE]
        grid = queries.grid(names, scope=rule.scope, since=since, until=until, step=step, keys=some)
        times = [start.timestamp() for start in grid.starts]
        judged = len(times) - recent
        for key in some:
            cells, spans = grid.cells.get(key, []), out.of(key)
            kept = [
                {} if place < judged and cell and holds(spans, start, start + step) else cell
                for place, (start, cell) in enumerate(zip(grid.starts, cells, strict=bool(cells)))
            ]
            first = next((place for place, cell in enumerate(kept) if cell), len(times))
            yield key, times[first:], kept[first:]


def _names(rule: AlertRule) -> list[str]:
    further = [one[part] for one in rule.beside for part in ("metric", "denominator")
               if one.get(part)]  # fmt: skip
    return sorted({name for name in (rule.metric, rule.denominator, *further) if name})
