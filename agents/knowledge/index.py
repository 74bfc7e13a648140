"""Taking documents in: read, cut, stored, embedded, replaced and deleted."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Sum

from agents.domain.chunking import Block, Chunk, Cut, chunks, cut_named, windows
from agents.errors import BudgetExceeded
from agents.knowledge import embedding, reading
from agents.knowledge.embedding import Payer
from agents.models import AgentVersion, CachedAnswer, Document, Passage
from config import logs
from config.access.callers import Caller
from config.access.hiding import of_readers
from config.errors import Forbidden, Unavailable

logger = logging.getLogger(__name__)
# Passages embedded in one pass of the sweep.
SWEEP_PASSAGES = 512
# Documents cut another way in one pass of the sweep, for each version that asks for it.
SWEEP_DOCUMENTS = 50
# Nobody's vectors are paid for once this one has no more.
FIRM_BUDGET = "all:all"
# Stands for every document that the client may see, in place of titles.
ANY_SOURCE = "*"


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
    # As a document says it; None keeps what the one says that it replaces.
    limited_to: Sequence[str] | None = None


def add(
    given: Given, *, client_id: UUID, created_by: str = "", caller: Caller | None = None
) -> tuple[Document, bool]:
    """Store the document with its passages; returns it and whether it is new.

    The same content under the same title gives what there is; other content replaces it. A
    document whose embeddings can't be had now is found by its words until the sweep has them.
    Raises InvalidInput for what can't be read, and Forbidden where ``caller`` may not read what
    would be replaced.
    """
    digest = hashlib.sha256(given.content).hexdigest()
    same = Document.objects.filter(
        client_id=client_id, title=given.title, state=Document.State.CURRENT
    ).first()
    if same is not None and caller is not None:
        if not of_readers(caller, Document.objects.filter(pk=same.pk)).exists():
            raise Forbidden(f"replace {given.title}", "the right to read it")
    if same is not None and given.limited_to is None:
        given = replace(given, limited_to=same.limited_to)
    if same is not None and same.digest == digest:
        _update(same, given)
        return same, False
    blocks = reading.blocks_of(given.content, given.media_type)
    document = Document(
        client_id=client_id,
        title=given.title,
        is_shared=given.is_shared,
        limited_to=list(given.limited_to or ()),
        media_type=given.media_type,
        source=given.source,
        digest=digest,
        characters=sum(len(block.text) for block in blocks),
        as_of=given.as_of,
        expires_at=given.expires_at,
        created_by=created_by[:80],
    )
    there = _store(document, chunks(blocks))
    if there is not None:
        return there, False
    for name in cuts_in_use(document.title):
        cut_again(document, cut_named(name))
    embed_pending(document_id=document.pk)
    document.refresh_from_db(fields=["embedding_cost_usd", "created_at"])
    return document, True


def cuts_in_use(title: str) -> list[str]:
    """The cuts that live versions ask for of documents with this title."""
    rows = AgentVersion.objects.filter(retired_at=None, retrieval__has_key="cut").filter(
        Q(retrieval__sources__contains=[title]) | Q(retrieval__sources__contains=[ANY_SOURCE])
    )
    return sorted({str(one) for one in rows.values_list("retrieval__cut", flat=True) if one})


def quotable_documents(sources: Collection[str], *, for_all: bool = False) -> QuerySet[Document]:
    """Current documents that settings with these sources name, of every client.

    ``for_all``: those alone that are limited to nobody.
    """
    rows = Document.objects.filter(state=Document.State.CURRENT).order_by("id")
    rows = rows.filter(limited_to=[]) if for_all else rows
    return rows if ANY_SOURCE in sources else rows.filter(title__in=list(sources))


def cut_pending() -> int:
    """Cut what live versions ask for and is not cut yet; how many documents. For a sweep."""
    done = 0
    rows = AgentVersion.objects.filter(retired_at=None, retrieval__has_key="cut")
    for sources, name in rows.values_list("retrieval__sources", "retrieval__cut"):
        if not name:
            continue
        there = Passage.objects.filter(document=OuterRef("pk"), cut=name)
        for document in quotable_documents(sources or ()).filter(~Exists(there))[:SWEEP_DOCUMENTS]:
            done += bool(cut_again(document, cut_named(str(name))))
    return done


def cut_again(document: Document, cut: Cut) -> int:
    """Cut a stored document another way, beside its standard passages; how many there are.

    One that is cut so already stays as it is. Vectors are made by ``embed_pending``.
    """
    with transaction.atomic():
        Document.objects.select_for_update().get(pk=document.pk)
        there = Passage.objects.filter(document=document, cut=cut.name).count()
        if there:
            return there
        made = windows(blocks_of(document), cut)
        Passage.objects.bulk_create(_rows(document, made, cut.name), batch_size=500)
    return len(made)


def blocks_of(document: Document) -> list[Block]:
    """A stored document's text in reading order, put together from its standard passages."""
    rows = Passage.objects.filter(document=document, cut="").order_by("number")
    return [
        Block(text, heading, page)
        for text, heading, page in rows.values_list("text", "heading", "page")
    ]


