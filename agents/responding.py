"""Carries out what incidents ask of agents: pause one, trip a breaker, and undo both.

Monitoring only writes the wish down; the sweep of the owner takes it, acts and reports, so that
every action is on record and can be taken back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from redis.exceptions import RedisError

from agents import tripping, versions
from agents.models import Agent, AgentVersion, Endpoint, Label
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


def _trip(target: str) -> str:
    for name in _breakers(target):
        breaker.trip(name)
    return f"calls to {target.removeprefix(tripping.PREFIX)} stop until a probe succeeds"


def _close(target: str) -> str:
    for name in _breakers(target, is_open=True):
        breaker.close(name)
    return f"calls to {target.removeprefix(tripping.PREFIX)} pass again"


def _breakers(target: str, *, is_open: bool = False) -> list[str]:
    """Of an endpoint by its name, or of the versions of ``agent:slug`` or ``agent:slug@3``.

    Of an agent, those that answer now are tripped; other ones may answer when all are closed.
    """
    if not target.startswith(tripping.PREFIX):
        return [f"endpoint:{_endpoint(target)}"]
    slug, _, number = target.removeprefix(tripping.PREFIX).partition("@")
    agent = _agent(slug)
    if number:
        numbers = [versions.version_of(agent, number).number]
    elif is_open:
        numbers = list(agent.versions.values_list("number", flat=True))
    else:
        numbers = [version.number for version in _answering(agent)]
    return [tripping.name_of(slug, one) for one in numbers]


def _answering(agent: Agent) -> list[AgentVersion]:
    """The production version and the arms of the open split; raises NotFound without one."""
    split = agent.splits.filter(closed_at=None).first()
    arms = [versions.version_of(agent, arm) for arm in (split.arms if split else ())]
    return [versions.version_of(agent, Label.Name.PRODUCTION), *arms]


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
