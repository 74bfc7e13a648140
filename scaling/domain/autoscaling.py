"""How many workers there should be: a policy and an observation in, a decision out."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from scaling.domain.forecast import ArrivalForecaster
from scaling.domain.queueing import slots_for


class Kind(StrEnum):
    """How a policy looks: not at all, at what is busy now, or at what will come."""

    FIXED = "fixed"
    REACTIVE = "reactive"
    PREDICTIVE = "predictive"


@dataclass(frozen=True, slots=True)
class Policy:
    """What an operator declares. A ``share`` of work shall wait at most ``target_wait_seconds``.

    ``slots_per_worker`` pieces of work run in a worker at once; a new worker is ready after
    ``start_delay_seconds``. ``cool_down_seconds`` is how long the need must have been lower
    before workers are stopped; ``tolerance_ratio`` is how much lower, as a share of the present.
    ``target_busy_ratio`` is the share of slots that the reactive kind wants busy.
    """

    name: str = "policy"
    kind: Kind = Kind.PREDICTIVE
    min_workers: int = 1
    max_workers: int = 100
    workers: int = 1
    slots_per_worker: int = 1
    start_delay_seconds: float = 30.0
    interval_seconds: float = 15.0
    target_wait_seconds: float = 5.0
    share: float = 0.95
    cool_down_seconds: float = 300.0
    tolerance_ratio: float = 0.1
    target_busy_ratio: float = 0.7
    season_seconds: float | None = 86_400.0

    def __post_init__(self) -> None:
        if not 0 <= self.min_workers <= self.max_workers or self.max_workers < 1:
            raise ValueError(
                "need 0 <= min_workers <= max_workers and max_workers >= 1, "
                f"got {self.min_workers}, {self.max_workers}"
            )
        if self.slots_per_worker < 1 or self.workers < 1:
            raise ValueError(
                f"need workers and slots_per_worker >= 1, got {self.workers}, "
                f"{self.slots_per_worker}"
            )
        if self.interval_seconds <= 0 or self.start_delay_seconds < 0:
            raise ValueError(
                "need interval_seconds > 0 and start_delay_seconds >= 0, got "
                f"{self.interval_seconds}, {self.start_delay_seconds}"
            )
        if not 0 < self.share < 1 or not 0 < self.target_busy_ratio <= 1:
            raise ValueError(
                "need 0 < share < 1 and 0 < target_busy_ratio <= 1, got "
                f"{self.share}, {self.target_busy_ratio}"
            )
        if self.season_seconds is not None and self.season_seconds <= 0:
            raise ValueError(f"need season_seconds > 0, or none, got {self.season_seconds}")


@dataclass(frozen=True, slots=True)
class Observation:
    """What is seen at the end of an interval. ``workers`` counts ready and starting ones."""

    at_seconds: float
    arrivals: int
    waiting: int
    busy: int
    workers: int
    service_seconds: float


@dataclass(frozen=True, slots=True)
class Decision:
    """How many workers there shall be, and why in words."""

    at_seconds: float
    workers: int
    reason: str


@dataclass(slots=True)
class Autoscaler:
    """A policy with its memory. Ask ``decide`` once an interval, in order of time."""

    policy: Policy
    forecaster: ArrivalForecaster = field(init=False)
    _needs: deque[tuple[float, int]] = field(init=False, default_factory=deque)

    def __post_init__(self) -> None:
        self.forecaster = ArrivalForecaster(season_seconds=self.policy.season_seconds)

    def decide(self, seen: Observation) -> Decision:
        """The number of workers from now on; the same number when nothing is to be done."""
        if self.policy.kind is Kind.FIXED:
            return Decision(seen.at_seconds, self.policy.workers, "fixed")
        slots, reason = self._slots(seen)
        per_worker = self.policy.slots_per_worker
        need = math.ceil(slots / per_worker)
        need = min(self.policy.max_workers, max(self.policy.min_workers, need))
        return self._steady(seen, need, reason)

    def _slots(self, seen: Observation) -> tuple[int, str]:
        p = self.policy
        in_hand = seen.busy + seen.waiting
        if p.kind is Kind.REACTIVE:
            return math.ceil(in_hand / p.target_busy_ratio), f"{in_hand} pieces of work in hand"
        self.forecaster.observe(seen.at_seconds, seen.arrivals, p.interval_seconds)
        ahead = p.start_delay_seconds + p.interval_seconds
        rates = [self.forecaster.ahead(seen.at_seconds, share * ahead) for share in (0.5, 1.0)]
        high = max(rate.high for rate in rates)
        load = high * seen.service_seconds
        coming = slots_for(
            load,
            seen.service_seconds,
            wait_seconds=p.target_wait_seconds,
            share=p.share,
            most=p.max_workers * p.slots_per_worker,
        )
        # What waits already must be gone within the promised wait, beside what comes.
        drain_seconds = max(p.target_wait_seconds, p.interval_seconds)
        backlog = math.ceil(seen.waiting * seen.service_seconds / drain_seconds)
        reason = f"{high:.3g} arrivals/s expected in {ahead:.0f} s"
        return coming + backlog, reason + (f", {seen.waiting} waiting" if backlog else "")

    def _steady(self, seen: Observation, need: int, reason: str) -> Decision:
        """Up at once; down only to the highest need of the cool-down, and not for a trifle."""
        at, now = seen.at_seconds, seen.workers
        self._needs.append((at, need))
        while self._needs[0][0] < at - self.policy.cool_down_seconds:
            self._needs.popleft()
        if need > now:
            return Decision(at, need, reason)
        recent = max(n for _, n in self._needs)
        whole = (
            at - self._needs[0][0] >= self.policy.cool_down_seconds - self.policy.interval_seconds
        )
        least = max(1, math.ceil(self.policy.tolerance_ratio * now))
        if whole and now - recent >= least:
            return Decision(at, recent, f"not needed for {self.policy.cool_down_seconds:.0f} s")
        return Decision(at, now, "enough")
