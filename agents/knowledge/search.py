"""Finding passages: PostgreSQL ranks by words and by vectors, the ranks are fused here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from agents.domain import retrieval
from agents.domain.retrieval import Standing, Weights
from agents.knowledge import embedding
from agents.knowledge.embedding import Payer
from agents.models import Document, Passage
from config.access import rights
from config.access.callers import Caller
from config.access.hiding import of_readers

# Passages that each ranking brings into the fusion.
DEPTH = 50
# Up to so many passages every distance is computed, which takes a few milliseconds: the index
# finds most of the nearest, not all, and not the same ones after it is built anew.
EXACT_UP_TO = 2_000
MAX_QUERY_CHARACTERS = 2_000

# Any of the words counts: a question is not a list of conditions. Each counts once: ranking takes
# the product of how often a word is asked and how often it is there, which took a minute.
_WORDS = """
    SELECT p.id FROM agents_passage p JOIN agents_document d ON d.id = p.document_id,
        CAST(replace(strip(to_tsvector('english', %(query)s))::text, ' ', ' | ') AS tsquery)
            AS asked
    WHERE p.words @@ asked AND p.cut = %(cut)s AND {visible}
    ORDER BY ts_rank_cd(p.words, asked, 1) DESC, p.document_id, p.number LIMIT %(depth)s
"""
_COUNT = "SELECT count(*) FROM (SELECT 1 {embedded} LIMIT %(exact_up_to)s + 1) AS found"
# No index gives the order of a sum.
_NEAREST_OF_FEW = """
    SELECT p.id {embedded}
    ORDER BY (p.embedding <=> %(vector)s::vector) + 0, p.document_id, p.number LIMIT %(depth)s
"""
# The index knows distances alone, so those that are equally near are put in order afterwards.
_NEAREST = """
    SELECT p.id, p.embedding <=> %(vector)s::vector AS distance, p.document_id, p.number
    {embedded} ORDER BY distance LIMIT %(depth)s
