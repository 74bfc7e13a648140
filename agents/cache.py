"""Answers given before: memory, then Redis, then PostgreSQL; one caller asks while others wait.

Last, where the version wants it, the answer to a question that means the same (``agents.alike``).

A key names tenant, version (so prompt, model, tools and schema) and question. Only answers at
temperature 0 of versions whose tools have no effects and read no files are kept.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from redis.exceptions import RedisError

from agents import alike, connections, pacing
from agents.alike import Asked
from agents.calls import Call
from agents.domain.caching import Memory, jittered, key_of
from agents.domain.messages import Message
from agents.knowledge.embedding import Payer
from agents.models import CachedAnswer
from agents.resolving import Choice
from config import logs, statements
from scaling import shared

logger = logging.getLogger(__name__)

# How long a tier keeps an answer unless its version says ``cache_seconds`` (0: not at all).
KEEP_SECONDS = 7 * 24 * 3600
REDIS_SECONDS = 3600
MEMORY_SECONDS = 60
MEMORY_ENTRIES = 512
# Who asks holds the flight this long at most; then another may try.
FLIGHT_SECONDS = 60
POLL_SECONDS = 0.02

# The value if there is one, or else whether this caller is the one to ask.
_LOOK = shared.Script(
    """
local found = redis.call('GET', KEYS[1])
if found then return {2, found} end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'EX', ARGV[2]) then return {1, ''} end
return {0, ''}
"""
)
_LAND = shared.Script(
    """
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
"""
)

_FIND = """
UPDATE agents_cachedanswer SET hits = hits + 1 WHERE key = %(key)s AND expires_at > now()
RETURNING answer::text
"""

_memory = Memory(MEMORY_ENTRIES, settings.ANSWER_CACHE_POLICY)
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Hit:
    """An answer given before: ``tier`` it was found in, and what it cost then."""

    tier: str
    output: dict[str, Any]
    model: str
    cost_usd: Decimal
    simulated: bool
    sealed: str = ""


@dataclass(frozen=True, slots=True)
class Flight:
    """The right to ask; it must land, with an answer or without."""

    key: str
    token: str
    keep_seconds: int
    asked: Asked | None = None


def seek(
    call: Call,
    choice: Choice,
    messages: list[Message],
    *,
    until: float,
    payer: Payer | None = None,
) -> Hit | Flight | None:
    """The stored answer; or a flight if this caller is to ask; None where nothing is cached."""
    keep = int(choice.version.model.get("cache_seconds", KEEP_SECONDS))
    if not settings.ANSWER_CACHE:
        return None
    if not (call.use_cache and call.attempt == 1 and keep and choice.version.is_cacheable) or (
        call.caller_tools
    ):
        return None
    key = key_of(
        installation=settings.INSTALLATION,
        client_id=str(call.client_id),
        version_id=str(choice.version.id),
        messages=messages,
        inputs=call.inputs if call.messages is None else None,
        limits=call.bounds,
    )
    with _lock:
        kept = _memory.get(key, now=time.monotonic())
    if kept is not None:
        return _hit("memory", kept)
    token = uuid4().hex
    try:
        state, found = _look(key, token)
        if state == 0:
            state, found = _awaited(key, token, until)
    except RedisError as error:
        logs.event(logger, "agents.cache.unreachable", level=logging.WARNING, error=str(error))
        return None
    if state == 2:
        return _hit("redis", _remember(key, json.loads(found), keep))
    if state == 0:
        return None
    either = _from_database(key, token, keep)
    return either if isinstance(either, Hit) else _alike(either, call, choice, messages, payer)


def _look(key: str, token: str) -> tuple[int, Any]:
    """0: somebody asks already; 1: this caller is to; 2 with the answer. Raises RedisError."""
    state, found = _LOOK(keys=[_key(key), _key(key) + ":flight"], args=[token, FLIGHT_SECONDS])
    return int(state), found


def _awaited(key: str, token: str, until: float) -> tuple[int, Any]:
    """The same once nobody asks any more, or 0 at ``until``; raises RedisError."""
    connections.release()
    with pacing.away():  # all the while: to look is no work
        while time.monotonic() + POLL_SECONDS < until:
            time.sleep(POLL_SECONDS)
            state, found = _look(key, token)
            if state:
                return state, found
    return 0, None


def land(flight: Flight, answer: dict[str, Any] | None) -> None:
    """End the flight: keep ``answer`` in memory and Redis (None: there is none to keep)."""
    text = "" if answer is None else json.dumps(answer)
    if len(text) > settings.MAX_INLINE_BYTES:
        text, answer = "", None
    seconds = min(REDIS_SECONDS, flight.keep_seconds)
    try:
        _LAND(
            keys=[_key(flight.key), _key(flight.key) + ":flight"],
            args=[flight.token, text, max(1, round(jittered(seconds, random.random())))],
        )
    except RedisError as error:
        logs.event(logger, "agents.cache.unreachable", level=logging.WARNING, error=str(error))
    if answer is not None:
        _remember(flight.key, json.loads(text), flight.keep_seconds)
        if flight.asked is not None:
            alike.remember(flight.asked, flight.key)


def row_of(flight: Flight, call: Call, choice: Choice, answer: dict[str, Any]) -> CachedAnswer:
    """The answer as PostgreSQL keeps it; written with the invocation that gave it."""
    return CachedAnswer(
        key=flight.key,
        client_id=call.client_id,
        agent_id=choice.agent_id,
        version_id=choice.version.id,
        answer=answer,
        cost_usd=Decimal(answer["cost_usd"]),
        expires_at=timezone.now()
        + timedelta(seconds=jittered(flight.keep_seconds, random.random())),
    )


def forget_expired() -> int:
    """Delete what has expired in PostgreSQL; returns how many."""
    return CachedAnswer.objects.filter(expires_at__lt=timezone.now()).delete()[0]


def forget_answers(rows: QuerySet[CachedAnswer]) -> int:
    """Delete these answers in PostgreSQL and Redis; processes forget them within a minute."""
    keys = list(rows.values_list("key", flat=True))
    try:
        if keys:
            shared.client().delete(*map(_key, keys))
    except RedisError as error:
        logs.event(logger, "agents.cache.unreachable", level=logging.WARNING, error=str(error))
    return CachedAnswer.objects.filter(pk__in=keys).delete()[0]


def forget_memory() -> None:
    """Empty this process's tier (for tests)."""
    global _memory
    with _lock:
        _memory = Memory(MEMORY_ENTRIES, settings.ANSWER_CACHE_POLICY)


