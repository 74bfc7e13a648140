"""Which alerts say nothing of their own: those of agents whose endpoint fails badly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from monitoring.domain.responses import AGENT_SCOPES

# What an endpoint that is gone does to the agents that depend on it. It makes none of them dearer
# or less accurate: such an alert is told as ever.
FOLLOWS = frozenset(
    {"invocation_errors", "invocation_fallbacks", "invocation_duration_seconds",
     "model_duration_seconds", "first_token_seconds"}
)  # fmt: skip
# Agents of one endpoint that go on failing once it is well: so many make it the cause again.
SEVERAL = 3


@dataclass(frozen=True, slots=True)
class Told:
    """An alert: what it is about (``scope`` and ``key``), and what its rule looks at."""

    alert_id: str
    scope: str
    key: str
    metric: str


def inhibited(
    alerts: Iterable[Told], critical: Mapping[str, str], endpoint_of: Mapping[str, str]
) -> dict[str, str]:
    """Alert → the critical alert (both by id) of the endpoint that it follows from.

    ``critical`` are those by endpoint; ``endpoint_of`` is what each agent depends on.
    """
    found = {}
    for one in alerts:
        if one.scope in AGENT_SCOPES and one.metric in FOLLOWS:
            agent, _, rest = one.key.partition("|")
            endpoint = rest if one.scope == "agent_endpoint" else endpoint_of.get(agent, "")
            if endpoint in critical:
                found[one.alert_id] = critical[endpoint]
    return found


def on_their_own(failing: Iterable[str], endpoint_of: Mapping[str, str]) -> frozenset[str]:
    """Agents that fail although their endpoint is well again; not where several of it do."""
    agents = {agent for agent in failing if agent in endpoint_of}
    of = [endpoint_of[agent] for agent in agents]
    return frozenset(agent for agent in agents if of.count(endpoint_of[agent]) < SEVERAL)
