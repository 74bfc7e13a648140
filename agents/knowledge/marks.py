"""Helpful or unhelpful: what callers think of passages, which moves them in later searches."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from agents.knowledge.search import visible_documents
from agents.models import Invocation, Passage, PassageMark
from config.access.callers import Caller
from config.access.hiding import of_visible_runs
from config.errors import InvalidInput, NotFound


@dataclass(frozen=True, slots=True)
class Marked:
    """What somebody thought of a passage in an answer: whose, which text, helpful or not."""

    invocation_id: UUID
    client_id: UUID
    passage_id: UUID
    text: str
    is_helpful: bool
    reader: str


def marked(document_ids: Collection[UUID], *, limit: int) -> list[Marked]:
    """The newest marks on passages of these documents that name the answer they are about."""
    rows = PassageMark.objects.filter(
        passage__document__in=document_ids, invocation_id__isnull=False
    ).order_by("-id")
    return [
        Marked(invocation, client, passage, text, helpful, reader)
        for invocation, client, passage, text, helpful, reader in rows.values_list(
            "invocation_id", "client_id", "passage_id", "passage__text", "is_helpful", "principal"
        )[:limit]
        if invocation is not None
    ]


@transaction.atomic
def mark(
    *, caller: Caller, passage_id: UUID, is_helpful: bool, invocation_id: UUID | None = None
) -> Passage:
    """Keep one caller's mark of a passage in one answer; a second one there replaces the first.

    The passage's own counts take each caller once, by the last word, whatever the answer.

    Raises NotFound for a passage or an answer that the caller may not see, InvalidInput for an
    answer that is on record without that passage.
    """
    if invocation_id is not None:
        _check_quoted(caller, invocation_id, passage_id)
    passage = (
        Passage.objects.select_for_update()
        .filter(pk=passage_id, document__in=visible_documents(caller))
        .first()
    )
    if passage is None:
        raise NotFound("passage", passage_id)
    principal = str(caller.user_id or caller.key_id)
    mine = PassageMark.objects.filter(passage=passage, principal=principal)
    before = mine.order_by("-created_at", "-id").first()
    said = {"is_helpful": is_helpful, "created_at": Now()}
    if not mine.filter(invocation_id=invocation_id).update(**said):
        PassageMark.objects.create(
            client_id=caller.home_client_id,
            passage=passage,
            principal=principal,
            is_helpful=is_helpful,
            invocation_id=invocation_id,
        )
    if before is None or before.is_helpful != is_helpful:
        _count(passage_id, is_helpful, 1)
    if before is not None and before.is_helpful != is_helpful:
        _count(passage_id, not is_helpful, -1)
    passage.refresh_from_db(fields=["helpful", "unhelpful"])
    return passage


def _check_quoted(caller: Caller, invocation_id: UUID, passage_id: UUID) -> None:
    calls = of_visible_runs(caller, Invocation.objects.filter(pk=invocation_id))
    said = calls.values_list("output", flat=True).first()
    if said is None:
        raise NotFound("invocation", invocation_id)
    # One that failed, was stopped or was too long to keep says nothing of what it had before it.
    is_kept = isinstance(said.get("text"), str) or "citations" in said
    if is_kept and str(passage_id) not in {one["passage_id"] for one in said.get("citations", ())}:
        raise InvalidInput("invocation_id", str(invocation_id), "an answer that had this passage")


def _count(passage_id: UUID, is_helpful: bool, by: int) -> None:
    name = "helpful" if is_helpful else "unhelpful"
    Passage.objects.filter(pk=passage_id).update(**{name: F(name) + by})
