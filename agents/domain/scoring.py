"""Which endpoint and model to try first: a score from price, speed, load and health."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Policy = Literal[
    "cheapest", "fastest", "weighted", "least_in_flight", "round_robin", "affinity", "health"
]
TIERS = ("light", "standard", "strong")
# What a latency of 0 weighs, which is none that was measured: neither quick nor slow.
UNMEASURED_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model at one endpoint, with what is known of it now."""

    endpoint: str
    model: str
    tier: str
    context_tokens: int
    capabilities: frozenset[str]
    priority: int
    weight: int
    in_flight: int
    latency_seconds: float
    error_ratio: float
    price_usd: Decimal
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Needs:
    """What a call needs of a model."""

    tier: str
    context_tokens: int
    capabilities: frozenset[str] = frozenset()


def fits(candidate: Candidate, needs: Needs) -> bool:
    """Whether the model is strong and large enough and can do what is needed."""
    return (
        TIERS.index(candidate.tier) >= TIERS.index(needs.tier)
        and candidate.context_tokens >= needs.context_tokens
        and needs.capabilities <= candidate.capabilities
    )


def order(
    candidates: Sequence[Candidate],
    needs: Needs,
    *,
    policy: Policy = "cheapest",
    turn: int = 0,
    draw: float = 0.0,
    session: str = "",
) -> list[Candidate]:
    """The candidates that fit, in the order to try them. Those with an open breaker come last.

    The endpoint's priority counts before the policy, the tier before both: a stronger model than
    asked for is a fallback. ``draw`` is the caller's random number from [0, 1), ``turn`` its
    counter, ``session`` what affinity sticks to.
    """
    fitting = [c for c in candidates if fits(c, needs)]
    ranked = sorted(
        fitting,
        key=lambda c: (
            c.is_open,
            TIERS.index(c.tier),
            c.priority,
            _rank(c, policy, session),
            c.endpoint,
            c.model,
        ),
    )
    if policy in ("weighted", "health", "round_robin"):
        return _rotate_equals(ranked, policy, turn, draw)
    return ranked


def health_weight(candidate: Candidate) -> float:
    """Share that follows latency and errors: twice as slow gets half, failing gets little."""
    alive = (1.0 - candidate.error_ratio) ** 2
    seconds = candidate.latency_seconds or UNMEASURED_SECONDS
    return candidate.weight * max(alive, 0.01) / max(seconds, 0.001)


def rendezvous(session: str, endpoint: str) -> float:
    """A number for the pair; the highest wins, and losing an endpoint moves only its sessions.

    Source: Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", 1998.
    """
    digest = hashlib.blake2b(f"{session}\0{endpoint}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _rank(candidate: Candidate, policy: Policy, session: str) -> float:
    if policy == "cheapest":
        return float(candidate.price_usd)
    if policy == "fastest":
        return candidate.latency_seconds
    if policy == "least_in_flight":
        return candidate.in_flight / max(candidate.weight, 1)
    if policy == "affinity":
        return -rendezvous(session, candidate.endpoint)
    return 0.0


def _rotate_equals(
    ranked: list[Candidate], policy: Policy, turn: int, draw: float
) -> list[Candidate]:
    """Choose the first among the leading equals; the rest stay as fallbacks in order."""
    if not ranked:
        return ranked
    head = ranked[0]
    same = [
        c
        for c in ranked
        if (c.is_open, c.tier, c.priority) == (head.is_open, head.tier, head.priority)
    ]
    if policy == "round_robin":
        first = same[turn % len(same)]
    else:
        weights = [float(c.weight) if policy == "weighted" else health_weight(c) for c in same]
        target, first = draw * math.fsum(weights), same[-1]
        for candidate, weight in zip(same, weights, strict=True):
            target -= weight
            if target < 0:
                first = candidate
                break
    return [first, *(c for c in ranked if c is not first)]
