"""What every door checks before a call: for which client, and whether this agent."""

from __future__ import annotations

from uuid import UUID

from agents import conversations
from agents.models import Agent
from config.access.callers import Caller
from config.access.models import Client
from config.errors import InvalidInput, NotFound

# External people reach agents made for them; everybody else reaches all.
EXTERNAL = "external"


def client_for(caller: Caller, asked: object) -> UUID:
    """The client a call is for: the one asked for, or the caller's own.

    Raises InvalidInput for what is no id, NotFound for a client that is not there or that the
    caller may not see.
    """
    if not asked:
        return caller.home_client_id
    try:
        client_id = UUID(str(asked))
    except ValueError:
        raise InvalidInput("client_id", asked, "a UUID") from None
    if not caller.sees(client_id) or not _is_client(caller, client_id):
        raise NotFound("client", client_id)
    return client_id


def _is_client(caller: Caller, client_id: UUID) -> bool:
    """Whether there is such a client; who sees only some has them from memberships."""
    if caller.client_ids is not None or client_id == caller.home_client_id:
        return True
    return Client.objects.filter(pk=client_id).exists()


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
    if not conversations.visible(caller).filter(pk=conversation_id).exists():
        raise NotFound("conversation", conversation_id)
    return conversation_id
