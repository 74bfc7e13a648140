"""A recorded trace of arrivals run through scaling policies: what would have waited, at what cost.

Work is taken first come, first served. A worker costs from the moment it is ordered until it has
stopped; one that is stopped finishes what it runs. Policies see only what has already happened.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from scaling.domain.autoscaling import Autoscaler, Decision, Kind, Observation, Policy

# The newest service time's weight in the estimate that policies see.
SERVICE_MEMORY = 0.02
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class Arrival:
    """A piece of work: when it came and how long a slot is busy with it, in seconds."""

    at_seconds: float
    service_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one policy did with a trace. ``delays`` are seconds in the queue, by arrival."""

    policy: Policy
    delays: np.ndarray
    worker_seconds: float
    busy_seconds: float
    span_seconds: float
    most_workers: int
    decisions: tuple[Decision, ...]


class _Pool:
    """Slots of workers that start late and stop when they are done."""

    def __init__(self, policy: Policy, workers: int, at: float) -> None:
        self.policy = policy
        self.idle = workers * policy.slots_per_worker
        self.busy: list[float] = []  # when each busy slot becomes free
        self.starting: list[float] = []  # when each ordered worker becomes ready
        self.leaving = 0  # busy slots to be given up as they become free
        self.workers = workers  # ready and starting, without the leaving
        self.most = workers
        self._paid_slots = workers * policy.slots_per_worker
        self._last = at
        self.slot_seconds = 0.0

    def advance(self, at: float) -> None:
        """Bring ready workers and free slots up to ``at`` and pay for the time."""
        while True:
            ready = self.starting[0] if self.starting else math.inf
            free = self.busy[0] if self.busy else math.inf
            now = min(ready, free)
            if now > at:
                break
            self._pay(now)
            if ready <= free:
                heapq.heappop(self.starting)
                self.idle += self.policy.slots_per_worker
            else:
                heapq.heappop(self.busy)
                self._free()
        self._pay(at)

    def next_change(self) -> float:
        """When the next slot becomes free or the next worker ready."""
        return min(
            self.starting[0] if self.starting else math.inf,
            self.busy[0] if self.busy else math.inf,
        )

    def take(self, at: float, service_seconds: float) -> None:
        self.idle -= 1
        heapq.heappush(self.busy, at + service_seconds)

    def resize(self, at: float, workers: int) -> None:
        change = workers - self.workers
        per = self.policy.slots_per_worker
        for _ in range(max(0, change)):
            heapq.heappush(self.starting, at + self.policy.start_delay_seconds)
            self._paid_slots += per
        for _ in range(max(0, -change)):
            if self.starting:  # the one that is not ready yet goes first
                self.starting.remove(max(self.starting))
                heapq.heapify(self.starting)
                self._paid_slots -= per
                continue
            at_once = min(self.idle, per)
            self.idle -= at_once
            self._paid_slots -= at_once
            self.leaving += per - at_once
        self.workers = workers
        self.most = max(self.most, workers)

    def _free(self) -> None:
        if self.leaving:
            self.leaving -= 1
            self._paid_slots -= 1
        else:
            self.idle += 1

    def _pay(self, at: float) -> None:
        self.slot_seconds += self._paid_slots * (at - self._last)
        self._last = at


