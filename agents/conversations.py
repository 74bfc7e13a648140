"""Conversations: their turns, redacted, and handing one over to a person."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from agents import telling, turns
from agents.domain import talks
from agents.domain.guardrails.redact import redact
from agents.domain.talks import Said
from agents.models import Conversation, Turn
from config import logs
from config.access.callers import Caller
from config.access.hiding import of_readers
from config.errors import Conflict, InvalidInput, NotFound

logger = logging.getLogger(__name__)
CHANNEL = "chat"
TITLE_CHARACTERS = 80
# Nobody goes on with a talk after this; and so many are told of in one pass.
SILENT = timedelta(hours=24)
MOST_ENDED = 200


def join(
    *, caller: Caller, agent: str, client_id: UUID, external_id: str, channel: str = CHANNEL
) -> Conversation:
    """The conversation of this name, if the agent may still answer in it.

    Raises what ``named`` does, and Conflict for one that a person has taken over.
    """
    talk = named(caller=caller, agent=agent, client_id=client_id, external_id=external_id,
                 channel=channel)  # fmt: skip
    check_open(talk)
    return talk


def named(
    *, caller: Caller, agent: str, client_id: UUID, external_id: str, channel: str = CHANNEL
) -> Conversation:
    """The client's conversation with this name of the caller's own, made at its first turn.

    Raises NotFound for an unknown agent or a conversation of somebody else's, Conflict for one with
    another agent.
    """
    if not 1 <= len(external_id) <= 200:
        raise InvalidInput("conversation", external_id, "from 1 to 200 characters")
    talk = turns.open_named(
        agent=agent,
        client_id=client_id,
        channel=channel,
        external_id=external_id,
        user_id=caller.user_id,
    )
    if talk is None:
        raise NotFound("agent", agent)
    if _is_outside(caller) and talk.user_id != caller.user_id:
        raise NotFound("conversation", external_id)
    check_agent(talk, agent)
    return talk


def check_agent(talk: Conversation, agent: str) -> None:
    """Raise Conflict for a conversation with another agent."""
    if talk.agent_slug != agent:
        what = f"conversation {talk.external_id or talk.pk}"
        raise Conflict(what, f"with {talk.agent_slug}", "the same agent all along")


def check_open(talk: Conversation) -> None:
    """Raise Conflict unless the agent may still answer."""
    if talk.state != Conversation.State.OPEN:
        raise Conflict(f"conversation {talk.pk}", talk.state, "an open conversation")


def note(
    *, talk_id: UUID, asked: str, answered: str, invocation_id: UUID, went: str = "succeeded"
) -> None:
    """Add a question and its answer, without personal data and secrets; ``went`` is the state of
    the call behind it."""
    asked, answered = redact(asked), redact(answered)
    title = " ".join(asked.split())[:TITLE_CHARACTERS]
    with transaction.atomic():
        talk = turns.touch(talk_id, title=title)
        before = turns.latest(talk_id)
        turns.add(
            talk, before, asked=asked, invocation_id=invocation_id,
            answered=Said(Turn.Role.ASSISTANT, answered, went),
            quality=partial(talks.quality, handed_over=_is_over(talk)),
        )  # fmt: skip
        telling.talked(talk, is_first=not before.last_number)


def end_idle(*, now: datetime) -> int:
    """Tell of conversations that fell silent a day ago, once each; returns how many.

    They stay open: whoever comes back goes on where it ended.
    """
    silent = Conversation.objects.filter(measured_at=None, last_turn_at__lt=now - SILENT)
    done = 0
    for talk in silent.order_by("last_turn_at")[:MOST_ENDED]:
        heard = said(talk)
        left = talks.is_abandoned(heard, handed_over=_is_over(talk)) if heard else None
        with transaction.atomic():
            won = Conversation.objects.filter(pk=talk.pk, measured_at=None).update(
                measured_at=now, is_abandoned=left
            )
            if won and left is not None:
                telling.talk_ended(talk, is_abandoned=left)
                done += 1
    return done


def hand_over(*, caller: Caller, talk_id: UUID, reason: str) -> Conversation:
    """Give a conversation to a person: the agent answers no more. Harmless to repeat.

    Raises NotFound, or Conflict for a conversation that is closed.
    """
    talk = find(caller, talk_id)
    done = Conversation.objects.filter(pk=talk.pk, state=Conversation.State.OPEN).update(
        state=Conversation.State.HANDED_OVER,
        hand_over_reason=reason[:300],
        handed_over_at=Now(),
    )
    talk.refresh_from_db()
    if not done and talk.state != Conversation.State.HANDED_OVER:
        raise Conflict(f"conversation {talk.pk}", talk.state, "an open conversation")
    if done:
        telling.handed_over(talk)
        score(talk)
        logs.event(logger, "agents.conversation.handed_over", conversation=str(talk.pk),
                   agent=talk.agent_slug)  # fmt: skip
    return talk


def said(talk: Conversation) -> list[Said]:
    """The latest turns in order, with how the calls behind the answers ended."""
    return turns.latest(talk.pk).said


def score(talk: Conversation) -> None:
    """Work out how well the conversation went so far, and keep it."""
    turns.keep_quality(talk, talks.quality(said(talk), handed_over=_is_over(talk)))


def find(caller: Caller, talk_id: UUID) -> Conversation:
    """A conversation that ``caller`` may see; raises NotFound."""
    talk: Any = visible(caller).filter(pk=talk_id).first()
    if talk is None:
        raise NotFound("conversation", talk_id)
    found: Conversation = talk
    return found


def visible(caller: Caller) -> Any:
    """Conversations that ``caller`` may see: of its clients; for outsiders, only their own."""
    # What quoted a document is read by those who may read that, from its first turn to its last.
    rows = of_readers(caller, caller.only_visible(Conversation.objects.all()))
    if _is_outside(caller):
        return rows.filter(user_id=caller.user_id)
    return rows


def _is_over(talk: Conversation) -> bool:
    return talk.handed_over_at is not None


def _is_outside(caller: Caller) -> bool:
    return bool(caller.roles) and caller.roles <= {"external"}
