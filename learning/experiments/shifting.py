"""A bandit's looks: its shares follow the chances that each arm is the best."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from learning.domain import shares
from learning.experiments import batches, subjects
from learning.models import Experiment


def shift(experiment: Experiment, found: dict[str, Any], now: datetime | None = None) -> bool:
    """Open the next batch with the shares that ``found`` gives; False before the look is due.

    An arm that can't be read yet puts the look off to the next sweep.
    """
    told = found["bandit"]
    now = now or timezone.now()
    due_at = next_look_at(experiment)
    if due_at is None or now < due_at or not told or told["next_shares"] is None:
        return False
    batch = subjects.batches_of(experiment)[-1]
    ranges = shares.moved(batch.ranges, {arm: told["next_shares"][arm] for arm in batch.ranges})
    ratios = shares.ratios(ranges)
    following = {"began_at": now.isoformat(), "ranges": ranges, "shares": ratios,
                 "chance_to_be_best": told["chance_to_be_best"]}  # fmt: skip
    return batches.begin(
        experiment, following, event="learning.experiment.shares_moved", after={"shares": ratios}
    )


def next_look_at(experiment: Experiment) -> datetime | None:
    """When a running bandit's shares may move next; None for anything else."""
    if experiment.test.get("kind") != "bandit" or experiment.state != Experiment.State.RUNNING:
        return None
    began = experiment.started_at or experiment.created_at
    if experiment.batches:
        began = datetime.fromisoformat(experiment.batches[-1]["began_at"])
    return began + timedelta(hours=experiment.batch_hours)
