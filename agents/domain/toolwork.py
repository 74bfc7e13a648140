"""What the recorded calls of a tool speak for."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

# From so many calls on, shares mean something.
MIN_CALLS = 20
SLOW_SECONDS = 2.0
LARGE_BYTES = 50_000
OFTEN_RATIO = 0.2
BAD_RATIO = 0.05


@dataclass(frozen=True, slots=True)
class Work:
    """A tool's calls in a span, and what it declares. Ratios are from 0 to 1."""

    calls: int
    errors: int
    timeouts: int
    cached: int
    p95_seconds: float
    cost_usd: Decimal
    mean_bytes: float
    repeated_ratio: float
    cache_seconds: int
    is_idempotent: bool
    has_fallback: bool
    timeout_seconds: float
    selects: bool = False


def suggestions(work: Work) -> list[str]:
    """What may make the tool faster, cheaper or safer, the most telling first."""
    if work.calls < MIN_CALLS:
        return []
    found = []
    dear_or_slow = work.cost_usd > 0 or work.p95_seconds >= SLOW_SECONDS
    if work.repeated_ratio >= OFTEN_RATIO and work.is_idempotent and dear_or_slow:
        share = f"{work.repeated_ratio:.0%} of calls repeat earlier arguments"
        if not work.cache_seconds:
            found.append(f"{share}: declare cache_seconds")
        elif work.cached / work.calls < work.repeated_ratio / 2:
            found.append(f"{share} but few hit the cache: raise cache_seconds")
    if work.mean_bytes >= LARGE_BYTES:
        how = "name columns in select and rows in where" if work.selects else "return less"
        found.append(f"results have {work.mean_bytes / 1000:.0f} kB on average: {how}")
    if work.timeouts / work.calls >= BAD_RATIO:
        share = f"{work.timeouts / work.calls:.0%} of calls run into the limit of "
        found.append(f"{share}{work.timeout_seconds:g} s: ask for less or split the query")
    elif work.p95_seconds >= SLOW_SECONDS:
        found.append(f"5% of calls take over {work.p95_seconds:.1f} s: index what they filter by")
    if work.errors / work.calls >= BAD_RATIO and not work.has_fallback:
        found.append(f"{work.errors / work.calls:.0%} of calls fail: declare a fallback tool")
    return found
