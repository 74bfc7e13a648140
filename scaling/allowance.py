"""Tokens a minute, known only when they are used: a bucket in Redis that may go into debt.

It fills evenly, up to a minute's worth. Whoever finds anything in it may go on, and pays what was
used afterwards; what is owed makes the next ones wait, MOST_OWED minutes or what one call took at
the most. So the rate is held on average, but for bursts that owe more. Source: the token bucket
with debt, Turner, "New directions in communications", 1986, charged after the fact.
"""

from __future__ import annotations

import logging
import math

from redis.exceptions import RedisError

from config import logs
from scaling import shared

logger = logging.getLogger(__name__)

# Minutes of debt: many callers at once find something left, and may not take it from all for hours.
MOST_OWED = 5

# What is left after taking ARGV[2] from a bucket that fills by ARGV[1] a minute. Redis's clock.
_TAKE = shared.Script(
    """
local now = tonumber(redis.call('TIME')[1]) + tonumber(redis.call('TIME')[2]) / 1e6
local full, taken = tonumber(ARGV[1]), tonumber(ARGV[2])
local h = redis.call('HMGET', KEYS[1], 'left', 'at')
local left = math.min(full, tonumber(h[1] or full) + (now - tonumber(h[2] or now)) * full / 60)
if taken > 0 then
  left = math.max(left - taken, -math.max(full * tonumber(ARGV[3]), taken))
  redis.call('HSET', KEYS[1], 'left', tostring(left), 'at', tostring(now))
  redis.call('EXPIRE', KEYS[1], math.ceil((full - left) * 60 / full) + 1)
end
return tostring(left)
"""
)


def wait_seconds(name: str, *, per_minute: int) -> int | None:
    """None if ``name`` has anything left, else whole seconds until it has (at least 1).

    Without Redis everybody has: a limit must not be an outage itself.
    """
    left = _left(name, per_minute, 0)
    return None if left >= 1 else max(1, math.ceil((1 - left) * 60 / per_minute))


def spend(name: str, *, per_minute: int, count: int) -> None:
    """Take ``count`` from what ``name`` has, also if it has less."""
    if count > 0:
        _left(name, per_minute, count)


def _left(name: str, per_minute: int, taken: int) -> float:
    try:
        return float(
            _TAKE(keys=[shared.key("allowance", name)], args=[per_minute, taken, MOST_OWED])
        )
    except RedisError as error:
        logs.event(logger, "scaling.allowance.unreachable", level=logging.WARNING, error=str(error))
        return float(per_minute)
