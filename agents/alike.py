"""The cache's last tier: the answer to a question that means the same, where a version asks for it.

Off unless the version's model settings give ``semantic_threshold``. A question is compared only
with those of its client to its version with the same words before it (prompt, passages, earlier
turns) and the same telling parts (``domain.likeness``). What is kept of a question is a vector and
two digests, never its text; it goes with its answer.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agents.calls import Call
from agents.domain import likeness
from agents.domain.messages import Message, text_of
from agents.knowledge import embedding
from agents.knowledge.embedding import Payer
from agents.resolving import Choice
from config import statements
from config.access.ids import uuid7

# A single name or figure is data, not a question.
FEWEST_WORDS = 4

_NEAREST = """
    WITH near AS (
        SELECT q.answer_id, 1 - (q.embedding <=> %(vector)s::vector) AS likeness
        FROM agents_cachedquestion q
        WHERE q.client_id = %(client)s AND q.version_id = %(version)s
            AND q.context = %(context)s AND q.telling = %(telling)s
            AND q.embedding_model = %(model)s
        ORDER BY q.embedding <=> %(vector)s::vector LIMIT 1
    )
    UPDATE agents_cachedanswer a SET hits = hits + 1 FROM near
    WHERE a.key = near.answer_id AND near.likeness >= %(threshold)s AND a.expires_at > now()
    RETURNING a.answer::text
"""
_REMEMBER = """
    INSERT INTO agents_cachedquestion
        (id, client_id, version_id, answer_id, context, telling, embedding, embedding_model)
    SELECT %(id)s, %(client)s, %(version)s, key, %(context)s, %(telling)s, %(vector)s::vector,
        %(model)s
    FROM agents_cachedanswer WHERE key = %(key)s
    ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as this tier compares it."""

    client_id: UUID
    version_id: UUID
    context: str
    telling: str
    vector: str
    model: str
    threshold: float


def asked(call: Call, choice: Choice, messages: list[Message], payer: Payer | None) -> Asked | None:
    """The question of a call; None where its version does not want this tier, or it is none."""
    threshold = choice.version.semantic_threshold
    if threshold is None:
        return None
    text, rest = _question(call, messages)
    if len(text.split()) < FEWEST_WORDS or len(text) > likeness.MAX_CHARACTERS:
        return None
    model = embedding.current_model()
    vector = embedding.embed_query(text, model, payer=payer)
    if vector is None:
        return None
    context = json.dumps([rest, call.bounds], sort_keys=True, default=str)
    return Asked(
        client_id=call.client_id,
        version_id=choice.version.id,
        context=hashlib.sha256(context.encode("utf-8", "surrogatepass")).hexdigest(),
        telling=likeness.telling(text),
        vector=str(vector),
        model=model,
        threshold=threshold,
    )


def nearest(one: Asked) -> dict[str, Any] | None:
    """The kept answer to the nearest question, if it is near enough."""
    rows = statements.execute(_NEAREST, {**_parts(one), "threshold": one.threshold})
    return json.loads(rows[0][0]) if rows else None


def remember(one: Asked, key: str) -> None:
    """Know ``one`` as the question behind the answer that is kept under ``key``."""
    statements.execute(_REMEMBER, {**_parts(one), "key": key, "id": uuid7()})


def _parts(one: Asked) -> dict[str, Any]:
    return {
        "client": one.client_id,
        "version": one.version_id,
        "context": one.context,
        "telling": one.telling,
        "vector": one.vector,
        "model": one.model,
    }


def _question(call: Call, messages: list[Message]) -> tuple[str, Any]:
    """The words that may differ, and everything that may not.

    Of a chat the last message; of an input its only text of several words.
    """
    if call.messages is not None:
        return text_of(messages[-1]), [[m["role"], text_of(m)] for m in messages[:-1]]
    texts = [
        name
        for name, value in call.inputs.items()
        if isinstance(value, str) and len(value.split()) >= FEWEST_WORDS
    ]
    if len(texts) != 1:
        return "", None
    rest = {name: value for name, value in call.inputs.items() if name != texts[0]}
    return str(call.inputs[texts[0]]), [[text_of(m) for m in messages[:-1]], texts[0], rest]
