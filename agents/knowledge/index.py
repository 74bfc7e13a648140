"""Taking documents in: read, cut, stored, embedded, replaced and deleted."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F

from agents.domain.chunking import Chunk, chunks
from agents.knowledge import embedding, reading
from agents.models import CachedAnswer, Document, Passage
from config import logs
from config.errors import Unavailable

logger = logging.getLogger(__name__)
# Passages embedded in one pass of the sweep.
SWEEP_PASSAGES = 512


@dataclass(frozen=True, slots=True)
class Given:
    """A document as somebody hands it in. ``as_of`` is the day its content speaks for."""

    title: str
    content: bytes
    media_type: str
    source: str = ""
    as_of: date | None = None
    expires_at: datetime | None = None
    is_shared: bool = False


def add(given: Given, *, client_id: UUID, created_by: str = "") -> tuple[Document, bool]:
    """Store the document with its passages; returns it and whether it is new.

    The same content under the same title gives what there is; other content replaces it. A
    document whose embeddings can't be had now is found by its words until the sweep has them.
    Raises InvalidInput for what can't be read.
    """
    digest = hashlib.sha256(given.content).hexdigest()
    same = Document.objects.filter(
        client_id=client_id, title=given.title, state=Document.State.CURRENT
    ).first()
    if same is not None and same.digest == digest:
        _update(same, given)
        return same, False
    blocks = reading.blocks_of(given.content, given.media_type)
    document = Document(
        client_id=client_id,
        title=given.title,
        is_shared=given.is_shared,
        media_type=given.media_type,
        source=given.source,
        digest=digest,
        characters=sum(len(block.text) for block in blocks),
        as_of=given.as_of,
        expires_at=given.expires_at,
        created_by=created_by[:80],
    )
    _store(document, chunks(blocks))
    embed_pending(document_id=document.pk)
    document.refresh_from_db(fields=["embedding_cost_usd", "created_at"])
    return document, True


def delete(document: Document) -> None:
    """Remove the document, its passages and marks, and every kept answer that quotes it."""
    with transaction.atomic():
        CachedAnswer.objects.filter(
            answer__output__citations__contains=[{"document_id": str(document.pk)}]
        ).delete()
        document.delete()


def embed_pending(*, document_id: UUID | None = None, limit: int = SWEEP_PASSAGES) -> int:
    """Embed passages that the current model has not embedded; returns how many it did."""
    model = embedding.current_model()
    rows = Passage.objects.exclude(embedding_model=model).order_by("id")
    if document_id is not None:
        rows, limit = rows.filter(document_id=document_id), 1_000_000
    done = 0
    while done < limit:
        batch = list(rows.only("id", "document_id", "heading", "text")[: embedding.BATCH])
        if not batch:
            break
        try:
            made = embedding.embed([f"{p.heading}\n{p.text}" for p in batch], model)
        except Unavailable as error:
            logs.event(logger, "agents.knowledge.unembedded", level=logging.WARNING,
                       model=model, why=error.why)  # fmt: skip
            break
        for passage, vector in zip(batch, made.vectors, strict=True):
            passage.embedding, passage.embedding_model = vector, model
        with transaction.atomic():
            Passage.objects.bulk_update(batch, ["embedding", "embedding_model"])
            Document.objects.filter(pk=batch[0].document_id).update(
                embedding_cost_usd=F("embedding_cost_usd") + made.cost_usd
            )
        done += len(batch)
    return done


@transaction.atomic
def _store(document: Document, cut: list[Chunk]) -> None:
    """Replace what bears the same title; its passages go, its row stays as history."""
    before = Document.objects.select_for_update().filter(
        client_id=document.client_id, title=document.title, state=Document.State.CURRENT
    )
    for old in before:
        Passage.objects.filter(document=old).delete()
        Document.objects.filter(pk=old.pk).update(state=Document.State.REPLACED)
    document.save(force_insert=True)
    Passage.objects.bulk_create(
        [
            Passage(
                client_id=document.client_id,
                document=document,
                number=one.number,
                heading=one.heading,
                page=one.page,
                text=one.text,
                tokens=one.tokens,
            )
            for one in cut
        ],
        batch_size=500,
    )


def _update(document: Document, given: Given) -> None:
    for name in ("source", "as_of", "expires_at", "is_shared"):
        setattr(document, name, getattr(given, name))
    document.save(update_fields=["source", "as_of", "expires_at", "is_shared"])
