"""Who asked to be left alone for a while, told to every process: a provider's ``Retry-After``.

One hash in Redis holds them all; each process reads it at most every ``MEMORY_SECONDS``. Without
Redis a process knows what it was told itself.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
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


# What this process was told itself, and what it read of the others.
_own: dict[str, Rest] = {}
_told: dict[str, Rest] = {}
_read_at = 0.0
_reading = threading.Lock()

# A later, shorter word does not end a longer one.
_LEAVE = shared.Script(
    """
local now = redis.call('TIME')
local till = tonumber(now[1]) + tonumber(now[2]) / 1e6 + tonumber(ARGV[2])
local before = tonumber(string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '', '^%S+') or 0)
if before < till then
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.3f %s', till, ARGV[3]))
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
"""
)


def leave(name: str, code: str, seconds: float) -> None:
    """Leave ``name`` alone for ``seconds``, at most LONGEST_SECONDS, in all processes."""
    seconds = min(seconds, LONGEST_SECONDS)
    rest, before = Rest(time.monotonic() + seconds, code), _own.get(name)
    if before is None or before.until < rest.until:
        _own[name] = rest
    try:
        _LEAVE(keys=[_key()], args=[name, seconds, code, int(LONGEST_SECONDS) + 1])
    except RedisError as error:
        logs.event(logger, "scaling.rests.unreachable", level=logging.WARNING, error=str(error))


def of(*names: str) -> Rest | None:
    """The rest that ends last of those that any of ``names`` asked for, while it lasts."""
    if time.monotonic() - _read_at >= MEMORY_SECONDS and _reading.acquire(blocking=False):
        try:
            _read()
        finally:
            _reading.release()
    if not _own and not _told:
        return None
    rests = [
        rest for name in names for known in (_own, _told)
        if (rest := known.get(name)) and rest.left_seconds > 0
    ]  # fmt: skip
    return max(rests, key=lambda rest: rest.until, default=None)


def forget(of_whom: Callable[[str], bool] = lambda name: True) -> None:
    """Let those whose name ``of_whom`` says be asked again: by this process now, by the others once
    what they were told themselves is over."""
    global _read_at
    for known in (_own, _told):
        for name in [name for name in known if of_whom(name)]:
            known.pop(name, None)
    try:
        client = shared.client()
        for told in client.hgetall(_key()):
            if of_whom(told.decode() if isinstance(told, bytes) else told):
                client.hdel(_key(), told)
    except RedisError as error:
        logs.event(logger, "scaling.rests.unreachable", level=logging.WARNING, error=str(error))
    _read_at = 0.0


def _read() -> None:
    global _told, _read_at
    _read_at = time.monotonic()
    for name in [name for name, rest in _own.items() if rest.left_seconds <= 0]:
        _own.pop(name, None)
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
    _told = found


def _key() -> str:
    return shared.key("rests")
