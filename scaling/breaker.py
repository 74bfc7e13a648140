"""Circuit breakers whose state all processes share, with half-open probes.

Closed: calls pass, failures are counted in a short window. Open: calls are refused for a while.
Then one caller at a time may probe; its success closes the breaker, its failure opens it again
for twice as long, up to a limit. Source: Nygard, "Release It!", 2nd ed., stability patterns.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from redis.exceptions import RedisError

from config import logs
from scaling import shared

logger = logging.getLogger(__name__)

# So many failures in a row within the window open it. A success in between ends the row; the
# window is wide: who hangs fails once in half a minute, an agent may be asked once in a minute.
FAILURES_TO_OPEN = 5
WINDOW_SECONDS = 600
FIRST_OPEN_SECONDS = 2.0
LONGEST_OPEN_SECONDS = 60.0
# A probe that never reports back is forgotten after this.
PROBE_SECONDS = 30
# What this process read of a breaker holds so long; an open one is seen at most this much later.
MEMORY_SECONDS = 0.25
FORGET_SECONDS = 600

# hash: failures, first_at, open_until, open_seconds. Times are the server's.
_FAIL = shared.Script(
    """
local now = tonumber(redis.call('TIME')[1]) + tonumber(redis.call('TIME')[2]) / 1e6
local h = redis.call('HMGET', KEYS[1], 'failures', 'first_at', 'open_until', 'open_seconds')
local failures, first = tonumber(h[1] or 0), tonumber(h[2] or now)
local open_until, last = tonumber(h[3] or 0), tonumber(h[4] or 0)
if now - first > tonumber(ARGV[2]) and open_until == 0 then failures, first = 0, now end
failures = failures + tonumber(ARGV[6])
local probed = open_until > 0 and now >= open_until
if probed or (open_until == 0 and failures >= tonumber(ARGV[1])) then
  if last > 0 then last = math.min(last * 2, tonumber(ARGV[4])) else last = tonumber(ARGV[3]) end
  open_until = now + last
end
redis.call('HSET', KEYS[1], 'failures', failures, 'first_at', first,
  'open_until', tostring(open_until), 'open_seconds', tostring(last))
redis.call('DEL', KEYS[1] .. ':probe')
redis.call('EXPIRE', KEYS[1], tonumber(ARGV[5]))
return {failures, tostring(open_until > now and open_until - now or 0)}
"""
)

_LOOK = shared.Script(
    """
local now = tonumber(redis.call('TIME')[1]) + tonumber(redis.call('TIME')[2]) / 1e6
local h = redis.call('HMGET', KEYS[1], 'failures', 'open_until')
local open_until = tonumber(h[2] or 0)
if open_until == 0 then return {0, '0', tonumber(h[1] or 0)} end
if now < open_until then return {1, tostring(open_until - now), 0} end
if redis.call('SET', KEYS[1] .. ':probe', 1, 'NX', 'EX', tonumber(ARGV[1])) then
  return {2, '0', 0}
end
return {1, '1', 0}
"""
)


@dataclass(frozen=True, slots=True)
class Look:
    """What a breaker says now. A probe must report how it went."""

    is_open: bool
    is_probe: bool = False
    wait_seconds: float = 0.0
    failures: int = 0


State = Literal["closed", "open", "half_open", "unknown"]
_memory: dict[str, tuple[float, Look]] = {}


def look(name: str) -> Look:
    """Whether ``name`` may be called; without Redis it may."""
    now = time.monotonic()
    known = _memory.get(name)
    if known is not None and known[0] > now:
        return known[1]
    try:
        state, wait, failures = _LOOK(keys=[_key(name)], args=[PROBE_SECONDS])
    except RedisError as error:
        logs.event(logger, "scaling.breaker.unreachable", level=logging.WARNING, error=str(error))
        return Look(is_open=False)
    seen = Look(state == 1, state == 2, float(wait), int(failures))
    if not seen.is_probe:
        _memory[name] = (now + min(MEMORY_SECONDS, seen.wait_seconds or MEMORY_SECONDS), seen)
    return seen


def peek(name: str) -> bool:
    """Whether ``name`` was open when last looked at, for ordering; asks nobody, takes no probe."""
    known = _memory.get(name)
    return known is not None and known[1].is_open and known[0] > time.monotonic()


def state_of(name: str) -> State:
    """What a breaker is now, for people; takes no probe."""
    return states_of([name])[0]


def states_of(names: Sequence[str]) -> list[State]:
    """What each breaker is now, in one look; takes no probe."""
    if not names:
        return []
    asked = shared.client().pipeline(transaction=False)
    for name in names:
        asked.hget(_key(name), "open_until")
    asked.time()
    try:
        *until, (now, micros) = asked.execute()
    except RedisError:
        return ["unknown"] * len(names)
    return [_state(float(one or 0), now + micros / 1e6) for one in until]


def _state(open_until: float, now: float) -> State:
    if open_until == 0:
        return "closed"
    return "open" if now < open_until else "half_open"


def succeeded(name: str, seen: Look) -> None:
    """Report a call that went well; costs nothing while the breaker is clean."""
    if not seen.is_probe and not seen.failures:
        return
    _memory.pop(name, None)
    try:
        shared.client().delete(_key(name), _key(name) + ":probe")
    except RedisError:
        return
    if seen.is_probe:
        logs.event(logger, "scaling.breaker.closed", name=name)


def failed(name: str, *, times: int = 1) -> bool:
    """Report a call that failed, as so many ``times`` as it weighs; True if it is open now."""
    _memory.pop(name, None)
    try:
        failures, wait = _FAIL(
            keys=[_key(name)],
            args=[FAILURES_TO_OPEN, WINDOW_SECONDS, FIRST_OPEN_SECONDS, LONGEST_OPEN_SECONDS,
                  FORGET_SECONDS, times],
        )  # fmt: skip
    except RedisError:
        return False
    is_open = float(wait) > 0
    if is_open:
        logs.event(logger, "scaling.breaker.opened", level=logging.WARNING, name=name,
                   failures=int(failures), open_seconds=float(wait))  # fmt: skip
    return is_open


def give_back(name: str) -> None:
    """Report a probe that found nothing out: somebody else may probe at once."""
    try:
        shared.client().delete(_key(name) + ":probe")
    except RedisError:
        return


def trip(name: str, *, seconds: float = LONGEST_OPEN_SECONDS) -> None:
    """Open a breaker by decision; after ``seconds`` it is probed like any other.

    Raises redis.exceptions.RedisError when the shared state is away: nothing was tripped then.
    """
    client = shared.client()
    moment, micros = client.time()
    state: dict[bytes | bytearray | memoryview[int] | str | int | float, Any] = {
        "failures": FAILURES_TO_OPEN,
        "first_at": moment,
        "open_seconds": str(seconds),
        "open_until": str(moment + micros / 1e6 + seconds),
    }
    client.hset(_key(name), mapping=state)
    client.expire(_key(name), FORGET_SECONDS)
    _memory.pop(name, None)
    logs.event(logger, "scaling.breaker.tripped", name=name, open_seconds=seconds)


def close(name: str) -> None:
    """Close a breaker by decision; raises redis.exceptions.RedisError."""
    shared.client().delete(_key(name), _key(name) + ":probe")
    _memory.pop(name, None)
    logs.event(logger, "scaling.breaker.closed", name=name)


def _key(name: str) -> str:
    return shared.key("breaker", name)
