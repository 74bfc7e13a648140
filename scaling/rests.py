"""Who asked to be left alone for a while, told to every process: a provider's ``Retry-After``.

One hash in Redis holds them all; each process reads it at most every ``MEMORY_SECONDS``. Without
Redis a process knows what it was told itself.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from redis.exceptions import RedisError

from config import logs
from scaling import shared

logger = logging.getLogger(__name__)

# The longest that somebody's word keeps us away; then one call asks again.
LONGEST_SECONDS = 60.0
# What this process read holds so long: another one heeds a word at most this much later.
MEMORY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Rest:
    """Until when (monotonic) somebody is to be left alone, and the code of their error."""

    until: float
    code: str

    @property
    def left_seconds(self) -> float:
        """What is left of it; not above 0 once it is over."""
        return self.until - time.monotonic()


_known: dict[str, Rest] = {}
_read_at = 0.0
_reading = threading.Lock()


def leave(name: str, code: str, seconds: float) -> None:
    """Leave ``name`` alone for ``seconds``, at most LONGEST_SECONDS, in all processes."""
    seconds = min(seconds, LONGEST_SECONDS)
    _known[name] = Rest(time.monotonic() + seconds, code)
    client = shared.client()
    try:
        now, micros = client.time()
        client.hset(_key(), name, f"{now + micros / 1e6 + seconds:.3f} {code}")
        client.expire(_key(), int(LONGEST_SECONDS) + 1)
    except RedisError as error:
        logs.event(logger, "scaling.rests.unreachable", level=logging.WARNING, error=str(error))


def of(*names: str) -> Rest | None:
    """The rest that ends last of those that any of ``names`` asked for, while it lasts."""
    if time.monotonic() - _read_at >= MEMORY_SECONDS and _reading.acquire(blocking=False):
        try:
            _read()
        finally:
            _reading.release()
    if not _known:
        return None
    rests = [rest for name in names if (rest := _known.get(name)) and rest.left_seconds > 0]
    return max(rests, key=lambda rest: rest.until, default=None)


def forget() -> None:
    """Let everybody be asked again, by all processes."""
    global _known
    _known = {}
    try:
        shared.client().delete(_key())
    except RedisError as error:
        logs.event(logger, "scaling.rests.unreachable", level=logging.WARNING, error=str(error))


def _read() -> None:
    global _known, _read_at
    _read_at = time.monotonic()
    try:
        with shared.client().pipeline(transaction=False) as asked:
            asked.hgetall(_key())
            asked.time()
            told, (now, micros) = asked.execute()
    except RedisError as error:
        logs.event(logger, "scaling.rests.unreachable", level=logging.WARNING, error=str(error))
        return
    here, there = time.monotonic(), now + micros / 1e6
    found = {}
    for name, value in told.items():
        until, _, code = value.decode().partition(" ")
        found[name.decode()] = Rest(here + float(until) - there, code)
    _known = found


def _key() -> str:
    return shared.key("rests")
