"""The Redis that processes share small, losable state in: breakers, limits, caches."""

from __future__ import annotations

import threading
from functools import cache

import redis
from django.conf import settings

# Shared state is a help, not a condition: who waits longer for it than this goes on without.
TIMEOUT_SECONDS = 0.5


_making = threading.Lock()


def client() -> redis.Redis:
    """One client a process, with its own pool; thread-safe.

    Made under a lock: of two made at once one is dropped, and its end closes connections that
    another thread has borrowed from it.
    """
    with _making:
        return _client()


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        max_connections=256,
    )


def key(*parts: object) -> str:
    """A key of this installation: several may share one Redis."""
    return ":".join(("ratchet", settings.INSTALLATION, *map(str, parts)))
