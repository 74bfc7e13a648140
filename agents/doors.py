"""What every door checks before a call: for which client, and whether this agent."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from agents.models import Agent, Conversation
from config.access.callers import Caller
from config.errors import InvalidInput, NotFound

# External people reach agents made for them; everybody else reaches all.
EXTERNAL = "external"


def client_for(caller: Caller, asked: object) -> UUID:
    """The client a call is for: the one asked for, or the caller's own.

    Raises InvalidInput for what is no id, NotFound for a client the caller may not see.
    """
    if not asked:
        return caller.home_client_id
    try:
        client_id = UUID(str(asked))
    except ValueError:
        raise InvalidInput("client_id", asked, "a UUID") from None
    if not caller.sees(client_id):
        raise NotFound("client", client_id)
    return client_id


def check_agent(caller: Caller, slug: str) -> None:
    """Raise NotFound for an agent that is not for this caller."""
    if caller.roles and caller.roles <= {EXTERNAL}:
        if not Agent.objects.filter(slug=slug, audience=Agent.Audience.EXTERNAL).exists():
            raise NotFound("agent", slug)


def conversation_for(caller: Caller, asked: object) -> UUID | None:
    """The conversation a call belongs to; raises InvalidInput or NotFound."""
    if not asked:
        return None
    try:
        conversation_id = UUID(str(asked))
    except ValueError:
        raise InvalidInput("conversation_id", asked, "a UUID") from None
    rows: Any = Conversation.objects.filter(pk=conversation_id)
    if not caller.only_visible(rows).exists():
        raise NotFound("conversation", conversation_id)
    return conversation_id
