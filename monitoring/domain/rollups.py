"""Folding measurements into windows, and windows into larger ones, without loss."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from monitoring.domain.metrics import METRICS, SCOPES, SEPARATOR, Kind
from monitoring.domain.sketches import Sketch, merged, united

# (scope, key) → metric → what it sums up to.
Windows = dict[tuple[str, str], dict[str, "Stat"]]


class Stat:
    """What one window knows of one metric; ``sketch`` only of a distribution.

    A sketch is kept as it lies in its row until somebody asks for it: most pages add up counts,
    and a percentile of many windows is read from all of them in one pass.
    """

    __slots__ = ("_packed", "_sketch", "count", "total")

    def __init__(
        self, count: int, total: float, sketch: Sketch | None = None,
        packed: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.count, self.total = count, total
        self._sketch, self._packed = sketch, packed

    @property
    def sketch(self) -> Sketch | None:
        """Raises ValueError if a row's sketch is cut short."""
        if self._packed:
            read = united([base64.b64decode(text) for text in self._packed])
            self._sketch = read if self._sketch is None else merged((self._sketch, read))
            self._packed = ()
        return self._sketch

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None

    def percentile(self, q: float) -> float | None:
        """Within 1 % of the true one; None without a sketch or a value."""
        if not self.count:
            return None
        sketch = self.sketch
        return None if sketch is None else sketch.quantile(q)

    def as_json(self) -> list[Any]:
        """As it lies in a row: count, total, sketch (base64)."""
        if self._sketch is None and len(self._packed) == 1:
            return [self.count, self.total, self._packed[0]]
        sketch = self.sketch
        if sketch is None:
            return [self.count, self.total]
        return [self.count, self.total, base64.b64encode(sketch.to_bytes()).decode()]

    @classmethod
    def from_json(cls, value: Sequence[Any]) -> Stat:
        """Read what ``as_json`` wrote."""
        return cls(int(value[0]), float(value[1]), None, tuple(value[2:3]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stat):
            return NotImplemented
        mine, theirs = (self.count, self.total), (other.count, other.total)
        return mine == theirs and self.sketch == other.sketch

    __hash__ = None  # type: ignore[assignment]  # a sketch is mutable

    def __repr__(self) -> str:
        return f"Stat(count={self.count}, total={self.total})"


def merge(stats: Iterable[Stat]) -> Stat:
    """One stat of all of them; of none, the empty one."""
    given = list(stats)
    if len(given) == 1:
        return given[0]
    sketches = [stat._sketch for stat in given if stat._sketch is not None]
    return Stat(
        sum(stat.count for stat in given),
        sum(stat.total for stat in given),
        merged(sketches) if sketches else None,
        tuple(text for stat in given for text in stat._packed),
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
