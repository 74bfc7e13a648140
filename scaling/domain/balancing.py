"""Which of several equal places gets the next piece of work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Weight of the newest latency in the running mean.
LATENCY_MEMORY = 0.2
# Each recent failure makes a place look so much slower.
FAILURE_PENALTY = 4.0


@dataclass(frozen=True, slots=True)
class Place:
    """A place that takes work: an endpoint, a queue, a region.

    ``weight`` is its capacity relative to others; ``latency_seconds`` a running mean (0 when
    unknown: a new place is tried); ``failure_ratio`` the recent share of failures (0 to 1).
    """

    name: str
    in_flight: int = 0
    weight: float = 1.0
    latency_seconds: float = 0.0
    failure_ratio: float = 0.0
    open: bool = True
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.weight <= 0 or self.in_flight < 0 or not 0 <= self.failure_ratio <= 1:
            raise ValueError(
                f"need weight > 0, in_flight >= 0 and failure_ratio in 0..1, got {self}"
            )

    @property
    def cost(self) -> float:
        """How long the next piece would take here, roughly: lower is better."""
        latency = max(self.latency_seconds, 1e-3)
        penalty = 1 + FAILURE_PENALTY * self.failure_ratio
        return latency * penalty * (self.in_flight + 1) / self.weight

    @property
    def free(self) -> bool:
        """Whether the place takes work: its breaker closed and its limit not reached."""
        return self.open and (self.limit is None or self.in_flight < self.limit)


def choose(places: Sequence[Place], first: float, second: float) -> Place | None:
    """The better of two places drawn at random; None when no place is free.

    Two draws, because always taking the best one sends every caller to the same place while
    its number is stale. ``first`` and ``second`` are the caller's draws from [0, 1).
    Source: Mitzenmacher, "The Power of Two Choices", IEEE TPDS 12(10), 2001.
    """
    free = [place for place in places if place.free]
    if len(free) < 2:
        return free[0] if free else None
    one = int(first * len(free))
    other = int(second * (len(free) - 1))
    other += other >= one
    return min(free[one], free[other], key=lambda place: place.cost)


def updated_latency(mean_seconds: float, seconds: float) -> float:
    """The running mean after one more observation; the first one is taken as it is."""
    if mean_seconds == 0:
        return seconds
    return mean_seconds + LATENCY_MEMORY * (seconds - mean_seconds)
