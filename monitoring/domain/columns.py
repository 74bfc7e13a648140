"""Folding many measurements at once, given as columns: the same windows as ``rollups.fold``.

For bulk work (a database that is filled, a history that is brought in); the watch folds rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from monitoring.domain.metrics import METRICS, SCOPES, SEPARATOR, Kind
from monitoring.domain.rollups import Stat, Windows
from monitoring.domain.sketches import Sketch, bucket_keys


@dataclass(frozen=True, slots=True)
class Label:
    """One label of every row as a code into ``names``; an empty name: it has none."""

    codes: np.ndarray
    names: tuple[str, ...]


def fold_columns(labels: Mapping[str, Label], numbers: Mapping[str, np.ndarray]) -> Windows:
    """One window of rows given as columns; NaN: that row did not measure this.

    Equal, bucket for bucket, to ``fold`` over the same rows.
    """
    one = Label(np.zeros(len(next(iter(numbers.values()))), dtype=np.int64), ("all",))
    return fold_columns_by(one, labels, numbers).get("all", {})


def fold_columns_by(
    window: Label, labels: Mapping[str, Label], numbers: Mapping[str, np.ndarray]
) -> dict[str, Windows]:
    """``fold_columns`` for several windows in one pass: by the name that ``window`` gives a row."""
    size = len(next(iter(numbers.values())))
    folded: dict[str, Windows] = {}
    for scope, names in SCOPES.items():
        if all(name in labels for name in names):
            groups, keys = _grouped([window, *(labels[name] for name in names)], size)
            for key, stats in zip(keys, _stats(groups, len(keys), numbers), strict=True):
                if stats:
                    of, _, own = key.partition(SEPARATOR)
                    folded.setdefault(of, {})[scope, own] = stats
    return folded


def _grouped(labels: list[Label], size: int) -> tuple[np.ndarray, list[str]]:
    """A number of each row's group (−1: it takes no part) and the groups' keys."""
    combined, absent = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=bool)
    for label in labels:
        combined = combined * len(label.names) + label.codes
        empty = [place for place, name in enumerate(label.names) if not name]
        absent |= np.isin(label.codes, empty)
    found, groups = np.unique(np.where(absent, -1, combined), return_inverse=True)
    if found.size and found[0] == -1:
        found, groups = found[1:], groups - 1
    return groups, [_key(int(number), labels) for number in found]


def _key(number: int, labels: list[Label]) -> str:
    parts = []
    for label in reversed(labels):
        number, place = divmod(number, len(label.names))
        parts.append(label.names[place])
    return SEPARATOR.join(reversed(parts))


def _stats(
    groups: np.ndarray, count: int, numbers: Mapping[str, np.ndarray]
) -> list[dict[str, Stat]]:
    stats: list[dict[str, Stat]] = [{} for _ in range(count)]
    order = np.argsort(groups, kind="stable")
    order = order[groups[order] >= 0]
    for name, column in numbers.items():
        there = order[~np.isnan(column[order])]
        if not there.size:
            continue
        own, values = groups[there], column[there]
        starts = np.flatnonzero(np.diff(own, prepend=-1))
        totals = np.add.reduceat(values, starts).tolist()
        counts = np.diff(np.append(starts, own.size)).tolist()
        places = own[starts].tolist()
        if METRICS[name].kind is Kind.COUNTER:
            for place, n, total in zip(places, counts, totals, strict=True):
                stats[place][name] = Stat(n, total)
        else:
            sketches = _sketches(values, own, starts, totals, counts)
            for place, sketch in zip(places, sketches, strict=True):
                stats[place][name] = Stat(sketch.count, sketch.total, sketch)
    return stats


def _sketches(
    values: np.ndarray, own: np.ndarray, starts: np.ndarray, totals: list[float],
    counts: list[int],
) -> list[Sketch]:  # fmt: skip
    """A sketch of each run of equal groups; values are 0 or more."""
    keys, positive = bucket_keys(values)
    low = int(keys.min()) if keys.size else 0
    span = int(keys.max()) - low + 1 if keys.size else 1
    rank = np.cumsum(np.diff(own, prepend=own[0]) > 0)
    cells, sizes = np.unique(rank[positive] * span + (keys - low), return_counts=True)
    bounds = np.searchsorted(cells, np.arange(len(starts) + 1) * span).tolist()
    buckets, amounts = (cells % span + low).tolist(), sizes.tolist()
    lows = np.minimum.reduceat(values, starts).tolist()
    highs = np.maximum.reduceat(values, starts).tolist()
    return [
        Sketch.from_buckets(
            dict(zip(buckets[begin:end], amounts[begin:end], strict=True)),
            count=count, total=total, minimum=lowest, maximum=highest,
        )
        for begin, end, count, total, lowest, highest in zip(
            bounds, bounds[1:], counts, totals, lows, highs, strict=False
        )
    ]  # fmt: skip
