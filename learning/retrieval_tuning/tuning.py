"""One tuning from its questions to its document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.cache import cache

from agents.domain.chunking import cut_named
from agents.knowledge import index
from config.errors import Conflict, InvalidInput
from learning.domain.retrieving import CONFIGURATIONS
from learning.labelling import MOST_DOCUMENTS, Ground, Setting, ground_of
from learning.models import Study
from learning.retrieval_tuning.proposing import proposed
from learning.retrieval_tuning.scoring import best_of, held_out, scored, weighed

GOAL = "retrieval"
# One tuning at a time: another could remove the passages that this one measures.
LOCK, LOCK_SECONDS = "retrieval-tuning", 900
NOWHERE = ("no context held any of the answers: each is looked for as one stretch of words, as it "
           "stands in a document")  # fmt: skip


def tune(
    *,
    agent: str,
    client_id: UUID,
    asked_by: str,
    questions: Sequence[Mapping[str, str]] = (),
    configurations: Sequence[str] = CONFIGURATIONS,
    context_tokens: int | None = None,
    cap_usd: Decimal = Decimal("0.5"),
    propose: bool = False,
) -> dict[str, Any]:
    """Scores of each configuration at equal context length, the best one, and its worth.

    ``questions`` are labelled by hand: ``question`` and ``answer``, words that a right context
    holds; marks of readers on passages are added. ``propose`` makes an improvement of what is
    better. Raises NotFound, InvalidInput, or Conflict for an agent that quotes no documents, too
    few labels, or while another tuning runs.
    """
    for name in configurations:
        _checked(name)
    ground = ground_of(agent, client_id, questions, context_tokens)
    with _alone():
        study = Study.objects.create(
            client_id=client_id, agent_slug=agent, version_id=ground.base.pk, goals=[GOAL],
            cap_usd=cap_usd, asked_by=asked_by[:80],
        )  # fmt: skip
        spent_before = index.embedding_cost_usd(ground.document_ids)
        chosen = ground.present
        try:
            rows, notes = _configurations(ground, configurations, cap_usd, spent_before)
            if not any(max(row["by_context_tokens"].values()) for row in rows):
                notes.append(NOWHERE)
            chosen, weighing = weighed(ground, best_of(ground, rows))
            body = _document(study, ground, rows, chosen, weighing, notes)
            body["cost_usd"] = f"{index.embedding_cost_usd(ground.document_ids) - spent_before:f}"
            if propose:
                body["improvement"] = proposed(ground, study, chosen, body)
        finally:
            for name in configurations:
                index.drop_cut(name, ground.document_ids)
    Study.objects.filter(pk=study.pk).update(document=body, cost_usd=Decimal(body["cost_usd"]))
    return body


def tune_by_marks(slug: str, *, client_id: UUID) -> dict[str, Any] | None:
    """The weekly look: proposes from readers' marks alone; None where there is nothing to go on."""
    try:
        body = tune(agent=slug, client_id=client_id, asked_by="cycle", propose=True)
    except Conflict:
        return None
    return {"study": body["id"], "best": body["best"], "improvement": body.get("improvement")}


def _checked(name: str) -> None:
    try:
        cut_named(name)
    except ValueError as error:
        raise InvalidInput("configurations", name, str(error)) from None


@contextmanager
def _alone() -> Iterator[None]:
    if not cache.add(LOCK, 1, LOCK_SECONDS):
        raise Conflict("retrieval tuning", "running", "one at a time; try again later")
    try:
        yield
    finally:
        cache.delete(LOCK)


def _configurations(
    ground: Ground, configurations: Sequence[str], cap_usd: Decimal, spent_before: Decimal
) -> tuple[list[dict[str, Any]], list[str]]:
    """Each configuration's scores on the tuning questions, the present one first."""
    rows = [scored(ground, ground.present)]
    notes = []
    for name in configurations:
        if index.embedding_cost_usd(ground.document_ids) - spent_before >= cap_usd:
            notes.append(f"{name} was not tried: the cap was reached")
            continue
        open_to_all = index.quotable_documents(ground.sources, for_all=True)
        for document in open_to_all[:MOST_DOCUMENTS]:
            index.cut_again(document, cut_named(name))
            index.embed_pending(document_id=document.pk)
        rows.append(scored(ground, replace(ground.present, name=name, cut=name)))
    return rows, notes


def _document(
    study: Study,
    ground: Ground,
    rows: list[dict[str, Any]],
    chosen: Setting,
    weighing: dict[str, Any],
    notes: list[str],
) -> dict[str, Any]:
    changed = chosen != ground.present
    return {
        "id": str(study.pk), "agent": study.agent_slug, "version": ground.base.number,
        "context_tokens": ground.context_tokens,
        "questions": {
            "given": sum(q.source == "given" for q in (*ground.tune, *ground.held)),
            "marked": sum(q.source == "marked" for q in (*ground.tune, *ground.held)),
            "tuning": len(ground.tune), "held_out": len(ground.held),
        },
        "configurations": rows, "weights": weighing,
        "best": chosen.name, "is_changed": changed,
        "held_out": held_out(ground, chosen) if changed else None,
        "improvement": None, "notes": notes, "cost_usd": "0", "cap_usd": f"{study.cap_usd:f}",
        "currency": "USD",
    }  # fmt: skip
