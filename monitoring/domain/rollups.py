"""Folding measurements into windows, and windows into larger ones, without loss."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.domain.metrics import METRICS, SCOPES, SEPARATOR, Kind
from monitoring.domain.sketches import Sketch, merged

# (scope, key) → metric → what it sums up to.
Windows = dict[tuple[str, str], dict[str, "Stat"]]


@dataclass(frozen=True, slots=True)
class Stat:
    """What one window knows of one metric; ``sketch`` only of a distribution."""

    count: int
    total: float
    sketch: Sketch | None = None

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None

    def percentile(self, q: float) -> float | None:
        """Within 1 % of the true one; None without a sketch or a value."""
        return self.sketch.quantile(q) if self.sketch is not None and self.count else None

    def as_json(self) -> list[Any]:
        """As it lies in a row: count, total, sketch (base64)."""
        if self.sketch is None:
            return [self.count, self.total]
        return [self.count, self.total, base64.b64encode(self.sketch.to_bytes()).decode()]

    @classmethod
    def from_json(cls, value: Sequence[Any]) -> Stat:
        """Read what ``as_json`` wrote."""
        sketch = Sketch.from_bytes(base64.b64decode(value[2])) if len(value) > 2 else None
        return cls(int(value[0]), float(value[1]), sketch)


def merge(stats: Iterable[Stat]) -> Stat:
    """One stat of all of them; of none, the empty one."""
    given = list(stats)
    if len(given) == 1:
        return given[0]
    sketches = [stat.sketch for stat in given if stat.sketch is not None]
    return Stat(
        sum(stat.count for stat in given),
        sum(stat.total for stat in given),
        merged(sketches) if sketches else None,
    )


def keys_of(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """The (scope, key) pairs that a measurement with these labels counts in."""
    return [
        (scope, SEPARATOR.join(labels[name] for name in names))
        for scope, names in SCOPES.items()
        if all(labels.get(name) for name in names)
    ]


def fold(rows: Iterable[tuple[str, Sequence[str], Sequence[float]]]) -> Windows:
    """One window of raw rows: labels (JSON text), metric names and their numbers."""
    by_labels: dict[str, dict[str, list[float]]] = {}
    for labels, names, numbers in rows:
        metrics = by_labels.get(labels)
        if metrics is None:
            metrics = by_labels[labels] = defaultdict(list)
        for name, number in zip(names, numbers, strict=True):
            metrics[name].append(number)
    values: dict[tuple[str, str], dict[str, list[float]]] = {}
    for text, metrics in by_labels.items():
        for place in keys_of(json.loads(text)):
            here = values.setdefault(place, defaultdict(list))
            for name, numbers_ in metrics.items():
                here[name].extend(numbers_)
    return {
        place: {name: stat_of(name, numbers_) for name, numbers_ in metrics.items()}
        for place, metrics in values.items()
    }


def stat_of(name: str, numbers: Sequence[float]) -> Stat:
    """The stat of raw numbers of one metric."""
    metric = METRICS.get(name)
    if metric is not None and metric.kind is Kind.COUNTER:
        return Stat(len(numbers), float(sum(numbers)))
    sketch = Sketch.of(numbers)
    return Stat(sketch.count, sketch.total, sketch)


def join(rows: Iterable[tuple[str, str, Mapping[str, Any]]]) -> Windows:
    """One larger window of smaller ones: scope, key and stats as they lie in rows."""
    gathered: dict[tuple[str, str], dict[str, list[Stat]]] = {}
    for scope, key, stats in rows:
        here = gathered.setdefault((scope, key), defaultdict(list))
        for name, value in stats.items():
            here[name].append(Stat.from_json(value))
    return {
        place: {name: merge(given) for name, given in metrics.items()}
        for place, metrics in gathered.items()
    }
