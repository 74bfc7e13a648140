"""Vectors of texts: from an endpoint that offers embeddings, or lexical ones computed here."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings

from agents import connections, endpoints
from agents.domain import lexical
from agents.domain.cost import Usage, cost_usd
from agents.domain.retrieval import DIMENSIONS, fitted
from agents.endpoints import Served, embeddings
from agents.knowledge import frequent
from config import logs
from config.errors import Unavailable

logger = logging.getLogger(__name__)
CAPABILITY = "embeddings"
LEXICAL = "lexical-1"
# Texts in one request.
BATCH = embeddings.BATCH
# So long may somebody's question wait for its vector; then its words must do.
QUERY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Embedded:
    """Unit vectors of DIMENSIONS numbers, and what they cost."""

    vectors: list[list[float]]
    cost_usd: Decimal = Decimal(0)


def current_model() -> str:
    """The name under which vectors are stored now; only equal names are compared."""
    served = _served()
    return LEXICAL if served is None else f"{served.endpoint}/{served.model}"


def embed(texts: Sequence[str], model: str, *, seconds: float | None = None) -> Embedded:
    """Vectors of ``texts`` by ``model``, within ``seconds`` (else what a reply may take); raises
    Unavailable if its endpoint is gone, is passed over or fails."""
    if model == LEXICAL:
        return Embedded([list(lexical.embed(text, DIMENSIONS)) for text in texts])
    served = _served()
    if served is None or model != f"{served.endpoint}/{served.model}":
        raise Unavailable(f"embedding model {model}", "no active endpoint offers it", 30)
    connections.release()
    limit = settings.MODEL_TIMEOUT.total_seconds() if seconds is None else seconds
    made, tokens = embeddings.vectors(served, texts, seconds=limit)
    try:
        fit = [fitted(one) for one in made]
    except ValueError as error:
        raise Unavailable(f"embedding model {model}", "its vectors are too short", 30) from error
    return Embedded(fit, cost_usd(Usage(input=tokens), served.price))


def embed_query(text: str, model: str) -> list[float] | None:
    """The vector of a question, kept for a day; None if the endpoint fails: words must do."""
    if model == LEXICAL:
        return list(lexical.embed(text, DIMENSIONS))
    frequent.count(text)
    kept = frequent.vector_of(text, model)
    if kept is not None:
        return kept
    try:
        vector = embed([text], model, seconds=QUERY_SECONDS).vectors[0]
    except Unavailable as error:
        logs.event(logger, "agents.knowledge.unembedded", level=logging.WARNING, model=model,
                   why=error.why)  # fmt: skip
        return None
    frequent.keep(text, model, vector)
    return vector


def embed_ahead() -> int:
    """Have the vectors of frequent questions ready before they are asked; how many were made.

    A vector goes with a new embedding model, or with the shared memory; this brings it back in
    requests of many, instead of one while somebody waits.
    """
    model = current_model()
    if model == LEXICAL:  # computed here, in less time than it takes to look it up
        return 0
    missing = frequent.without_vector(model)
    try:
        vectors = embed(missing, model).vectors if missing else []
    except Unavailable as error:
        logs.event(logger, "agents.knowledge.unembedded", level=logging.WARNING, model=model,
                   why=error.why)  # fmt: skip
        return 0
    for text, vector in zip(missing, vectors, strict=True):
        frequent.keep(text, model, vector)
    return len(vectors)


def _served() -> Served | None:
    return next((s for s in endpoints.directory() if CAPABILITY in s.capabilities), None)
