"""Which open experiments meet the same work, so that one's effect may depend on the other's arm."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from config.errors import NotFound
from learning.models import Experiment
from workflows import evidence as workflows

OPEN = ("running", "paused")


def overlaps(experiment: Experiment) -> list[dict[str, Any]]:
    """Other open experiments that share an agent or a workflow with this one, and where.

    Those of the same layer share no unit and are left out.
    """
    uses = workflows.agents_by_workflow()
    own = surfaces(experiment, uses)
    found = []
    others = Experiment.objects.filter(state__in=OPEN).exclude(pk=experiment.pk)
    for other in others.prefetch_related("variants"):
        if experiment.layer_id is not None and experiment.layer_id == other.layer_id:
            continue
        shared = sorted(own & surfaces(other, uses))
        if shared:
            says = _says(experiment, other, shared)
            found.append(
                {
                    "experiment_id": str(other.pk), "name": other.name, "shared": shared,
                    "words": f"{other.name!r} {says}", "says": says,
                }
            )  # fmt: skip
    return found


def _says(experiment: Experiment, other: Experiment, shared: list[str]) -> str:
    """What the other one means for this one; of one agent or workflow, one alone is open."""
    if experiment.subject == other.subject:
        return f"holds the traffic of {other.subject}: this one can't start before that has ended"
    return (f"meets the same work ({', '.join(shared)}): an effect may depend on the other's arm; "
            "a common layer would keep them apart")  # fmt: skip


def surfaces(experiment: Experiment, uses: dict[str, frozenset[str]]) -> set[str]:
    """``agent:…`` and ``workflow:…`` that an experiment touches; ``uses``: workflow → agents."""
    if experiment.workflow_name:
        name = experiment.workflow_name
        asked = {*uses.get(name, ()), *_asked_in(experiment)}
        return {f"workflow:{name}", *(f"agent:{slug}" for slug in asked)}
    slug = experiment.agent_slug
    return {f"agent:{slug}", *(f"workflow:{name}" for name, own in uses.items() if slug in own)}


def _asked_in(experiment: Experiment) -> set[str]:
    """The agents that its arms' versions ask, also where none of these is current."""
    asked: set[str] = set()
    for arm in experiment.variants.all():
        asked |= arm.agent_versions.keys()
        with suppress(NotFound):  # gone
            asked |= workflows.agents_of_version(arm.version_id)
    return asked
