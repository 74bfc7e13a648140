"""What every door checks before a call: for which client, and whether this agent."""

from __future__ import annotations

import time
from uuid import UUID

from agents import conversations
from agents.models import Agent
from config.access import callers
from config.access.callers import Caller
from config.access.models import Client
from config.errors import InvalidInput, NotFound

# External people reach agents made for them; everybody else reaches all.
EXTERNAL = "external"
# So long beyond what ``callers.of_key`` keeps itself (3 s) a revoked key works here: 5 s at most.
# The lookup is half of a cached answer's cost.
KEY_KEPT_SECONDS = 2.0
MAX_CALLERS = 10_000
_callers: dict[str, tuple[float, Caller]] = {}


def caller_of_key(token: str) -> Caller | None:
    """The caller behind a bearer key, looked up at most every KEY_KEPT_SECONDS a process.

    Only what was found is kept: an unknown key costs its lookup each time.
    """
    digest, now = callers.digest_of(token), time.monotonic()
    kept = _callers.get(digest)
    if kept is not None and kept[0] > now:
        return kept[1]
    caller = callers.of_key(token)
    if caller is not None:
        if len(_callers) >= MAX_CALLERS:
            _callers.clear()
        _callers[digest] = (now + KEY_KEPT_SECONDS, caller)
    else:
        _callers.pop(digest, None)
    return caller


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
