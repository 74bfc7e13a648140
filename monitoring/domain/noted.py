"""What is written down: a measurement, and an entry of the audit log."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from config.errors import InvalidInput
from monitoring.domain.metrics import LABELS, METRICS

_LIMITS = {"actor": 120, "action": 80, "target": 200, "session": 80}
_UNPRINTABLE = dict.fromkeys((*range(32), 127), " ")


@dataclass(frozen=True, slots=True)
class Measurement:
    """``numbers`` by metric name, taken at once; ``labels`` from ``domain.metrics.LABELS``.

    A sequence of numbers is so many observations of its metric.

    ``at`` is when it happened (aware); None is now. Raises ValueError for an unknown name, so
    that a slip of the pen does not become a metric that nobody looks at, and InvalidInput for
    NaN or an infinity: one of them would spoil the sums of every window that it falls into.
    """

    numbers: Mapping[str, float | Sequence[float]]
    labels: Mapping[str, str] = field(default_factory=dict)
    at: datetime | None = None

    def __post_init__(self) -> None:
        if not self.numbers.keys() <= METRICS.keys():
            raise ValueError(f"unknown metrics {sorted(self.numbers.keys() - METRICS.keys())}")
        if not self.labels.keys() <= LABELS:
            raise ValueError(f"unknown labels {sorted(self.labels.keys() - LABELS)}")
        for name, value in self.numbers.items():
            for single in (value,) if type(value) is float else _each(value):
                if not math.isfinite(single):
                    limit = "a finite number; leave out what was not measured"
                    raise InvalidInput(name, float(single), limit)

    def as_row(self) -> dict[str, Any]:
        """The columns of a measurement but its id: a name for each number, labels that fit."""
        names, numbers = [], []
        for name, value in self.numbers.items():
            for single in (value,) if type(value) is float else _each(value):
                names.append(name)
                numbers.append(float(single))
        # No longer than a key of a window.
        labels = {name: str(value)[:80] for name, value in self.labels.items() if value}
        return {"at": self.at, "labels": labels, "names": names, "numbers": numbers}


@dataclass(frozen=True, slots=True)
class Audited:
    """One thing that was done, for ``audit_all``.

    ``before_digest`` and ``after_digest`` are hex SHA-256 of what was there, or of an agent
    action's input and output (see ``digest_of``). ``session`` is a request's or conversation's.
    """

    actor: str
    action: str
    target: str = ""
    client_id: UUID | None = None
    user_id: UUID | None = None
    session: str = ""
    before_digest: str = ""
    after_digest: str = ""

    def as_row(self) -> dict[str, Any]:
        """The columns of an entry but its id, each as short as it has to be."""
        row = {name: getattr(self, name) for name in self.__slots__}
        return row | {name: clean(row[name], limit) for name, limit in _LIMITS.items()}


def _each(value: float | Sequence[float]) -> Sequence[float]:
    """One number or several as several; to ask whether it is a sequence is dear."""
    return value if isinstance(value, Sequence) else (value,)


def clean(value: str, limit: int) -> str:
    """A field of an entry: without what could shift its bounds, and not longer than its column."""
    return str(value).translate(_UNPRINTABLE)[:limit]
