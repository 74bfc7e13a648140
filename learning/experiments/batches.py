"""The next batch of a running experiment: who meets which arm from now on."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction

from config import logs
from learning.experiments import subjects
from learning.models import Experiment
from monitoring import services as monitoring

logger = logging.getLogger(__name__)
BY = "system:learning"


@transaction.atomic
def begin(experiment: Experiment, batch: dict[str, Any], *, event: str, after: Any) -> bool:
    """One conditional write, and the split with it; False if somebody was quicker.

    ``event`` and what holds ``after`` it go to the audit log and the log.
    """
    batches = [*experiment.batches, batch]
    won = Experiment.objects.filter(
        pk=experiment.pk, state=Experiment.State.RUNNING, batches=experiment.batches
    ).update(batches=batches)
    if not won:
        return False
    experiment.batches = batches
    subjects.open_arms(experiment, by=BY)
    monitoring.audit(
        actor=BY, action=event, target=f"experiment:{experiment.pk}",
        client_id=experiment.client_id, after=after,
    )  # fmt: skip
    logs.event(logger, event, experiment=str(experiment.pk), batch=len(batches) + 1)
    return True
