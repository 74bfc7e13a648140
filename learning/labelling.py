"""What retrieval is tuned on: an agent's documents, and questions with what answers them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils import timezone

from agents import evidence, recordings
from agents.domain.retrieval import Weights, weights_from
from agents.knowledge import index, quoting
from agents.knowledge.marks import Marked, marked
from config.errors import Conflict, InvalidInput
from learning.domain import retrieving
from learning.domain.splits import digest_of, split

HELD_OUT_RATIO = 0.4
# Fewer labelled questions can't tell one way of cutting from another.
MIN_QUESTIONS = 10
MOST_QUESTIONS, MOST_MARKS, MOST_DOCUMENTS = 200, 1_000, 200
MOST_CONTEXT_TOKENS = 16_000
PRESENT = "present"


@dataclass(frozen=True, slots=True)
class Labelled:
    """A question and what a good context for it holds; ``source`` says who says so."""

    text: str
    client_id: UUID
    wanted: tuple[str, ...]
    source: str

    @property
    def key(self) -> str:
        """The same question of the same client, whatever answers it."""
        return digest_of([self.text, str(self.client_id)])


@dataclass(frozen=True, slots=True)
class Mark:
    """What a reader thought of a passage in the answer to ``question``.

    ``weight``: all that one reader says of one passage weighs 1, in however many answers.
    """

    question: Labelled
    passage_id: UUID
    is_helpful: bool
    weight: float


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to find passages: how they are cut (empty: the standard way), how they rank."""

    name: str
    cut: str
    weights: Weights


@dataclass(frozen=True, slots=True)
class Ground:
    """What is tuned on: the version's settings, its documents, and the labels."""

    base: Any
    sources: list[str]
    document_ids: list[UUID]
    present: Setting
    context_tokens: int
    tune: list[Labelled]
    held: list[Labelled]
    marks: list[Mark]

    @property
    def titles(self) -> list[str]:
        """What search is narrowed to; empty for every document."""
        return [] if index.ANY_SOURCE in self.sources else self.sources


def ground_of(
    agent: str, client_id: UUID, questions: Sequence[Mapping[str, str]], context_tokens: int | None
) -> Ground:
    """All of it, split for good. Raises NotFound, Conflict or InvalidInput."""
    base = evidence.production(agent)
    settings = base.retrieval
    sources = list(settings.get("sources") or ())
    # What is limited is found for nobody in particular: its questions would all count as missed.
    every = index.quotable_documents(sources, for_all=True)
    documents = list(every[: MOST_DOCUMENTS + 1]) if sources else []
    if not documents:
        raise Conflict(f"agent {agent}", "without documents to quote",
                       "sources that exist and are limited to nobody")  # fmt: skip
    if len(documents) > MOST_DOCUMENTS:
        raise Conflict(f"agent {agent}", f"over {MOST_DOCUMENTS} documents", "fewer sources")
    length = context_tokens or int(settings.get("max_tokens", quoting.MAX_TOKENS))
    if not 1 <= length <= MOST_CONTEXT_TOKENS:
        raise InvalidInput("context_tokens", length, f"from 1 to {MOST_CONTEXT_TOKENS}")
    ids = [document.pk for document in documents]
    marks = _marks(agent, ids)
    labelled = [
        Labelled(one["question"], client_id, retrieving.wanted_of(one["answer"]), "given")
        for one in questions
    ] + [one.question for one in marks if one.is_helpful]
    once = {digest_of([one.key, one.wanted]): one for one in labelled}
    found = list(once.values())[:MOST_QUESTIONS]
    first, held = split(found, key=lambda one: one.key, held_out_ratio=HELD_OUT_RATIO, seed=agent)
    if len(found) < MIN_QUESTIONS or not held:
        raise Conflict(f"labelled questions of {agent}", str(len(found)),
                       f"at least {MIN_QUESTIONS}, of marks or given")  # fmt: skip
    present = Setting(PRESENT, str(settings.get("cut", "")),
                      weights_from(settings.get("weights") or {}))  # fmt: skip
    return Ground(base, sources, ids, present, length, first, held, marks)


def _marks(agent: str, document_ids: Sequence[UUID]) -> list[Mark]:
    """Readers' marks with the question that the marked answer was about."""
    rows = marked(document_ids, limit=MOST_MARKS)
    ids = list({row.invocation_id for row in rows})
    if not ids:
        return []
    now = timezone.now()
    calls = {
        call.id: call
        for call in recordings.recorded_calls(agent, since=now, until=now, limit=len(ids), ids=ids)
    }
    found: list[tuple[Labelled, Marked]] = []
    for row in rows:
        call = calls.get(row.invocation_id)
        question = quoting.question_of(call.inputs, call.messages).strip() if call else ""
        wanted = retrieving.needles(row.text)
        if call is not None and question and wanted:
            label = Labelled(question, call.client_id, wanted, "marked")
            found.append((label, row))
    times = Counter((row.reader, row.passage_id) for _, row in found)
    return [
        Mark(label, row.passage_id, row.is_helpful, 1 / times[row.reader, row.passage_id])
        for label, row in found
    ]
