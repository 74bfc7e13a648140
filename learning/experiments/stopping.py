"""An arm that harms is taken out while the others go on; what lost leaves a tombstone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from learning import improvements
from learning.domain.decisions import named
from learning.experiments import batches, subjects
from learning.models import Experiment, Improvement

BY = "system:learning"


@transaction.atomic
def take_out(experiment: Experiment, found: dict[str, Any], now: datetime | None = None) -> bool:
    """Let nobody meet the arms that ``found`` says to stop any more; False if there is none.

    Their units meet production from their next call, everybody else keeps the arm that it has. A
    bandit's shares follow the chances anyway, and arms of one version harm no more than another.
    """
    gone = {*subjects.stopped_arms(experiment)}
    harmful = [arm for arm in found["stop_arms"] if arm not in gone]
    if not harmful or experiment.is_aa or experiment.test.get("kind") == "bandit":
        return False
    last = subjects.batches_of(experiment)[-1]
    left = {arm: ranges for arm, ranges in last.ranges.items() if arm not in harmful}
    at = (now or timezone.now()).isoformat()
    following = {"began_at": at, "ranges": left, "stopped": harmful}
    if not batches.begin(
        experiment, following, event="learning.experiment.arm_stopped", after={"arms": harmful}
    ):
        return False
    bury(experiment, harmful, f"{', '.join(harmful)}: {_why(found, harmful)}")
    return True


def taken_out(experiment: Experiment, found: dict[str, Any]) -> list[dict[str, str]]:
    """Arms that were taken out while the others went on, each with what got worse in it."""
    return [{"arm": arm, "why": _why(found, [arm])} for arm in subjects.stopped_arms(experiment)]


def harms_all(experiment: Experiment, found: dict[str, Any]) -> bool:
    """Whether nobody but the control would be left without the arms that ``found`` stops."""
    if not found["stop_arms"] or experiment.is_aa or experiment.test.get("kind") == "bandit":
        return False
    gone = {*subjects.stopped_arms(experiment), *found["stop_arms"]}
    treatments = experiment.variants.filter(is_control=False).exclude(ranges=[])
    return not {*treatments.values_list("key", flat=True)} - gone


def _why(found: dict[str, Any], harmful: Sequence[str]) -> str:
    worse = [
        named(metric["key"])
        for metric in found["metrics"]
        for row in metric["comparisons"]
        if row["arm"] in harmful
        if row["guardrail"] == "breached" or row["reading"] == "worse"
    ]
    return f"{', '.join(dict.fromkeys(worse)) or 'the primary metric'} got worse"


def bury(experiment: Experiment, arms: Sequence[str], reason: str) -> None:
    """A tombstone for each harmful version. Of several agents in an arm none is to blame alone."""
    control = experiment.variants.get(is_control=True).agent_versions
    for variant in experiment.variants.filter(key__in=arms, is_control=False):
        changed = {experiment.agent_slug: str(variant.version_id)}
        if experiment.workflow_name:
            changed = {
                slug: version for slug, version in variant.agent_versions.items()
                if control.get(slug) != version
            }  # fmt: skip
        for slug, version in changed.items() if len(changed) == 1 else ():
            improvements.bury(
                client_id=experiment.client_id, agent_slug=slug, version_id=UUID(version),
                reason=reason, by=BY,
                evidence={"experiment": str(experiment.pk), "verdict": "rollback"},
            )  # fmt: skip
            proposed = experiment.improvement
            if proposed and str(proposed.candidate_version_id) == version:
                improvements.move(proposed.pk, Improvement.State.REFUSED)
