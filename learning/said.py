"""What people and checks said of recorded work, as plain rows for those who look for patterns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from config.partitions import first_id
from learning.models import Feedback, Score, Subject
from workflows import evidence

# Ratings that count as a complaint.
BAD_RATING = 2
MOST_SCORES = 500


@dataclass(frozen=True, slots=True)
class Complaint:
    """One complaint, suggestion or bad rating with words."""

    id: UUID
    client_id: UUID
    agent_slug: str
    user_id: UUID | None
    run_id: UUID | None
    invocation_id: UUID | None
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Correction:
    """One corrected answer of an agent: what it should have said, and why."""

    id: UUID
    client_id: UUID
    agent_slug: str
    invocation_id: UUID
    corrected: str
    reason: str


def complaints(since: datetime, until: datetime, *, limit: int) -> list[Complaint]:
    """The newest complaints, and bad ratings and corrections that say why, oldest first."""
    rows = Feedback.objects.filter(
        id__gte=first_id(since), id__lt=first_id(until), superseded_at=None
    ).order_by("-id")
    found = []
    for row in rows.iterator(chunk_size=500):
        text = _words(row)
        if text:
            found.append((row, text))
        if len(found) == limit:
            break
    steps = [row.subject_id for row, _ in found if row.subject_kind == Subject.STEP]
    runs = evidence.runs_of(steps) if steps else {}
    return [_complaint(row, text, runs) for row, text in reversed(found)]


def corrections(since: datetime, until: datetime, *, limit: int) -> list[Correction]:
    """The newest standing corrections of invocations, oldest first."""
    rows = Feedback.objects.filter(
        id__gte=first_id(since), id__lt=first_id(until), superseded_at=None,
        kind=Feedback.Kind.CORRECTION, subject_kind=Subject.INVOCATION,
    ).exclude(agent_slug="")  # fmt: skip
    return [
        Correction(row.pk, row.client_id, row.agent_slug, row.subject_id, row.corrected_output,
                   row.reason or row.text)
        for row in reversed(rows.order_by("-id")[:limit])
    ]  # fmt: skip


def correction_of_run(run_id: UUID) -> str | None:
    """What somebody said that the outputs of a run should have been, the latest; None if nobody."""
    rows = Feedback.objects.filter(
        subject_kind=Subject.RUN, subject_id=run_id, kind=Feedback.Kind.CORRECTION,
        superseded_at=None,
    ).exclude(corrected_output="")  # fmt: skip
    return rows.order_by("-id").values_list("corrected_output", flat=True).first()


def scores_of(version_id: UUID, since: datetime, until: datetime) -> dict[str, list[float]]:
    """The newest scores of a version's work by name, ratings among them, oldest first."""
    window = {
        "version_id": version_id, "id__gte": first_id(since), "id__lt": first_id(until),
        "superseded_at": None, "split_epoch": None,
    }  # fmt: skip
    found: dict[str, list[float]] = defaultdict(list)
    scores = Score.objects.filter(**window).order_by("-id").values_list("name", "value")
    ratings = Feedback.objects.filter(**window, rating__isnull=False).order_by("-id")
    for name, value in reversed(scores[: 10 * MOST_SCORES]):
        found[name].append(value)
    for rating in reversed(ratings.values_list("rating", flat=True)[:MOST_SCORES]):
        found["rating"].append(float(rating or 0))
    return {name: values[-MOST_SCORES:] for name, values in found.items()}


def _words(row: Feedback) -> str:
    """What the row complains of; empty for praise, good ratings and those without words."""
    text = row.text.strip() or row.reason.strip()
    if row.kind in (Feedback.Kind.COMPLAINT, Feedback.Kind.CORRECTION):
        return text
    if row.kind == Feedback.Kind.RATING and row.rating is not None and row.rating <= BAD_RATING:
        return text
    return ""


def wished(row: Feedback) -> str:
    """What the row complains of or suggests; empty for all else."""
    return row.text.strip() if row.kind == Feedback.Kind.SUGGESTION else _words(row)


def person(row: Feedback) -> str:
    """Who said it: one person, with however many keys."""
    return str(row.author_id or row.author_key)


def _complaint(row: Feedback, text: str, runs: Mapping[UUID, UUID]) -> Complaint:
    about = row.subject_kind, row.subject_id
    return Complaint(
        id=row.pk,
        client_id=row.client_id,
        agent_slug=row.agent_slug,
        user_id=row.author_id,
        run_id=about[1] if about[0] == Subject.RUN else runs.get(about[1]),
        invocation_id=about[1] if about[0] == Subject.INVOCATION else None,
        text=text,
        at=row.created_at,
    )
