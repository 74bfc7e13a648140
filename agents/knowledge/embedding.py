"""Vectors of texts: from an endpoint that offers embeddings, or lexical ones computed here."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import openai
from django.core.cache import cache

from agents import connections, endpoints
from agents.domain import lexical
from agents.domain.cost import Usage, cost_usd
from agents.domain.retrieval import DIMENSIONS, fitted
from agents.endpoints import Served
from agents.endpoints.clients import client_for
from config import logs
from config.errors import Unavailable

logger = logging.getLogger(__name__)
CAPABILITY = "embeddings"
LEXICAL = "lexical-1"
# Texts in one request.
BATCH = 64
# A frequent question is embedded once in so long; the vector says little about the text.
QUERY_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class Embedded:
    """Unit vectors of DIMENSIONS numbers, and what they cost."""

    vectors: list[list[float]]
    cost_usd: Decimal = Decimal(0)


def current_model() -> str:
    """The name under which vectors are stored now; only equal names are compared."""
    served = _served()
    return LEXICAL if served is None else f"{served.endpoint}/{served.model}"


def embed(texts: Sequence[str], model: str) -> Embedded:
    """Vectors of ``texts`` by ``model``; raises Unavailable if its endpoint is gone or fails."""
    if model == LEXICAL:
        return Embedded([list(lexical.embed(text, DIMENSIONS)) for text in texts])
    served = _served()
    if served is None or model != f"{served.endpoint}/{served.model}":
        raise Unavailable(f"embedding model {model}", "no active endpoint offers it", 30)
    connections.release()
    vectors: list[list[float]] = []
    tokens = 0
    try:
        for start in range(0, len(texts), BATCH):
            reply = client_for(served).embeddings.create(
                model=served.model, input=list(texts[start : start + BATCH])
            )
            vectors += [fitted(one.embedding) for one in reply.data]
            tokens += reply.usage.prompt_tokens if reply.usage else 0
    except (openai.OpenAIError, ValueError) as error:
        raise Unavailable(f"embedding model {model}", type(error).__name__, 30) from error
    if len(vectors) != len(texts):
        raise Unavailable(f"embedding model {model}", "it left vectors out", 30)
    return Embedded(vectors, cost_usd(Usage(input=tokens), served.price))


def embed_query(text: str, model: str) -> list[float] | None:
    """The vector of a question, kept for a day; None if the endpoint fails: words must do."""
    if model == LEXICAL:
        return list(lexical.embed(text, DIMENSIONS))
    plain = " ".join(text.casefold().split())
    digest = hashlib.sha256(f"{model}\0{plain}".encode()).hexdigest()
    key = f"query-vector:{digest}"
    kept: list[float] | None = cache.get(key)
    if kept is not None:
        return kept
    try:
        vector = embed([text], model).vectors[0]
    except Unavailable as error:
        logs.event(logger, "agents.knowledge.unembedded", level=logging.WARNING, model=model,
                   why=error.why)  # fmt: skip
        return None
    cache.set(key, vector, QUERY_SECONDS)
    return vector


def _served() -> Served | None:
    return next((s for s in endpoints.directory() if CAPABILITY in s.capabilities), None)