def embedding_cost_usd(document_ids: Collection[UUID]) -> Decimal:
    """What the vectors of these documents have cost so far."""
    rows = Document.objects.filter(pk__in=document_ids).aggregate(cost=Sum("embedding_cost_usd"))
    return rows["cost"] or Decimal(0)


def passages_in(cut: str, document_ids: Collection[UUID]) -> int:
    """How many passages these documents have under a cut; empty is the standard one."""
    return Passage.objects.filter(document__in=document_ids, cut=cut).count()


@dataclass(frozen=True, slots=True)
class Quoted:
    """A passage that an answer had before it, and the current document that it stands in."""

    document_id: UUID
    client_id: UUID
    title: str
    text: str
    is_shared: bool
    is_cited: bool


def quoted(passages: Mapping[UUID, bool]) -> list[Quoted]:
    """These passages, cited ones (True) first; those of replaced documents are gone, and those of
    limited ones left out: what is proposed of them is read by others."""
    rows = Passage.objects.filter(pk__in=list(passages), document__limited_to=[]).select_related(
        "document"
    )
    found = [
        Quoted(row.document_id, row.client_id, row.document.title, row.text,
               row.document.is_shared, passages[row.pk])
        for row in rows.defer("embedding", "words")
    ]  # fmt: skip
    return sorted(found, key=lambda one: not one.is_cited)


def current(title: str, client_id: UUID) -> Document | None:
    """The client's current document of this title."""
    return Document.objects.filter(
        client_id=client_id, title=title, state=Document.State.CURRENT
    ).first()


def drop_cut(cut: str, document_ids: Collection[UUID]) -> int:
    """Remove passages of a cut that no live version asks for; how many documents had them."""
    dropped = 0
    for document in Document.objects.filter(pk__in=document_ids):
        if cut and cut not in cuts_in_use(document.title):
            dropped += bool(Passage.objects.filter(document=document, cut=cut).delete()[0])
    return dropped


def delete(document: Document) -> None:
    """Remove the document, its passages and marks, and every kept answer that quotes it."""
    with transaction.atomic():
        CachedAnswer.objects.filter(
            answer__output__citations__contains=[{"document_id": str(document.pk)}]
        ).delete()
        document.delete()


def embed_pending(*, document_id: UUID | None = None, limit: int = SWEEP_PASSAGES) -> int:
    """Embed passages that the current model has not embedded; returns how many it did.

    Each client pays for its own. One whose budget has no more is passed over; others are not.
    """
    model = embedding.current_model()
    rows = Passage.objects.exclude(embedding_model=model).order_by("id")
    if document_id is not None:
        rows, limit = rows.filter(document_id=document_id), 1_000_000
    rows = rows.only("id", "client_id", "document_id", "heading", "text")
    done, short = 0, set[UUID]()
    while done < limit:
        first = rows.exclude(client_id__in=short).first()
        if first is None:
            break
        batch = list(rows.filter(client_id=first.client_id)[: embedding.BATCH])
        if not batch:  # somebody else did them
            continue
        try:
            texts = [f"{p.heading}\n{p.text}" for p in batch]
            made = embedding.embed(texts, model, payer=Payer.of(first.client_id))
        except (Unavailable, BudgetExceeded) as error:
            logs.event(logger, "agents.knowledge.unembedded", level=logging.WARNING, model=model,
                       client=str(first.client_id),
                       why=getattr(error, "why", error.code))  # fmt: skip
            if isinstance(error, Unavailable) or error.budget == FIRM_BUDGET:
                break
            short.add(first.client_id)
            continue
        for passage, vector in zip(batch, made.vectors, strict=True):
            passage.embedding, passage.embedding_model = vector, model
        with transaction.atomic():  # first the document, as who replaces it does
            Document.objects.filter(pk=batch[0].document_id).update(
                embedding_cost_usd=F("embedding_cost_usd") + made.cost_usd
            )
            Passage.objects.bulk_update(batch, ["embedding", "embedding_model"])
        done += len(batch)
    return done


@transaction.atomic
def _store(document: Document, cut: list[Chunk]) -> Document | None:
    """Replace what bears the same title; its passages go, its row stays as history.

    One at a time for a title: returns what somebody else has stored meanwhile with this content.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"document {document.client_id} {document.title}"],
        )
    before = Document.objects.select_for_update().filter(
        client_id=document.client_id, title=document.title, state=Document.State.CURRENT
    )
    for old in before:
        if old.digest == document.digest:
            return old
        Passage.objects.filter(document=old).delete()
        Document.objects.filter(pk=old.pk).update(state=Document.State.REPLACED)
    document.save(force_insert=True)
    Passage.objects.bulk_create(_rows(document, cut, ""), batch_size=500)
    return None


def _rows(document: Document, made: list[Chunk], cut: str) -> list[Passage]:
    return [
        Passage(
            client_id=document.client_id,
            document=document,
            cut=cut,
            number=one.number,
            heading=one.heading,
            page=one.page,
            text=one.text,
            tokens=one.tokens,
        )
        for one in made
    ]


def _update(document: Document, given: Given) -> None:
    for name in ("source", "as_of", "expires_at", "is_shared"):
        setattr(document, name, getattr(given, name))
    document.limited_to = list(given.limited_to or ())
    document.save(update_fields=["source", "as_of", "expires_at", "is_shared", "limited_to"])
