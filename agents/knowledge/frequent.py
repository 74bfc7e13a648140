"""Which questions are asked often, and the vectors that are kept of questions.

Counted in the Redis that processes share, this week's and last week's together. A text that holds
personal data or a secret is not remembered: it is neither counted nor known ahead.
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import Any

from django.core.cache import cache
from redis.exceptions import RedisError

from agents.domain.guardrails.redact import redact
from config import logs
from scaling import shared

logger = logging.getLogger(__name__)
# A vector is kept so long; that of a frequent question as long as it is frequent.
QUERY_SECONDS = 24 * 3600
WEEK_SECONDS = 7 * 24 * 3600
# Asked so often in a week or two, a question is worth a vector ahead of time.
OFTEN = 3
MOST = 256
# Longer texts are seldom asked twice.
MAX_CHARACTERS = 300
# So many texts are counted a week; then the rarest go.
MOST_COUNTED = 20_000


def count(text: str) -> None:
    """One more time that ``text`` was asked."""
    plain = _plain(text)
    if len(plain) > MAX_CHARACTERS or redact(plain) != plain:
        return
    name = _counts(time.time())
    try:
        pipe = shared.client().pipeline(transaction=False)
        pipe.zincrby(name, 1, plain)
        pipe.expire(name, 2 * WEEK_SECONDS)
        pipe.zremrangebyrank(name, 0, -MOST_COUNTED - 1)
        pipe.execute()
    except RedisError as error:
        _tell(error)


def often() -> list[str]:
    """The questions asked most, most frequent first."""
    now = time.time()
    try:
        found: Any = shared.client().zunion(
            [_counts(now), _counts(now - WEEK_SECONDS)], withscores=True
        )
    except RedisError as error:
        _tell(error)
        return []
    asked = [(times, text.decode()) for text, times in found if times >= OFTEN]
    return [text for _, text in sorted(asked, key=lambda one: (-one[0], one[1]))][:MOST]


def without_vector(model: str) -> list[str]:
    """Frequent questions that have none by ``model``; those of the others are kept on."""
    try:
        return [text for text in often() if not cache.touch(_key(text, model), QUERY_SECONDS)]
    except RedisError as error:
        _tell(error)
        return []


def vector_of(text: str, model: str) -> list[float] | None:
    """The kept vector of ``text``, however it is spaced and capitalised."""
    try:
        kept: list[float] | None = cache.get(_key(text, model))
    except RedisError as error:
        _tell(error)
        return None
    return kept


def keep(text: str, model: str, vector: list[float]) -> None:
    """Keep a vector for a day."""
    try:
        cache.set(_key(text, model), vector, QUERY_SECONDS)
    except RedisError as error:
        _tell(error)


def _tell(error: RedisError) -> None:
    """Redis is away: questions are answered all the same, their vectors are asked for."""
    logs.event(logger, "agents.knowledge.uncounted", level=logging.WARNING, error=str(error))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _key(text: str, model: str) -> str:
    digest = hashlib.sha256(f"{model}\0{_plain(text)}".encode("utf-8", "surrogatepass"))
    return f"query-vector:{digest.hexdigest()}"


def _counts(at: float) -> str:
    return shared.key("questions", int(at // WEEK_SECONDS))
