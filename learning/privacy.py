"""What learning knows of a person: what they said of answers, and what was made of their calls."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import F, Func, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, Coalesce, Concat, Now

from agents import privacy as agents
from config.privacy import ERASED, Subject, another_name, as_rows, names_of, take_name_off
from learning.models import (
    AskingPolicy,
    Example,
    Experiment,
    Feedback,
    FeedbackRequest,
    Holdout,
    Improvement,
    Judge,
    Layer,
    Pattern,
    PatternCount,
    Preference,
    Replay,
    ReplayCase,
    Rollout,
    Score,
    Study,
    Tombstone,
    TuningJob,
)

_NAMED = (
    (AskingPolicy, "changed_by"),
    (Experiment, "created_by"),
    (Experiment, "state_by"),
    (Feedback, "category_by"),
    (FeedbackRequest, "asked_by"),
    (Holdout, "opened_by"),
    (Holdout, "closed_by"),
    (Improvement, "proposed_by"),
    (Judge, "created_by"),
    (Layer, "created_by"),
    (Replay, "asked_by"),
    (Rollout, "created_by"),
    (Rollout, "state_by"),
    (Study, "asked_by"),
    (Tombstone, "raised_by"),
    (TuningJob, "asked_by"),
)
# Where evidence says who did by hand what it is about.
_DONE = ("done", "done_before")


def export_subject(subject: Subject) -> dict[str, list[dict[str, Any]]]:
    """Feedback, scores of the person's calls, and the examples made of either."""
    calls = agents.calls_of(subject.id)
    return {
        "feedback": as_rows(_feedback(subject).order_by("id")),
        "scores": as_rows(_scores(calls).order_by("id")),
        "examples": as_rows(_examples(subject, calls).order_by("id")),
    }


def erase_subject(subject: Subject, *, keep_records: bool) -> dict[str, int]:
    """Erase words and names; ratings and scores stay as numbers that belong to nobody.

    An erased example is retired, and its text is gone. Versions that were published with it keep
    the redacted form that a reviewer approved.
    """
    signed = _take_off_signatures(subject, keep_records=keep_records)  # before its names are gone
    calls = agents.calls_of(subject.id)
    counts = PatternCount.objects.filter(user_ids__contains=[subject.id])
    patterns = list(counts.values_list("pattern_id", flat=True))
    done = {
        "examples": _retire(_examples(subject, calls)),
        "scores": _scores(calls).exclude(reason="").update(reason=""),
        "preferences": Preference.objects.filter(Q(first_id__in=calls) | Q(second_id__in=calls))
        .exclude(reason="")
        .update(reason=""),
        "replay_cases": ReplayCase.objects.filter(recorded_id__in=calls).update(
            baseline_missing=[], candidate_missing=[], recorded_id=None
        ),
        # Whose words a pattern shows is not kept; the next daily cycle finds another example.
        "patterns": Pattern.objects.filter(pk__in=patterns).exclude(example="").update(example=""),
        "feedback_requests": FeedbackRequest.objects.filter(user_id=subject.id).delete()[0],
        "signatures": signed,
        "names": take_name_off(subject, _NAMED),
    }
    for model in (Feedback, Score):
        model._base_manager.filter(unit=str(subject.id)).update(unit=another_name(subject.id))
    counts.update(user_ids=Func(F("user_ids"), Value(subject.id), function="array_remove"))
    said = _feedback(subject)
    said.filter(kind=Feedback.Kind.CORRECTION).update(corrected_output=ERASED)
    done["feedback"] = said.update(
        text="",
        reason="",
        author=None,
        author_key=Concat(Value("erased-"), Cast("id", TextField())),
    )
    return done


def _take_off_signatures(subject: Subject, *, keep_records: bool) -> int:
    """Take the person off what it answered for, did by hand or edited; that it was done stays.

    Its words go as well, but with ``keep_records``.
    """
    known = names_of(subject)
    mine = Q(override__user_id=str(subject.id)) | Q(override__by__in=known)
    shown = Q(evidence__edited_by__in=known)
    for key in _DONE:
        shown |= Q(**{f"evidence__{key}__user_id": str(subject.id)})
        shown |= Q(**{f"evidence__{key}__by__in": known})
    rows = list(Improvement.objects.select_for_update().filter(mine | shown))
    for row in rows:
        row.override = _unsigned(subject, row.override, "reason", keep_records=keep_records)
        row.evidence = _unsigned_evidence(subject, row.evidence, keep_records=keep_records)
        row.save(update_fields=["override", "evidence"])
    barred = list(Tombstone.objects.select_for_update().filter(shown))
    for tombstone in barred:
        tombstone.evidence = _unsigned_evidence(
            subject, tombstone.evidence, keep_records=keep_records
        )
        tombstone.save(update_fields=["evidence"])
    if not keep_records:
        decided = Improvement.objects.filter(decided_by_id=subject.id)
        decided.exclude(decision_reason="").update(decision_reason=ERASED)
        Tombstone.objects.filter(raised_by__in=known).update(reason=ERASED)
    return len(rows) + len(barred)


def _unsigned_evidence(
    subject: Subject, shown: dict[str, Any], *, keep_records: bool
) -> dict[str, Any]:
    done: dict[str, Any] = {
        key: _unsigned(subject, shown[key], "note", keep_records=keep_records)
        for key in _DONE if key in shown
    }  # fmt: skip
    if shown.get("edited_by") in names_of(subject):
        because = shown.get("edited_because", "") if keep_records else ERASED
        done |= {"edited_by": ERASED, "edited_because": because}
    return {**shown, **done}


def _unsigned(
    subject: Subject, told: dict[str, Any], words: str, *, keep_records: bool
) -> dict[str, Any]:
    is_mine = told.get("user_id") == str(subject.id) or told.get("by") in names_of(subject)
    if not is_mine:
        return told
    return {**told, "by": ERASED, "user_id": None} | ({} if keep_records else {words: ERASED})


def _retire(rows: QuerySet[Example]) -> int:
    return rows.update(
        state=Example.State.RETIRED, decided_at=Coalesce("decided_at", Now()), question=ERASED,
        before=[], answer=ERASED, wrong_answer="", reason="", digest="", invocation_id=None,
    )  # fmt: skip


def _feedback(subject: Subject) -> QuerySet[Feedback]:
    return Feedback.objects.filter(Q(author_id=subject.id) | Q(author_key=subject.principal))


def _scores(calls: list[UUID]) -> QuerySet[Score]:
    return Score.objects.filter(subject_kind="invocation", subject_id__in=calls)


def _examples(subject: Subject, calls: list[UUID]) -> QuerySet[Example]:
    said = _feedback(subject).values("id")
    return Example.objects.filter(Q(invocation_id__in=calls) | Q(feedback_id__in=said))
