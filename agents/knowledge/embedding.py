"""Vectors of texts: from an endpoint that offers embeddings, or lexical ones computed here."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from agents import budgets, connections, endpoints
from agents.domain import cost, lexical
from agents.domain.cost import Usage, cost_usd
from agents.domain.retrieval import DIMENSIONS, fitted
from agents.endpoints import Served, Try, embeddings
from agents.endpoints.values import Reply
from agents.errors import BudgetExceeded
from agents.knowledge import frequent
from config import logs
from config.access.ids import uuid7
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


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose budgets vectors are paid from; ``asked`` gets each request, for the payer's record."""

    client_id: UUID
    keys: tuple[budgets.Key, ...]
    asked: list[Try] = field(default_factory=list)

    @classmethod
    def of(cls, client_id: UUID, *more: budgets.Key) -> Payer:
        """A client, with the firm's budget and ``more``."""
        return cls(client_id, (("all", "all"), ("client", str(client_id)), *more))


def current_model() -> str:
    """The name under which vectors are stored now; only equal names are compared."""
    served = _served()
    return LEXICAL if served is None else f"{served.endpoint}/{served.model}"


def embed(
    texts: Sequence[str], model: str, *, payer: Payer | None = None, seconds: float | None = None
) -> Embedded:
    """Vectors of ``texts`` by ``model``, within ``seconds`` (else what a reply may take).

    The most that they may cost is held from ``payer``'s budgets, and what they did is settled.
    Raises BudgetExceeded, and Unavailable if the endpoint is gone, is passed over or fails.
    """
    if model == LEXICAL:
        return Embedded([list(lexical.embed(text, DIMENSIONS)) for text in texts])
    served = _served()
    if served is None or model != f"{served.endpoint}/{served.model}":
        raise Unavailable(f"embedding model {model}", "no active endpoint offers it", 30)
    limit = settings.MODEL_TIMEOUT.total_seconds() if seconds is None else seconds
    with _paid(payer, served, texts) as bill:
        connections.release()
        try_ = _Try(served, texts)
        try:
            made, tokens = embeddings.vectors(served, texts, seconds=limit)
        except Unavailable as error:
            if payer is not None and error.__cause__ is not None:  # it was asked
                payer.asked.append(try_.failed(error))
            raise
        spent = cost_usd(Usage(input=tokens), served.price)
        bill.append(spent)
        if payer is not None:
            payer.asked.append(try_.answered(tokens, spent))
    try:
        return Embedded([fitted(one) for one in made], spent)
    except ValueError as error:
        raise Unavailable(f"embedding model {model}", "its vectors are too short", 30) from error


class _Try:
    """One request for vectors, as a record keeps it: the texts, never the vectors."""

    def __init__(self, served: Served, texts: Sequence[str]) -> None:
        self._served, self._texts = served, texts
        self._at, self._started = timezone.now(), time.monotonic()

    def answered(self, tokens: int, spent_usd: Decimal) -> Try:
        reply = Reply("", (), "", Usage(input=tokens), self._served.model)
        return self._made(reply=reply, cost_usd=spent_usd)

    def failed(self, error: Unavailable) -> Try:
        return self._made(error_code=error.code, error=error.why)

    def _made(self, **how: Any) -> Try:
        return Try(
            endpoint=self._served.endpoint,
            model=self._served.model,
            started_at=self._at,
            duration_seconds=time.monotonic() - self._started,
            price_version=self._served.price.version,
            is_simulated=self._served.price.simulated,
            messages=[{"role": "user", "content": text} for text in self._texts],
            is_aside=True,
            **how,
        )


@contextmanager
def _paid(payer: Payer | None, served: Served, texts: Sequence[str]) -> Iterator[list[Decimal]]:
    """Hold the most that it may cost; what is put into the list is spent, the rest given back."""
    bill: list[Decimal] = []
    if payer is None:
        yield bill
        return
    tokens = cost.most_tokens(sum(len(text.encode()) for text in texts), len(texts))
    held = budgets.hold(
        keys=payer.keys,
        amount_usd=cost.most_usd(served.price, input_tokens=tokens, output_tokens=0),
        client_id=payer.client_id,
        invocation_id=uuid7(),
    )
    try:
        yield bill
    finally:
        budgets.settle(held, cost_usd=sum(bill, Decimal(0)))


def embed_query(text: str, model: str, *, payer: Payer | None = None) -> list[float] | None:
    """The vector of a question, kept for a day; None if the endpoint fails or no budget has the
    money: words must do."""
    if model == LEXICAL:
        return list(lexical.embed(text, DIMENSIONS))
    frequent.count(text)
    kept = frequent.vector_of(text, model)
    if kept is not None:
        return kept
    try:
        vector = embed([text], model, payer=payer, seconds=QUERY_SECONDS).vectors[0]
    except (Unavailable, BudgetExceeded) as error:
        logs.event(logger, "agents.knowledge.unembedded", level=logging.WARNING, model=model,
                   why=getattr(error, "why", error.code))  # fmt: skip
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