def simulate(arrivals: Sequence[Arrival], policy: Policy) -> Outcome:
    """Run the trace (sorted by time) through one policy; deterministic.

    Raises ValueError on an empty trace. A queue that no worker will ever serve (a fixed policy
    of too few workers, say) is drained after the last arrival with the workers of that moment.
    """
    if not arrivals:
        raise ValueError("need at least one arrival")
    start = arrivals[0].at_seconds
    first = policy.workers if policy.kind is Kind.FIXED else max(1, policy.min_workers)
    pool, scaler = _Pool(policy, first, start), Autoscaler(policy)
    delays = np.zeros(len(arrivals))
    waiting: deque[int] = deque()
    decisions: list[Decision] = []
    service, index, since = arrivals[0].service_seconds, 0, 0
    tick = start + policy.interval_seconds
    while index < len(arrivals) or waiting:
        coming = arrivals[index].at_seconds if index < len(arrivals) else math.inf
        change = pool.next_change() if waiting else math.inf
        now = min(coming, change, tick)
        pool.advance(now)
        if now == coming:
            waiting.append(index)
            service += SERVICE_MEMORY * (arrivals[index].service_seconds - service)
            index, since = index + 1, since + 1
        _serve(pool, waiting, arrivals, delays, now)
        if now == tick:
            seen = Observation(now, since, len(waiting), len(pool.busy), pool.workers, service)
            decisions += _resized(pool, scaler.decide(seen))
            since, tick = 0, tick + policy.interval_seconds
    pool.advance(end := max([*pool.busy, arrivals[-1].at_seconds]))
    return Outcome(
        policy=policy,
        delays=delays,
        worker_seconds=pool.slot_seconds / policy.slots_per_worker,
        busy_seconds=sum(a.service_seconds for a in arrivals),
        span_seconds=end - start,
        most_workers=pool.most,
        decisions=tuple(decisions),
    )


def compare(arrivals: Sequence[Arrival], policy: Policy) -> list[Outcome]:
    """The policy beside a reactive one and a fixed one that may cost as much as it."""
    mine = simulate(arrivals, replace(policy, name=policy.name or policy.kind))
    same_money = max(1, round(mine.worker_seconds / max(mine.span_seconds, 1e-9)))
    if policy.kind is Kind.FIXED:
        same_money = policy.workers
    others = [
        replace(policy, name="fixed", kind=Kind.FIXED, workers=same_money),
        replace(policy, name="reactive", kind=Kind.REACTIVE),
    ]
    return [mine, *(simulate(arrivals, other) for other in others)]


def summary(outcome: Outcome, price_per_worker_hour_usd: Decimal | None) -> dict[str, Any]:
    """The outcome as a document: seconds as numbers, money as a string, decisions in order."""
    policy, delays = outcome.policy, outcome.delays
    slot_seconds = outcome.worker_seconds * policy.slots_per_worker
    usd = None
    if price_per_worker_hour_usd is not None:
        hours = Decimal(repr(round(outcome.worker_seconds, 3))) / 3600
        usd = str((hours * price_per_worker_hour_usd).quantize(Decimal("0.000001")))
    return {
        "policy": policy.name,
        "kind": str(policy.kind),
        "queueing_delay_seconds": {
            "mean": round(float(delays.mean()), 6),
            **{k: round(float(np.quantile(delays, q)), 6) for k, q in QUANTILES.items()},
            "max": round(float(delays.max()), 6),
        },
        "within_target_ratio": round(float((delays <= policy.target_wait_seconds).mean()), 6),
        "cost": {"worker_seconds": round(outcome.worker_seconds, 3), "usd": usd},
        "workers": {
            "mean": round(outcome.worker_seconds / max(outcome.span_seconds, 1e-9), 3),
            "max": outcome.most_workers,
        },
        "busy_ratio": round(outcome.busy_seconds / max(slot_seconds, 1e-9), 4),
        "decisions": [
            {"at_seconds": round(d.at_seconds, 3), "workers": d.workers, "reason": d.reason}
            for d in outcome.decisions
        ],
    }


def _resized(pool: _Pool, decision: Decision) -> list[Decision]:
    """Carry the decision out; it is worth recording only if it changes anything."""
    if decision.workers == pool.workers:
        return []
    pool.resize(decision.at_seconds, decision.workers)
    return [decision]


def _serve(
    pool: _Pool,
    waiting: deque[int],
    arrivals: Sequence[Arrival],
    delays: np.ndarray,
    now: float,
) -> None:
    while waiting and pool.idle > 0:
        index = waiting.popleft()
        delays[index] = now - arrivals[index].at_seconds
        pool.take(now, arrivals[index].service_seconds)