def let_pass(answer: dict[str, Any]) -> Hit:
    """The answer that a person has let pass, as a hit of a tier of its own."""
    return _hit("review", answer)


def _from_database(key: str, token: str, keep: int) -> Hit | Flight:
    flight = Flight(key, token, keep)
    rows = statements.execute(_FIND, {"key": key})
    if not rows:
        return flight
    answer = json.loads(rows[0][0])
    land(flight, answer)
    return _hit("database", answer)


def _alike(
    flight: Flight, call: Call, choice: Choice, messages: list[Message], payer: Payer | None
) -> Hit | Flight:
    """The answer to a question that means the same; it is not copied under this one's key."""
    one = alike.asked(call, choice, messages, payer)
    if one is None:
        return flight
    answer = alike.nearest(one)
    if answer is None:
        return replace(flight, asked=one)
    land(flight, None)
    return _hit("semantic", answer)


def _hit(tier: str, answer: dict[str, Any]) -> Hit:
    return Hit(
        tier,
        answer["output"],
        answer["model"],
        Decimal(answer["cost_usd"]),
        answer["simulated"],
        answer.get("sealed", ""),
    )


def _remember(key: str, answer: dict[str, Any], keep: int) -> dict[str, Any]:
    seconds = jittered(min(MEMORY_SECONDS, keep), random.random())
    with _lock:
        _memory.put(key, answer, until=time.monotonic() + seconds)
    return answer


def _key(key: str) -> str:
    return shared.key("answer", key)
