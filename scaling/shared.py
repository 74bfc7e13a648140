"""The Redis that processes share small, losable state in: breakers, limits, caches."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import redis
from django.conf import settings
from redis.exceptions import NoScriptError, RedisError

# Shared state is a help, not a condition: who waits longer for it than this goes on without.
TIMEOUT_SECONDS = 0.5
# One a thread, and more than there are threads.
MAX_CONNECTIONS = 1_000


_making = threading.Lock()


class _Kept:
    """The connection that a thread keeps; with the thread it goes back to the pool."""

    def __init__(self, pool: KeepingPool, connection: Any) -> None:
        self._pool, self.connection, self.is_lent = pool, connection, True

    def __del__(self) -> None:
        with suppress(Exception):  # at the end of the process nothing may be left of the pool
            self._pool.give_back(self.connection)


def _is_stale(connection: Any) -> bool:
    """Whether the server has closed it, or an answer waits in it that nobody took."""
    try:
        return bool(connection.can_read())
    except (RedisError, OSError):
        return True


class KeepingPool(redis.ConnectionPool):
    """Gives a thread the connection that it had before, without the pool's lock and its counters.

    Those were a third of what a command costs. A command inside of another one, as in a pipeline,
    gets a further connection as usual.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._own = threading.local()

    def get_connection(self, *args: Any, **options: Any) -> Any:
        kept: _Kept | None = getattr(self._own, "kept", None)
        if kept is None or kept.connection.pid != os.getpid():
            self._own.kept = kept = _Kept(self, super().get_connection())
            return kept.connection
        if kept.is_lent:
            return super().get_connection()
        kept.is_lent, connection = True, kept.connection
        try:
            connection.connect()
            if _is_stale(connection):
                connection.disconnect()
                connection.connect()
        except BaseException:
            kept.is_lent = False
            raise
        return connection

    def release(self, connection: Any) -> None:
        kept: _Kept | None = getattr(self._own, "kept", None)
        if kept is None or kept.connection is not connection:
            super().release(connection)
            return
        if connection.should_reconnect():
            connection.disconnect()
        kept.is_lent = False

    def give_back(self, connection: Any) -> None:
        """Take a connection whose thread is gone."""
        super().release(connection)


def client() -> redis.Redis:
    """One client a process, with its own pool; thread-safe.

    Made under a lock: of two made at once one is dropped, and its end closes connections that
    another thread has borrowed from it.
    """
    with _making:
        return _client()


@cache
def _client() -> redis.Redis:
    pool = KeepingPool.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        max_connections=MAX_CONNECTIONS,
    )
    return redis.Redis(connection_pool=pool)


def key(*parts: object) -> str:
    """A key of this installation: several may share one Redis."""
    return ":".join(("ratchet", settings.INSTALLATION, *map(str, parts)))


class Script:
    """A Lua script that is called by its digest; Redis gets its text when it does not know it.

    Asked over the thread's connection as it is: what the client does around a command (measures,
    retries that are none here) was half of what a script cost its caller. Raises RedisError.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, *, keys: Sequence[str], args: Sequence[str | int | float]) -> Any:
        pool = client().connection_pool
        connection: Any = pool.get_connection()
        try:
            try:
                connection.send_command("EVALSHA", self._digest, len(keys), *keys, *args)
                return connection.read_response()
            except NoScriptError:
                connection.send_command("EVAL", self._text, len(keys), *keys, *args)
                return connection.read_response()
        finally:
            pool.release(connection)
