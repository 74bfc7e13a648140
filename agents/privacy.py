"""What agents know of a person: conversations, calls, and what the tokens in them stand for.

A call stays as a row of figures (whose cost, how long, which version); its texts go.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet, Subquery

from agents import cache, queueing
from agents.models import (
    AgentVersion,
    AsyncCall,
    Batch,
    BatchItem,
    CachedAnswer,
    Conversation,
    Document,
    Invocation,
    Label,
    ModelCall,
    PassageMark,
    Review,
    ToolCall,
    TrafficSplit,
    Turn,
)
from config.privacy import Subject, another_name, as_rows, take_name_off

_BLANK_CALL: dict[str, Any] = {
    "inputs": {},
    "prompt": "",
    "output": {},
    "findings": [],
    "sealed": "",
    "error": None,
    "user_id": None,
    "key_id": None,
}


# Where a person's name stands as the author of something that stays.
_NAMED = (
    (AgentVersion, "created_by"),
    (Document, "created_by"),
    (Label, "moved_by"),
    (TrafficSplit, "opened_by"),
)


def export_subject(subject: Subject) -> dict[str, list[dict[str, Any]]]:
    """Conversations with their turns, calls with their requests, marks on passages."""
    calls = _calls(subject)
    return {
        "conversations": as_rows(_talks(subject)),
        "turns": as_rows(Turn.objects.filter(conversation__in=_talks(subject)).order_by("id")),
        "invocations": as_rows(calls.order_by("id")),
        "model_calls": as_rows(ModelCall.objects.filter(invocation_id__in=calls.values("id"))),
        "tool_calls": as_rows(_tool_calls(subject)),
        "queued_calls": as_rows(AsyncCall.objects.filter(user_id=subject.id)),
        "batches": as_rows(Batch.objects.filter(user_id=subject.id)),
        "batch_items": as_rows(BatchItem.objects.filter(batch__user_id=subject.id)),
        "reviews": as_rows(Review.objects.filter(user_id=subject.id)),
        "passage_marks": as_rows(PassageMark.objects.filter(principal=subject.principal)),
    }


def erase_subject(subject: Subject, *, keep_records: bool) -> dict[str, int]:
    """Delete what the person said, blank what was asked and answered for them."""
    calls = _calls(subject)
    if keep_records:  # what a run did is its client's record
        Invocation.objects.filter(user_id=subject.id, run_id__isnull=False).update(
            user_id=None, key_id=None
        )
        ToolCall.objects.filter(user_id=subject.id, run_id__isnull=False).update(user_id=None)
    done = {
        "model_calls": ModelCall.objects.filter(invocation_id__in=calls.values("id")).update(
            messages=[], answer={}
        ),
        "tool_calls": _tool_calls(subject).update(
            arguments={}, result=None, error=None, user_id=None
        ),
        # Which cached answer was the person's is not kept: all of those agents' go.
        "cached_answers": cache.forget_answers(_cached(subject)),
        "queued_calls": AsyncCall.objects.filter(user_id=subject.id).delete()[0],
        "batches": queueing.forget(user_id=subject.id),
        "turns": Turn.objects.filter(conversation__in=_talks(subject)).delete()[0],
        "reviews": Review.objects.filter(user_id=subject.id).delete()[0],
        "passage_marks": PassageMark.objects.filter(principal=subject.principal).delete()[0],
    }
    # Experiments count units once: another name for the same unit keeps them countable.
    Invocation.objects.filter(unit=str(subject.id)).update(unit=another_name(subject.id))
    done["invocations"] = calls.update(**_BLANK_CALL)
    done["conversations"] = _talks(subject).delete()[0]
    done["names"] = take_name_off(subject, _NAMED)
    return done


def calls_of(subject_id: UUID) -> list[UUID]:
    """The ids of the person's calls, for those who keep something about them."""
    return list(_calls(Subject(subject_id)).values_list("id", flat=True))


def _talks(subject: Subject) -> QuerySet[Conversation]:
    return Conversation.objects.filter(user_id=subject.id)


def _calls(subject: Subject) -> QuerySet[Invocation]:
    in_talks = Q(conversation_id__in=Subquery(_talks(subject).values("id")))
    return Invocation.objects.filter(Q(user_id=subject.id) | in_talks)


def _tool_calls(subject: Subject) -> QuerySet[ToolCall]:
    of_calls = Q(invocation_id__in=Subquery(_calls(subject).values("id")))
    return ToolCall.objects.filter(Q(user_id=subject.id) | of_calls)


def _cached(subject: Subject) -> QuerySet[CachedAnswer]:
    pairs = set(_calls(subject).values_list("client_id", "agent_id"))
    wanted = Q(pk=None)
    for client_id, agent_id in pairs:
        wanted |= Q(client_id=client_id, agent_id=agent_id)
    return CachedAnswer.objects.filter(wanted)
