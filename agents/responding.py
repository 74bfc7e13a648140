"""Carries out what incidents ask of agents: pause one, trip an endpoint's breaker, and undo both.

Monitoring only writes the wish down; the sweep of the owner takes it, acts and reports, so that
every action is on record and can be taken back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from redis.exceptions import RedisError

from agents import versions
from agents.models import Agent, Endpoint
from config import logs
from config.errors import AppError, NotFound
from monitoring import services as monitoring
from scaling import breaker

logger = logging.getLogger(__name__)
BY = "incident policy"


def respond() -> int:
    """Do what is asked and not yet done; how many actions there were."""
    asked = monitoring.take_actions(tuple(ACTS))
    for action in asked:
        try:
            result, ok = ACTS[action.kind](action.target), True
        except (AppError, RedisError) as error:
            result, ok = str(error), False
        monitoring.report_action(action.id, ok=ok, result={"said": result})
        logs.event(logger, "agents.action.done", kind=action.kind, target=action.target, ok=ok)
    return len(asked)


def _pause(slug: str) -> str:
    agent = _agent(slug)
    if agent.state != Agent.State.ACTIVE:
        return f"{slug} was {agent.state} already"
    versions.set_state(agent=agent, state=Agent.State.PAUSED, reason=BY, by=BY)
    return f"{slug} is paused"


def _resume(slug: str) -> str:
    agent = _agent(slug)
    if agent.state != Agent.State.PAUSED or agent.state_reason != BY:
        # Somebody paused it for a reason of their own, or resumed it: a person's word stands.
        return f"{slug} is {agent.state} and was left so"
    versions.set_state(agent=agent, state=Agent.State.ACTIVE, reason="", by=BY)
    return f"{slug} is active"


def _trip(name: str) -> str:
    breaker.trip(f"endpoint:{_endpoint(name)}")
    return f"calls to {name} stop until a probe succeeds"


def _close(name: str) -> str:
    breaker.close(f"endpoint:{_endpoint(name)}")
    return f"calls to {name} pass again"


def _agent(slug: str) -> Agent:
    agent = Agent.objects.filter(slug=slug).first()
    if agent is None:
        raise NotFound("agent", slug)
    return agent


def _endpoint(name: str) -> str:
    if not Endpoint.objects.filter(name=name).exists():
        raise NotFound("endpoint", name)
    return name


ACTS: dict[str, Callable[[str], str]] = {
    "pause_agent": _pause,
    "resume_agent": _resume,
    "trip_breaker": _trip,
    "close_breaker": _close,
}
