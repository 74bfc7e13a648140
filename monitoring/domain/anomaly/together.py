"""Several metrics of one thing watched together.

Each metric has its own detector; beside them the sum of their surprises has a tail of its own.
So a moment that is a little odd in many metrics is found, though none alone is flagged, and
metrics that always move together do not count twice: their common movement is in that tail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monitoring.domain.anomaly.detector import Detector, Reading, Settings
from monitoring.domain.anomaly.severity import Severity, severity
from monitoring.domain.anomaly.tails import Tail

# One metric alone may not carry the joint surprise: it has its own flag.
MOST_PER_METRIC = 4.0


@dataclass(frozen=True, slots=True)
class Joint:
    """What the metrics say of one moment; ``contributors`` are worst first."""

    surprise: float
    flagged: bool
    severity: Severity | None
    contributors: tuple[str, ...]
    readings: Mapping[str, Reading]


class Together:
    """Detectors of several metrics, fed at the same moments."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._detectors: dict[str, Detector] = {}
        self._tail = Tail(self.settings.memory)
        self._seen = 0
        self._flagged_at = -self.settings.quiet

    def update(self, at_seconds: float, values: Mapping[str, float | None]) -> Joint:
        """Read one moment. A metric may be missing or appear later; it then warms up alone."""
        readings = {}
        for name, value in values.items():
            detector = self._detectors.setdefault(name, Detector(self.settings))
            readings[name] = detector.update(at_seconds, value)
        if not any(r.expected is not None for r in readings.values()):
            return Joint(0.0, False, None, (), readings)  # all of them are warming up
        self._seen += 1
        size = sum(min(r.surprise, MOST_PER_METRIC) for r in readings.values())
        surprise = self._tail.surprise(size)
        self._tail.learn(size, ceiling=self.settings.surprise + self.settings.ceiling)
        limit = self.settings.limit(self._seen)
        loud = self._seen > self.settings.warm_up and surprise >= limit
        rested = self._seen - self._flagged_at >= self.settings.quiet
        if loud and rested:
            self._flagged_at = self._seen
        flagged = any(r.flagged for r in readings.values()) or (loud and rested)
        worst = max([surprise if loud else 0.0, *(r.surprise for r in readings.values())])
        ranked = sorted(readings, key=lambda name: -readings[name].surprise)
        return Joint(
            surprise=surprise,
            flagged=flagged,
            severity=severity(worst, limit) if flagged else None,
            contributors=tuple(n for n in ranked if readings[n].surprise >= 1),
            readings=readings,
        )
