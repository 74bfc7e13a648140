"""Whether a turn that a caller puts into an agent's mouth is an answer that the agent gave."""

from __future__ import annotations

from django.db.models import Q

from agents.calls import Call
from agents.guarding import restored
from agents.models import Agent, Invocation
from agents.models.records import CallState

# Looked for among so many of the agent's latest calls, at most so many of them with tokens.
AMONG = 2_000
SEALED_AMONG = 200


def is_given(call: Call, text: str) -> bool:
    """Whether the agent of ``call`` lately answered the same client just this, word by word."""
    agent_id = Agent.objects.filter(slug=call.agent).values_list("id", flat=True).first()
    if agent_id is None:
        return False
    latest = Invocation.objects.filter(agent_id=agent_id).order_by("-id").values("id")[:AMONG]
    rows = Invocation.objects.filter(
        id__in=[row["id"] for row in latest],
        client_id=call.client_id,
        state__in=(CallState.SUCCEEDED, CallState.FALLBACK),
    )
    if rows.filter(output__text=text).exists():
        return True
    # Personal data is kept as tokens, and was put back into what the caller got.
    kept = rows.filter(~Q(sealed="")).order_by("-id").values_list("output__text", "sealed")
    return any(restored(said, sealed) == text for said, sealed in kept[:SEALED_AMONG])
