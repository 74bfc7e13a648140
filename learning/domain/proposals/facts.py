"""What the rules read of an agent, and what they propose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from learning.domain.prioritise import Priority

# Fewer mentions are chance.
MIN_FAILURES, MIN_COMPLAINTS = 5, 3
# A person who waits costs this much a second (60 USD an hour).
WAITING_USD = 60 / 3600


@dataclass(frozen=True, slots=True)
class Facts:
    """One agent over ``days``: its figures, and what patterns, drift and tools say of it.

    ``endpoints``: how many could answer for the production version.
    """

    slug: str
    days: float
    calls: int
    bad: int
    cost_usd: float
    tier: str
    risk: str = "medium"
    unused_examples: int = 0
    patterns: Sequence[Mapping[str, Any]] = ()
    drifts: Sequence[Mapping[str, Any]] = ()
    tools: Sequence[Mapping[str, Any]] = ()
    seconds: float = 0.0
    failed_tools: Sequence[Mapping[str, Any]] = ()
    replies: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    is_cacheable: bool = True
    talks: Mapping[str, Any] = field(default_factory=dict)
    endpoints: int = 0
    wishes: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """One change with its reasons. ``expected`` names a metric and a direction."""

    kind: str
    title: str
    change: Mapping[str, Any]
    evidence: Mapping[str, Any]
    expected: Mapping[str, Any]
    priority: Priority
    risk: str = "medium"
    goals: tuple[str, ...] = field(default=())