"""
_VISIBLE = """d.state = 'current' AND (d.expires_at IS NULL OR d.expires_at > now())
    AND (%(everyone)s OR d.is_shared OR d.client_id = ANY(%(clients)s))
    AND NOT EXISTS (SELECT 1 FROM unnest(d.limited_to) AS line
        WHERE NOT string_to_array(line, E'\\n') && %(rights)s::text[])
    AND (%(any_title)s OR d.title = ANY(%(titles)s))"""
_EMBEDDED = f"""FROM agents_passage p JOIN agents_document d ON d.id = p.document_id
    WHERE p.embedding_model = %(model)s AND p.cut = %(cut)s AND {_VISIBLE}"""


@dataclass(frozen=True, slots=True)
class Found:
    """A passage with where it stands and how well it fits; higher ``score`` is better."""

    passage_id: UUID
    document_id: UUID
    client_id: UUID
    title: str
    source: str
    as_of: date | None
    number: int
    heading: str
    page: int | None
    text: str
    tokens: int
    score: float
    helpful: int
    unhelpful: int
    # Place in each ranking of ``retrieval.RANKINGS``, from 1; None where it was not ranked.
    ranks: tuple[int | None, int | None, int | None] = (None, None, None)
    # What its reader must hold.
    limited_to: tuple[str, ...] = ()


def search(
    query: str,
    *,
    client_ids: Collection[UUID] | None,
    titles: Collection[str] = (),
    limit: int = 8,
    max_tokens: int = 4_000,
    now: datetime | None = None,
    cut: str = "",
    weights: Weights = retrieval.STANDARD,
    payer: Payer | None = None,
    held: Collection[str] = rights.NOBODY,
) -> list[Found]:
    """The passages that fit ``query`` best, best first, within ``max_tokens`` in all.

    ``client_ids`` None sees every client's documents; shared ones are always seen. ``titles``
    narrows to documents of these titles. Expired and replaced documents are never found.
    ``cut`` names other passages than the standard ones; documents that are not cut so yet are
    not found, and if none is, the standard passages answer. Equal ones come in the order of
    their document. ``payer`` pays for the vector of the question. ``held`` are the rights of who
    reads: what is limited to others is not found.
    """
    query = query.strip()[:MAX_QUERY_CHARACTERS]
    if not query:
        return []
    model = embedding.current_model()
    vector = embedding.embed_query(query, model, payer=payer)
    asked = {
        "query": query,
        "depth": DEPTH,
        "everyone": client_ids is None,
        "clients": list(client_ids or ()),
        "rights": sorted(held),
        "any_title": not titles,
        "titles": list(titles),
        "cut": cut,
        "model": model,
        "vector": None if vector is None else str(vector),
    }
    words, nearest = _ranked(asked)
    if cut and not words and not nearest:
        words, nearest = _ranked({**asked, "cut": ""})
    rows = {
        row.pk: row
        for row in Passage.objects.filter(pk__in={*words, *nearest})
        .select_related("document")
        .defer("embedding", "words")
        .order_by("document_id", "number")
    }
    texts = {key: f"{row.heading}\n{row.text}" for key, row in rows.items()}
    rankings = [words, nearest, retrieval.by_coverage(query, texts)]
    scores = retrieval.fuse(rankings, weights=weights.rankings)
    places = [{key: rank for rank, key in enumerate(one, start=1)} for one in rankings]
    today = (now or timezone.now()).date()
    found = sorted(
        (
            replace(_found(row, scores[key], today, weights), ranks=_ranks(places, key))
            for key, row in rows.items()
        ),
        key=lambda one: (-one.score, one.document_id, one.number),
    )
    return found[: retrieval.pack([one.text for one in found], max_tokens, limit)]


def visible_documents(caller: Caller) -> QuerySet[Document]:
    """Current documents that ``caller`` may see: those of its clients, and shared ones, unless they
    are limited to others."""
    rows = of_readers(caller, Document.objects.filter(state=Document.State.CURRENT))
    if caller.client_ids is None:
        return rows
    return rows.filter(Q(client_id__in=caller.client_ids) | Q(is_shared=True))


def _ranked(asked: dict[str, Any]) -> tuple[list[UUID], list[UUID]]:
    with transaction.atomic(), connection.cursor() as cursor:
        # Filters are applied while the index is walked, so a small tenant finds its own.
        cursor.execute("SET LOCAL hnsw.iterative_scan = 'strict_order'")
        cursor.execute(_WORDS.format(visible=_VISIBLE), asked)
        words = [row[0] for row in cursor.fetchall()]
        if asked["vector"] is None:
            return words, []
        cursor.execute(_COUNT.format(embedded=_EMBEDDED), {**asked, "exact_up_to": EXACT_UP_TO})
        if cursor.fetchone()[0] <= EXACT_UP_TO:
            cursor.execute(_NEAREST_OF_FEW.format(embedded=_EMBEDDED), asked)
            return words, [row[0] for row in cursor.fetchall()]
        cursor.execute(_NEAREST.format(embedded=_EMBEDDED), asked)
        near = sorted(cursor.fetchall(), key=lambda row: row[1:])
        return words, [row[0] for row in near]


def _ranks(places: list[dict[UUID, int]], key: UUID) -> tuple[int | None, int | None, int | None]:
    words, nearest, coverage = (one.get(key) for one in places)
    return words, nearest, coverage


def _found(row: Passage, score: float, today: date, weights: Weights) -> Found:
    document = row.document
    standing = Standing(document.as_of, row.helpful, row.unhelpful)
    return Found(
        passage_id=row.pk,
        document_id=document.pk,
        client_id=document.client_id,
        title=document.title,
        source=document.source,
        as_of=document.as_of,
        number=row.number,
        heading=row.heading,
        page=row.page,
        text=row.text,
        tokens=row.tokens,
        score=score * retrieval.weight(standing, today, weights),
        helpful=row.helpful,
        unhelpful=row.unhelpful,
        limited_to=tuple(document.limited_to),
    )
