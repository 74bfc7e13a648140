"""Where an agent belongs, without asking the database at each of its calls."""

from __future__ import annotations

import time
from uuid import UUID

from agents.models import Agent

# An agent's domain and audience hardly ever change; calls of it come by the thousand.
KEPT_SECONDS = 300.0
_kept: dict[UUID, tuple[float, str, str]] = {}


def place_of(agent_id: UUID) -> tuple[str, str]:
    """Domain and audience of an agent, up to ``KEPT_SECONDS`` old."""
    found = _kept.get(agent_id)
    if found is None or found[0] < time.monotonic():
        domain, audience = Agent.objects.values_list("domain", "audience").get(pk=agent_id)
        found = _kept[agent_id] = (time.monotonic() + KEPT_SECONDS, domain, audience)
    return found[1], found[2]
