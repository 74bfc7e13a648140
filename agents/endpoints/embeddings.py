"""Asking an endpoint for vectors, under the same rules as for replies: its rest, rate and places;
with a breaker of the model's own, and no longer than its caller can wait."""

from __future__ import annotations

import time
from collections.abc import Sequence

import openai

from agents import pacing
from agents.endpoints.asking import over_limit
from agents.endpoints.clients import client_for
from agents.endpoints.directory import Served, leave, rest_of, seen
from agents.endpoints.failures import as_failure
from agents.endpoints.values import Failure
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
    # Vectors have little time: that they are slow says nothing of the endpoint's replies.
    what, name = f"embedding model {served.model}", breaker_of(served.endpoint, served.model)
    if (rest := rest_of(served)) is not None:
        raise Unavailable(what, "it asked to come back later", max(1, round(rest.left_seconds)))
    state = breaker.look(name)
    if state.is_open or breaker.state_of(f"endpoint:{served.endpoint}") == "open":
        _give_back(name, state)
        raise Unavailable(what, "it keeps failing", max(1, round(state.wait_seconds)))
    tokens = sum(len(text) // 4 for text in texts)
    if (wait := over_limit(served, tokens)) is not None:
        _give_back(name, state)
        raise Unavailable(what, "its requests or tokens a minute are used up", wait)
    with seen.slot(served) as taken:
        if not taken:
            _give_back(name, state)
            raise Unavailable(what, f"{served.max_in_flight} calls at once in this process", 1)
        try:
            with pacing.away():
                found = _asked(served, texts, time.monotonic() + seconds)
        except (openai.OpenAIError, ValueError) as error:
            failure = as_failure(error, seconds)
            _report(served, name, state, failure)
            wait = max(1, round(failure.retry_after_seconds or 30))
            raise Unavailable(what, type(error).__name__, wait) from error
        breaker.succeeded(name, state)
    if len(found[0]) != len(texts):
        raise Unavailable(what, "it left vectors out", 30)
    return found


def breaker_of(endpoint: str, model: str) -> str:
    """The name of the breaker of an embedding model."""
    return f"embeddings:{endpoint}/{model}"


def _report(served: Served, name: str, state: breaker.Look, failure: Failure) -> None:
    """Tell the breaker, which said ``state``, and heed a wait that was asked for."""
    if failure.retry_after_seconds:
        leave(served, failure.code, failure.retry_after_seconds, is_of_model=True)
    if failure.code != "rate_limited" and not failure.is_callers:
        breaker.failed(name)
    elif state.is_probe:  # whoever refuses is alive
        breaker.succeeded(name, state)


def _give_back(name: str, state: breaker.Look) -> None:
    if state.is_probe:
        breaker.give_back(name)


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
