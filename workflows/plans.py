"""Plans of stored versions, kept in memory: a version never changes, so neither does its plan."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from agents import queries as agents
from agents.tools import registry
from config.errors import NotFound
from workflows.domain.definition import Plan, Step, plan_of
from workflows.models import WorkflowVersion

# The lanes of I/O-bound work; a run's priority chooses one of them.
LANES = {"high": "high", "default": "default", "low": "low"}


@lru_cache(maxsize=512)
def plan_for(version_id: UUID) -> Plan:
    """The compiled plan of a version; raises NotFound."""
    found = WorkflowVersion.objects.filter(pk=version_id).values_list("definition", flat=True)
    for definition in found:
        return plan_of(definition)
    raise NotFound("workflow version", version_id)


@dataclass(frozen=True, slots=True)
class Handling:
    """How the rows of a step travel: on which queue, whether light, whether repeatable."""

    queue: str
    is_light: bool
    is_repeatable: bool


def handling_of(step: Step, *, priority: str) -> Handling:
    """Heavy tools, and agents that use one, go to the analysis worker; others to their lane."""
    lane = LANES.get(priority, "default")
    if step.kind == "tool":
        tool = registry.get(step.target)
        queue = "analysis" if tool.lane == "analysis" else lane
        light = tool.light and step.until is None and step.timeout_seconds is None
        return Handling(queue, light, tool.repeatable)
    if step.kind == "agent":
        heavy = agents.agent_lane(step.target) == "analysis"
        return Handling("analysis" if heavy else lane, False, True)
    return Handling(lane, False, True)


def handling_of_undoing(step: Step, *, priority: str) -> Handling:
    """The same of the rows of a step's compensation."""
    tool = registry.get((step.compensate or {})["tool"])
    queue = "analysis" if tool.lane == "analysis" else LANES.get(priority, "default")
    return Handling(queue, tool.light, tool.repeatable)
