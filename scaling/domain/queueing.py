"""How long work waits for a free slot, and how many slots keep a promise about it.

The model is M/M/c: arrivals at random, service times exponential. Times are in seconds, ``load``
is in erlangs (arrivals a second times seconds of service).
Sources: Erlang, 1917; Halfin, Whitt, "Heavy-Traffic Limits for Queues with Many Exponential
Servers", Operations Research 29(3), 1981 (square-root staffing).
"""

from __future__ import annotations

import math


def wait_probability(slots: int, load: float) -> float:
    """Erlang C: the chance that an arrival finds all ``slots`` busy; 1 when overloaded.

    Raises ValueError if ``slots`` < 1 or ``load`` < 0.
    """
    if slots < 1 or not load >= 0:
        raise ValueError(f"need slots >= 1 and load >= 0, got {slots}, {load}")
    if load >= slots:
        return 1.0
    blocking = 1.0  # Erlang B by its recursion, which doesn't overflow as factorials do
    for n in range(1, slots + 1):
        blocking = load * blocking / (n + load * blocking)
    return slots * blocking / (slots - load * (1 - blocking))


def mean_wait_seconds(slots: int, load: float, service_seconds: float) -> float:
    """The mean wait of all arrivals; infinite when overloaded."""
    if load >= slots:
        return math.inf
    return wait_probability(slots, load) * service_seconds / (slots - load)


def wait_quantile_seconds(slots: int, load: float, service_seconds: float, share: float) -> float:
    """The wait that a ``share`` (0 to 1) of all arrivals stays under."""
    if not 0 <= share < 1:
        raise ValueError(f"need a share in [0, 1), got {share}")
    if load >= slots:
        return math.inf
    chance = wait_probability(slots, load)
    if chance <= 1 - share:
        return 0.0
    return math.log(chance / (1 - share)) * service_seconds / (slots - load)


def slots_for(
    load: float, service_seconds: float, *, wait_seconds: float, share: float, most: int
) -> int:
    """The fewest slots with which a ``share`` of arrivals waits at most ``wait_seconds``.

    Starts at the square-root rule and walks; never over ``most``.
    """
    if most < 1:
        raise ValueError(f"need most >= 1, got {most}")
    slots = min(most, max(1, math.floor(load) + 1))

    def kept(n: int) -> bool:
        return wait_quantile_seconds(n, load, service_seconds, share) <= wait_seconds

    if not kept(slots):
        slots = min(most, max(slots, square_root_slots(load)))
        while slots < most and not kept(slots):
            slots += 1
        while slots > 1 and kept(slots - 1):
            slots -= 1
    return slots


def square_root_slots(load: float, *, headroom: float = 1.0) -> int:
    """``load`` plus ``headroom`` times its square root: the spare grows slower than the load."""
    return max(1, math.ceil(load + headroom * math.sqrt(max(load, 0.0))))
