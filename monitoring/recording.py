"""Taking measurements: one statement on the caller's path, whatever is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from config.access.ids import uuid7
from monitoring.domain.metrics import LABELS, METRICS
from monitoring.writing import execute


@dataclass(frozen=True, slots=True)
class Measurement:
    """``numbers`` by metric name, taken at once; ``labels`` from ``domain.metrics.LABELS``.

    A sequence of numbers is so many observations of its metric.

    ``at`` is when it happened (aware); None is now. Raises ValueError for an unknown name, so
    that a slip of the pen does not become a metric that nobody looks at.
    """

    numbers: Mapping[str, float | Sequence[float]]
    labels: Mapping[str, str] = field(default_factory=dict)
    at: datetime | None = None

    def __post_init__(self) -> None:
        if not self.numbers.keys() <= METRICS.keys():
            raise ValueError(f"unknown metrics {sorted(self.numbers.keys() - METRICS.keys())}")
        if not self.labels.keys() <= LABELS:
            raise ValueError(f"unknown labels {sorted(self.labels.keys() - LABELS)}")


_ROW = "(%(id{0})s, coalesce(%(at{0})s, now()), %(labels{0})s, %(names{0})s, %(numbers{0})s)"


def record(measurements: Sequence[Measurement]) -> None:
    """Write all of them in one statement, in the caller's transaction."""
    if not measurements:
        return
    values: dict[str, Any] = {}
    for number, one in enumerate(measurements):
        values[f"id{number}"] = uuid7()
        values[f"at{number}"] = one.at
        labels = {name: str(value)[:80] for name, value in one.labels.items() if value}
        values[f"labels{number}"] = Jsonb(labels)
        names, numbers = _flat(one.numbers)
        values[f"names{number}"], values[f"numbers{number}"] = names, numbers
    rows = ", ".join(_ROW.format(number) for number in range(len(measurements)))
    execute(
        "INSERT INTO monitoring_measurement (id, at, labels, names, numbers) VALUES " + rows,  # noqa: S608
        values,
    )


def _flat(given: Mapping[str, float | Sequence[float]]) -> tuple[list[str], list[float]]:
    names, numbers = [], []
    for name, value in given.items():
        for single in value if isinstance(value, Sequence) else (value,):
            names.append(name)
            numbers.append(float(single))
    return names, numbers
