"""Take what people and checks say about recorded work; early, late or again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from agents import conversations, sight
from agents import queries as agents
from config import logs
from config.access import hiding
from config.access.callers import Caller
from config.errors import Conflict, InvalidInput, NotFound
from learning.domain.categories import Category, category_of
from learning.models import Feedback, Judge, Score, Subject
from monitoring import services as monitoring
from workflows import queries as workflows

logger = logging.getLogger(__name__)
# Ratings above this are no issue.
MIDDLING = 3
# Rows of one INSERT.
ROWS_AT_ONCE = 1_000
# People who speak for quality, and whose word is told apart from a user's.
_SOURCES = (("reviewer", Feedback.Source.QUALITY), ("manager", Feedback.Source.MANAGER))


def give(
    *,
    caller: Caller,
    subject_kind: str,
    subject_id: UUID,
    kind: str,
    rating: int | None = None,
    text: str = "",
    corrected_output: str = "",
    reason: str = "",
    category: str = "",
) -> Feedback:
    """Store one piece of feedback; the same person's earlier one of its kind becomes history.

    ``category`` may be any word and is kept as given; one that is no Category counts as other.
    Raises NotFound for a subject that the caller may not see, InvalidInput for what is missing.
    """
    _check(kind, rating, text, corrected_output)
    about = subject(caller, subject_kind, subject_id)
    values: dict[str, Any] = {
        **about, "kind": kind, "rating": rating, "text": text,
        "category": category.strip() or _assigned(kind, rating, f"{text} {reason}"),
        "corrected_output": corrected_output, "reason": reason, "author_id": caller.user_id,
        "author_key": caller.principal, "source": _source_of(caller),
    }  # fmt: skip
    identity = {name: values[name] for name in ("subject_kind", "subject_id", "kind", "author_key")}
    row: Feedback = _latest(Feedback, identity, values)
    logs.event(logger, "learning.feedback.given", feedback=str(row.pk), kind=kind,
               subject=subject_kind)  # fmt: skip
    _measure(row)
    return row


# The score that objectives and the accuracy rule read.
ACCURACY = "accuracy"


def score(
    *,
    caller: Caller,
    subject_kind: str,
    subject_id: UUID,
    name: str,
    value: float,
    source: str,
    source_version: str = "",
    reason: str = "",
) -> Score:
    """Store a named number; the latest of its source and version counts."""
    if source not in Score.Source.values:
        raise InvalidInput("source", source, f"one of {', '.join(Score.Source.values)}")
    if source == Score.Source.JUDGE and not source_version:
        raise InvalidInput("source_version", source_version, "a judge names its version")
    values = {
        **subject(caller, subject_kind, subject_id), "name": name, "value": value,
        "source": source, "source_version": source_version, "reason": reason,
    }  # fmt: skip
    keys = ("subject_kind", "subject_id", "name", "source", "source_version")
    row: Score = _latest(Score, {key: values[key] for key in keys}, values)
    if name == ACCURACY and 0 <= value <= 1 and _counts(row):
        monitoring.record([monitoring.Measurement({"accuracy_ratio": value}, _labels_of(row))])
    return row


def _counts(row: Score) -> bool:
    """Whether objectives and alerts may read it: not from a judge that was not measured well."""
    if row.source != Score.Source.JUDGE:
        return True
    known = Judge.objects.filter(name=row.name, version=row.source_version)
    return known.filter(state=Judge.State.ADMITTED).exists()


def score_all(
    *,
    caller: Caller,
    name: str,
    source: str,
    values: Mapping[UUID, float],
    source_version: str = "",
    reasons: Mapping[UUID, str] | None = None,
) -> int:
    """Store one number for each invocation at once; how many. The latest of its source counts.

    Invocations that are not there, or that the caller may not see, are left out.
    """
    if source not in Score.Source.values:
        raise InvalidInput("source", source, f"one of {', '.join(Score.Source.values)}")
    kept = {"name": name, "source": source, "source_version": source_version}
    about = {"subject_kind": Subject.INVOCATION, "subject_id__in": list(values)}
    rows = [
        Score(subject_kind=Subject.INVOCATION, subject_id=one.pop("id"), **one, **kept)
        for one in agents.subjects(caller, list(values))
    ]
    for row in rows:
        row.value = values[row.subject_id]
        row.reason = (reasons or {}).get(row.subject_id, "")
    with transaction.atomic():
        Score.objects.filter(**about, **kept, superseded_at=None).update(
            superseded_at=timezone.now()
        )
        Score.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE)
    return len(rows)


def _assigned(kind: str, rating: int | None, words: str) -> str:
    """The kind of issue that an unhappy word is about; praise and good ratings have none."""
    if kind == Feedback.Kind.PRAISE or (kind == Feedback.Kind.RATING and (rating or 0) > MIDDLING):
        return ""
    return category_of(words)


@transaction.atomic
def recategorise(*, caller: Caller, feedback_id: UUID, category: str) -> Feedback:
    """Correct the category that was assigned; raises NotFound, InvalidInput, Forbidden.

    Whoever said it may, and whoever decides about improvements.
    """
    if category not in set(Category):
        raise InvalidInput("category", category, f"one of {', '.join(Category)}")
    row = visible(caller).filter(pk=feedback_id).first()
    if row is None:
        raise NotFound("feedback", feedback_id)
    if row.author_key != caller.principal:
        caller.require("learning:decide", "correct the category of what others said")
    Feedback.objects.filter(pk=row.pk).update(category=category, category_by=caller.name[:80])
    monitoring.audit(
        actor=caller.principal, action="learning.feedback.recategorised",
        target=f"feedback:{row.pk}", client_id=row.client_id, user_id=caller.user_id,
        before={"category": row.category}, after={"category": category},
    )  # fmt: skip
    row.refresh_from_db()
    return row


def visible(caller: Caller) -> QuerySet[Feedback]:
    """Feedback of the clients that the caller sees; external people see only their own.

    What is said of a run that is hidden from the caller, or of a step or call in it, is hidden too;
    so is what is said of a conversation that quoted what the caller may not read.
    """
    rows = _unhidden(caller, caller.only_visible(Feedback.objects.all()))
    is_machine = caller.client_ids is None and not caller.roles  # a reader without a person
    if caller.roles <= {"external"} and not is_machine:
        rows = rows.filter(author_id=caller.user_id)
    return rows


def visible_scores(caller: Caller) -> QuerySet[Score]:
    """Scores of the clients that the caller sees, without those of runs hidden from the caller."""
    return _unhidden(caller, caller.only_visible(Score.objects.all()))


def _unhidden(caller: Caller, rows: QuerySet[Any]) -> QuerySet[Any]:
    runs, calls = hiding.hidden_runs(caller), sight.hidden_invocations(caller)
    about = OuterRef("subject_id")
    if runs is not None:
        rows = rows.exclude(Exists(runs.filter(pk=about))).exclude(Exists(runs.filter(steps=about)))
    talks = sight.hidden_conversations(caller)
    for hidden in (calls, talks):
        rows = rows if hidden is None else rows.exclude(Exists(hidden.filter(pk=about)))
    return rows


def of_category(rows: QuerySet[Feedback], category: str) -> QuerySet[Feedback]:
    """``rows`` of one category; ``other`` holds those that people named in words of their own."""
    if category != Category.OTHER:
        return rows.filter(category=category)
    return rows.exclude(category__in=["", *(set(Category) - {Category.OTHER})])


def subject(caller: Caller, kind: str, subject_id: UUID) -> dict[str, Any]:
    """The subject's client, agent, version and unit; raises NotFound, InvalidInput.

    Of a conversation its agent's last answer; of a run the last one of its agent, where one alone
    answered in it: what is said then counts for that version and unit.
    """
    found: dict[str, Any] = {"subject_kind": kind, "subject_id": subject_id}
    if kind == Subject.INVOCATION:
        one = agents.invocation_detail(caller, subject_id)
        return found | {
            "client_id": one["client_id"], "agent_slug": one["agent_slug"],
            "version_id": one["version_id"], "unit": one["unit"],
            "split_epoch": one["split_epoch"],
        }  # fmt: skip
    if kind == Subject.CONVERSATION:
        talk = conversations.find(caller, subject_id)
        answered = agents.only_agent_in(conversation_id=subject_id, agent=talk.agent_slug)
        return found | {"client_id": talk.client_id} | answered
    if kind not in Subject.values:
        raise InvalidInput("subject_kind", kind, f"one of {', '.join(Subject.values)}")
    runs = workflows.visible_runs(caller)
    rows = runs.filter(pk=subject_id) if kind == Subject.RUN else runs.filter(steps=subject_id)
    run = rows.first()
    if run is None:
        raise NotFound(kind, subject_id)
    return found | {"client_id": run.client_id} | _of_step(caller, kind, run.pk, subject_id)


def _of_step(caller: Caller, kind: str, run_id: UUID, step_id: UUID) -> dict[str, Any]:
    """The agent that did a step, if one did: its last attempt; of a run its only agent."""
    if kind != Subject.STEP:
        return agents.only_agent_in(run_id=run_id)
    for call in agents.recent_invocations(caller, run_id=run_id, step_id=step_id, limit=1):
        one = agents.invocation_detail(caller, call["id"])
        return {key: one[key] for key in ("agent_slug", "version_id", "unit", "split_epoch")}
    return {}


def _check(kind: str, rating: int | None, text: str, corrected: str) -> None:
    if kind not in Feedback.Kind.values:
        raise InvalidInput("kind", kind, f"one of {', '.join(Feedback.Kind.values)}")
    if rating is not None and not 1 <= rating <= 5:
        raise InvalidInput("rating", rating, "from 1 to 5")
    if kind == Feedback.Kind.RATING and rating is None:
        raise InvalidInput("rating", rating, "a rating from 1 to 5")
    if kind == Feedback.Kind.CORRECTION and not corrected.strip():
        raise InvalidInput("corrected_output", corrected, "what the output should have been")
    if kind in ("suggestion", "complaint") and not text.strip():
        raise InvalidInput("text", text, f"the {kind} in words")


def _source_of(caller: Caller) -> str:
    if caller.user_id is None:  # Ratchet itself, and nobody behind it
        return Feedback.Source.SYSTEM
    for role, source in _SOURCES:
        if role in caller.roles:
            return source
    return Feedback.Source.USER


def _latest(model: Any, identity: dict[str, Any], values: dict[str, Any]) -> Any:
    """Insert the row and supersede the standing one; two at once leave one standing."""
    for _ in range(5):
        try:
            with transaction.atomic():
                model.objects.filter(**identity, superseded_at=None).update(
                    superseded_at=timezone.now()
                )
                return model.objects.create(**values)
        except IntegrityError:
            continue  # another request was quicker: it is history now
    raise Conflict(f"feedback on {identity['subject_id']}", "being written", "a moment's patience")


def _measure(row: Feedback) -> None:
    """Feedback's rate and ratings are metrics beside all others."""
    numbers = {"feedback": 1.0}
    if row.rating is not None:
        numbers["satisfaction_score"] = float(row.rating)
    if row.kind == Feedback.Kind.CORRECTION and row.subject_kind != Subject.CONVERSATION:
        numbers["rework"] = 1.0
    others = Feedback.objects.filter(subject_kind=row.subject_kind, subject_id=row.subject_id)
    if row.subject_kind == Subject.RUN and not others.exclude(pk=row.pk).exists():
        numbers["runs_with_feedback"] = 1.0
    monitoring.record([monitoring.Measurement(numbers, _labels_of(row))])


def _labels_of(row: Feedback | Score) -> dict[str, str]:
    labels = {"agent": row.agent_slug, "client": str(row.client_id)}
    if row.agent_slug:
        labels["domain"] = agents.domain_of(row.agent_slug)
    if row.version_id:
        labels["version"] = agents.number_of_version(row.version_id)
    return labels
