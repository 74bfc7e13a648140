"""Talking with an agent turn by turn: what of the history it reads, and people in its place."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from agents import conversations, turns
from agents.calls import Answer, Call
from agents.domain import talks
from agents.domain.context import estimate_tokens
from agents.domain.guardrails.redact import redact
from agents.invoke import invoke
from agents.models import Conversation, Turn
from config.access.callers import Caller
from config.access.ids import uuid7
from config.errors import InvalidInput

# Tokens of history that a model reads beside the new question.
HISTORY_TOKENS = 3_000
MAX_TEXT = 20_000


def ask(
    talk: Conversation,
    text: str,
    *,
    user_id: UUID | None = None,
    key_id: UUID | None = None,
    stream: Callable[[str], None] | None = None,
    invocation_id: UUID | None = None,
) -> Answer:
    """The agent's answer to ``text`` after what was said before; both become turns.

    Raises Conflict where a person has taken over or the conversation is closed, InvalidInput for
    an empty or overlong text, and whatever ``invoke`` raises.
    """
    check_text(text)
    conversations.check_open(talk)
    history = turns.latest(talk.pk)
    memory = talks.remember(history.said, HISTORY_TOKENS, about=text)
    if memory.summary and memory.summary != talk.summary:
        Conversation.objects.filter(pk=talk.pk).update(summary=memory.summary)
    answer = invoke(
        Call(
            agent=talk.agent_slug,
            inputs={},
            client_id=talk.client_id,
            user_id=user_id,
            key_id=key_id,
            conversation_id=talk.pk,
            inherited=history.limited_to,
            messages=[*memory.messages, {"role": "user", "content": text}],
            is_remembered=True,
            stream=stream,
            invocation_id=invocation_id or uuid7(),
        )
    )
    conversations.note(
        talk_id=talk.pk,
        asked=text,
        answered=str(answer.output.get("text", "")),
        invocation_id=answer.invocation_id,
        went=answer.went,
    )
    return answer


@transaction.atomic
def say(talk: Conversation, role: str, text: str) -> Turn:
    """Keep what somebody said without asking the agent: while a person is in charge."""
    check_text(text)
    Conversation.objects.select_for_update().get(pk=talk.pk)
    last = talk.turns.aggregate(last=Max("number"))["last"] or 0
    masked = redact(text)
    Conversation.objects.filter(pk=talk.pk).update(last_turn_at=Now())
    return Turn.objects.create(
        client_id=talk.client_id,
        conversation=talk,
        number=last + 1,
        role=role,
        text=masked,
        tokens=estimate_tokens(masked),
    )


def move(talk: Conversation, state: str) -> Conversation:
    """Give the conversation back to its agent (``open``) or end it (``closed``)."""
    if state not in (Conversation.State.OPEN, Conversation.State.CLOSED):
        raise InvalidInput("state", state, "open or closed; a hand-over has a door of its own")
    Conversation.objects.filter(pk=talk.pk).update(state=state)
    talk.refresh_from_db()
    return talk


def check_text(text: str) -> None:
    """Raise InvalidInput for an empty or overlong text."""
    if not text.strip() or len(text) > MAX_TEXT:
        raise InvalidInput("text", f"{len(text)} characters", f"1 to {MAX_TEXT} characters")


def is_outsider(caller: Caller) -> bool:
    """Whether the caller is somebody from outside the firm and nothing else."""
    return bool(caller.roles) and caller.roles <= {"external"}
