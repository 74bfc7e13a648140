"""A bandit's looks: its shares follow the chances that each arm is the best."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from config import logs
from learning.domain import shares
from learning.experiments import subjects
from learning.models import Experiment
from monitoring import services as monitoring

logger = logging.getLogger(__name__)
BY = "system:learning"


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
    batches = [
        *experiment.batches,
        {"began_at": now.isoformat(), "ranges": ranges, "shares": shares.ratios(ranges),
         "chance_to_be_best": told["chance_to_be_best"]},
    ]  # fmt: skip
    return _open(experiment, batches)


def next_look_at(experiment: Experiment) -> datetime | None:
    """When a running bandit's shares may move next; None for anything else."""
    if experiment.test.get("kind") != "bandit" or experiment.state != Experiment.State.RUNNING:
        return None
    began = experiment.started_at or experiment.created_at
    if experiment.batches:
        began = datetime.fromisoformat(experiment.batches[-1]["began_at"])
    return began + timedelta(hours=experiment.batch_hours)


@transaction.atomic
def _open(experiment: Experiment, batches: list[dict[str, Any]]) -> bool:
    """One conditional write, and the split with it; False if somebody was quicker."""
    won = Experiment.objects.filter(
        pk=experiment.pk, state=Experiment.State.RUNNING, batches=experiment.batches
    ).update(batches=batches)
    if not won:
        return False
    experiment.batches = batches
    subjects.open_arms(experiment, by=BY)
    monitoring.audit(
        actor=BY, action="learning.experiment.shares_moved", target=f"experiment:{experiment.pk}",
        client_id=experiment.client_id, after={"shares": batches[-1]["shares"]},
    )  # fmt: skip
    logs.event(logger, "learning.experiment.shares_moved", experiment=str(experiment.pk),
               batch=len(batches) + 1)  # fmt: skip
    return True
