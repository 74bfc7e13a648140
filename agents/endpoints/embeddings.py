"""Asking an endpoint for vectors, under the same rules as for replies: its rest, breaker, rate and
places; and no longer than its caller can wait."""

from __future__ import annotations

import time
from collections.abc import Sequence

import openai

from agents.endpoints.asking import give_back, over_limit
from agents.endpoints.clients import client_for
from agents.endpoints.directory import Served, rest_of, seen
from config.errors import Unavailable
from scaling import breaker

# Texts in one request.
BATCH = 64


def vectors(
    served: Served, texts: Sequence[str], *, seconds: float
) -> tuple[list[list[float]], int]:
    """A vector for each text, and the tokens that were read; ``seconds`` bound all of it.

    Raises Unavailable where the endpoint is passed over, fails, or leaves texts out.
    """
    what, name = f"embedding model {served.model}", f"endpoint:{served.endpoint}"
    if (rest := rest_of(served)) is not None:
        raise Unavailable(what, "it asked to come back later", max(1, round(rest.left_seconds)))
    state = breaker.look(name)
    if state.is_open:
        raise Unavailable(what, "it keeps failing", max(1, round(state.wait_seconds)))
    tokens = sum(len(text) // 4 for text in texts)
    if (wait := over_limit(served, tokens)) is not None:
        give_back(served, state)
        raise Unavailable(what, "its requests or tokens a minute are used up", wait)
    with seen.slot(served) as taken:
        if not taken:
            give_back(served, state)
            raise Unavailable(what, f"{served.max_in_flight} calls at once in this process", 1)
        started = time.monotonic()
        try:
            found = _asked(served, texts, started + seconds)
        except (openai.OpenAIError, ValueError) as error:
            seen.note(served.endpoint, time.monotonic() - started, failed=True)
            if isinstance(error, openai.APIStatusError) and error.status_code < 500:
                breaker.succeeded(name, state)  # whoever refuses is alive
            else:
                breaker.failed(name)
            raise Unavailable(what, type(error).__name__, 30) from error
        breaker.succeeded(name, state)
    if len(found[0]) != len(texts):
        raise Unavailable(what, "it left vectors out", 30)
    return found


def _asked(served: Served, texts: Sequence[str], until: float) -> tuple[list[list[float]], int]:
    made: list[list[float]] = []
    tokens = 0
    for start in range(0, len(texts), BATCH):
        left = max(0.05, until - time.monotonic())
        reply = client_for(served).embeddings.create(
            model=served.model, input=list(texts[start : start + BATCH]), timeout=left
        )
        made += [one.embedding for one in reply.data]
        tokens += reply.usage.prompt_tokens if reply.usage else 0
    return made, tokens
