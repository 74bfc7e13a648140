"""What an experiment compares: versions of an agent, or of a workflow and the agents in it.

An arm of a workflow is a version of it, and may name versions of its agents. Its runs get the arm's
version; the agents' own splits, of the same seed, unit and buckets, hold for calls of its runs
alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agents import services as agents
from agents.resolving import WORKFLOW
from learning import rollouts
from learning.domain import shares
from learning.models import Experiment
from workflows import splits

Ranges = list[list[int]]


@dataclass(frozen=True, slots=True)
class Batch:
    """A stretch of fixed shares: all of an experiment, what lies between two looks of a bandit, or
    what follows when an arm was taken out.

    ``stage`` names it where outcomes are kept, ``reason`` its splits; ``weights`` are the arms'.
    """

    stage: str
    reason: str
    ranges: dict[str, Ranges]
    weights: dict[str, float]


def open_arms(experiment: Experiment, *, by: str) -> None:
    """Open its splits, in the transaction at hand; raises Conflict where an agent is not free."""
    given: dict[str, Any] = {
        "unit": experiment.unit, "seed": experiment.seed, "gates": experiment.gates,
        "by": by,
    }  # fmt: skip
    batch = batches_of(experiment)[-1]
    given["reason"] = batch.reason
    arms = [arm for arm in experiment.variants.all() if batch.ranges.get(arm.key)]
    for arm in arms:
        arm.ranges = batch.ranges[arm.key]
    if experiment.workflow_name:
        met = [{"version_id": arm.version_id, "ranges": arm.ranges} for arm in arms]
        splits.open_split(experiment.workflow_name, met, **given)
        given["audience"] = [f"{WORKFLOW}{experiment.workflow_name}"]
    for slug, shares_of_agent in _by_agent(experiment, arms).items():
        agents.split_traffic(slug, shares_of_agent, **given)
        # The split locked the agent, so what stands now is all that there is.
        rollouts.check_free(slug)
        rollouts.check_no_experiment(slug, but=experiment.pk)


def close_arms(experiment: Experiment, *, by: str) -> None:
    """Let production and the current version answer everybody again."""
    if experiment.workflow_name:
        splits.close_split(experiment.workflow_name, by=by)
    for slug in agents_of(experiment):
        agents.end_split(slug, by=by)


def agents_of(experiment: Experiment) -> set[str]:
    """The agents whose traffic it holds while it is open."""
    if experiment.agent_slug:
        return {experiment.agent_slug}
    return {slug for arm in experiment.variants.all() for slug in arm.agent_versions}


def batches_of(experiment: Experiment) -> list[Batch]:
    """Its batches in order, the present one last; one of them unless its shares have moved."""
    variants = list(experiment.variants.all())
    name = f"experiment {experiment.pk}"
    if experiment.test.get("kind") != "bandit":
        weights = {v.key: v.weight for v in variants}
        every = [Batch("all", name, {v.key: v.ranges for v in variants}, weights)]
        for number, one in enumerate(experiment.batches, start=2):
            kept = {v.key: v.ranges for v in variants if v.key in one["ranges"]}
            every.append(
                Batch(f"all {number}", f"{name} batch {number}", kept,
                      {arm: weights[arm] for arm in kept})
            )  # fmt: skip
        return every
    first = {v.key: v.ranges for v in variants if v.ranges}
    found = [Batch("batch 1", name, first, shares.ratios(first))]
    for number, one in enumerate(experiment.batches, start=2):
        ranges = {arm: one["ranges"][arm] for arm in first}  # JSON does not keep the order
        found.append(
            Batch(f"batch {number}", f"{name} batch {number}", ranges, shares.ratios(ranges))
        )
    return found


def stopped_arms(experiment: Experiment) -> list[str]:
    """Arms that were taken out for harm, in order."""
    return [arm for one in experiment.batches for arm in one.get("stopped", ())]


def epochs_of(experiment: Experiment, batch: Batch) -> list[int]:
    """The epochs of its agent or its workflow in one batch."""
    if experiment.workflow_name:
        return splits.epochs_named(experiment.workflow_name, batch.reason)
    return agents.epochs_named(experiment.agent_slug, batch.reason)


def _by_agent(experiment: Experiment, arms: list[Any]) -> dict[str, dict[str, Ranges]]:
    """Agent → version → ranges; arms of one version (an A/A) share its entry."""
    found: dict[str, dict[str, Ranges]] = {}
    for arm in arms:
        named = arm.agent_versions
        if experiment.agent_slug:
            named = {experiment.agent_slug: str(arm.version_id)}
        for slug, version in named.items():
            found.setdefault(slug, {}).setdefault(version, []).extend(arm.ranges)
    return found
