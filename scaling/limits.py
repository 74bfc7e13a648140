"""Rate limits in requests and tokens, counted in Redis for all processes together.

Of a wide limit a process takes a few requests at once and gives them out itself: asking Redis for
each was a twentieth of what an answer from the cache costs. Those that it does not need in
LEASE_SECONDS count all the same, so a wide limit may refuse a little early; and a process may let
a few of those pass in a new minute that it took in the last one.

Source of the algorithm: ``limits``, sliding window counter (two fixed windows, weighted).
"""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from functools import cache, lru_cache
from types import ModuleType

from django.conf import settings
from redis.exceptions import RedisError

# The package imports its asynchronous half, which nobody here uses: 0.3 s in every process.
sys.modules.setdefault("limits.aio", ModuleType("limits.aio"))

from limits import RateLimitItemPerMinute  # noqa: E402  after the line above
from limits.storage import RedisStorage  # noqa: E402
from limits.strategies import SlidingWindowCounterRateLimiter  # noqa: E402

from config import logs  # noqa: E402
from scaling import shared  # noqa: E402

logger = logging.getLogger(__name__)

# So much of a limit is taken at once, where that is more than one, and kept for so long.
LEASE_SHARE = 2_000
LEASE_SECONDS = 10.0
MAX_LEASES = 10_000
_leases: dict[tuple[str, str, int], tuple[int, float]] = {}
_leasing = threading.Lock()

_making = threading.Lock()


def _limiter() -> SlidingWindowCounterRateLimiter:
    with _making:
        return _made()


@cache
def _made() -> SlidingWindowCounterRateLimiter:
    pool = shared.client().connection_pool
    return SlidingWindowCounterRateLimiter(
        RedisStorage(settings.REDIS_URL, connection_pool=pool, key_prefix=shared.key("limit"))
    )


@lru_cache(maxsize=1024)
def _item(per_minute: int, kind: str) -> RateLimitItemPerMinute:
    return RateLimitItemPerMinute(per_minute, namespace=kind)


def take(name: str, *, per_minute: int, kind: str = "requests", cost: int = 1) -> int | None:
    """Count ``cost`` against ``name``; None if it fits, else whole seconds to wait (at least 1).

    Without Redis everything fits: a limit protects a provider, it must not be an outage itself.
    """
    few = per_minute // LEASE_SHARE
    if cost < few:
        lease = (kind, name, per_minute)
        if _is_leased(lease, cost):
            return None
        if _hit(name, per_minute, kind, few) is None:
            _keep(lease, few - cost)
            return None
    return _hit(name, per_minute, kind, min(cost, per_minute))


def forget() -> None:
    """Give out nothing that was taken before (for tests)."""
    _leases.clear()


def _is_leased(lease: tuple[str, str, int], cost: int) -> bool:
    with _leasing:
        left, until = _leases.get(lease, (0, 0.0))
        if left < cost or until < time.monotonic():
            return False
        _leases[lease] = (left - cost, until)
        return True


def _keep(lease: tuple[str, str, int], left: int) -> None:
    with _leasing:
        if len(_leases) >= MAX_LEASES:
            _leases.clear()
        now = time.monotonic()
        more, until = _leases.get(lease, (0, 0.0))  # another thread has taken some, too
        _leases[lease] = (left + (more if until > now else 0), now + LEASE_SECONDS)


def _hit(name: str, per_minute: int, kind: str, cost: int) -> int | None:
    item = _item(per_minute, kind)
    try:
        if _limiter().hit(item, name, cost=cost):
            return None
        reset_at = _limiter().get_window_stats(item, name).reset_time
    except RedisError as error:
        logs.event(logger, "scaling.limits.unreachable", level=logging.WARNING, error=str(error))
        return None
    return max(1, math.ceil(reset_at - time.time()))
