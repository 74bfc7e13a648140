"""How bad an anomaly is: the four severities of alerts, from the surprise above the limit."""

from __future__ import annotations

from enum import StrEnum

# Each step is ten times less likely than the one before.
STEPS = (1.0, 2.0, 4.0)


class Severity(StrEnum):
    """As everywhere in alerts and incidents."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


def severity(surprise: float, limit: float) -> Severity | None:
    """The severity of a row with this surprise, or None when it stays under the limit.

    ``surprise`` is minus log10 of a probability: 1 more is ten times less likely.
    """
    if surprise < limit:
        return None
    return list(Severity)[sum(surprise - limit >= step for step in STEPS)]
