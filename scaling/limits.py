"""Rate limits in requests and tokens, counted in Redis for all processes together.

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
    item = _item(per_minute, kind)
    try:
        if _limiter().hit(item, name, cost=min(cost, per_minute)):
            return None
        reset_at = _limiter().get_window_stats(item, name).reset_time
    except RedisError as error:
        logs.event(logger, "scaling.limits.unreachable", level=logging.WARNING, error=str(error))
        return None
    return max(1, math.ceil(reset_at - time.time()))
