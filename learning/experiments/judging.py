"""Read experiments: fold their outcomes, analyse them, act on the verdict where it may."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from agents import services as agents
from config.errors import Conflict
from learning import folding, improvements, rollouts
from learning.analysis import analyse
from learning.experiments.moving import State, move
from learning.models import Experiment, Improvement, Rollout

logger = logging.getLogger(__name__)
MACHINE = "system:learning"


def document(experiment: Experiment, now: datetime | None = None) -> dict[str, Any]:
    """The statistics document of what is stored."""
    weights = {v.key: v.weight for v in experiment.variants.all()}
    control = experiment.variants.filter(is_control=True).values_list("key", flat=True)[0]
    specs = [{k: v for k, v in m.items() if k != "cap"} for m in experiment.metrics]
    stages = folding.stages_of(experiment.pk, {"all": weights})
    settings: dict[str, Any] = {
        "name": experiment.name, "control": control, "metrics": specs, "test": experiment.test,
        **experiment.plan,
    }  # fmt: skip
    if experiment.started_at:
        settings["days"] = _days(experiment.started_at, experiment.ended_at or now)
    return {"experiment": settings, "stages": folding.with_zeros(stages, specs)}


def _days(start: datetime, end: datetime | None) -> float:
    return max(0.0, ((end or timezone.now()) - start).total_seconds() / 86_400)


def refresh(experiment: Experiment, now: datetime | None = None) -> dict[str, Any]:
    """Fold its outcomes and store the analysis; returns the verdict document."""
    if experiment.started_at is None:
        return analyse(document(experiment))
    until = (experiment.ended_at or now or timezone.now()) - timedelta(
        hours=experiment.maturity_hours
    )
    folding.fold(
        folding.Source(
            experiment.pk, experiment.client_id, experiment.agent_slug, "all",
            agents.epochs_named(experiment.agent_slug, f"experiment {experiment.pk}"),
            {v.key: v.ranges for v in experiment.variants.all()},
            experiment.metrics, experiment.started_at, until,
        )
    )  # fmt: skip
    found = analyse(document(experiment, now))
    Experiment.objects.filter(pk=experiment.pk).update(
        verdict=found["verdict"], headline=found["headline"][:500], analysis=found,
        analysed_at=now or Now(),
    )  # fmt: skip
    return found


def sweep(now: datetime | None = None) -> int:
    """Refresh every running experiment and act where it may; returns how many were concluded.

    Harm is stopped whether or not ``autoconclude`` is set: a machine may always stop.
    """
    concluded = 0
    for experiment in Experiment.objects.filter(state=State.RUNNING):
        try:
            found = refresh(experiment, now)
        except Exception:  # one that can't be analysed must not keep harm elsewhere going
            logger.exception("learning.experiment.failed", extra={"experiment": str(experiment.pk)})
            continue
        is_final = found["verdict"] == "ship" or found["complete"]
        if found["verdict"] == "rollback" or (is_final and experiment.autoconclude):
            concluded += _conclude(experiment, found, now)
    return concluded


def _conclude(experiment: Experiment, found: dict[str, Any], now: datetime | None) -> bool:
    """End it by its verdict; False if a person was quicker."""
    try:
        with transaction.atomic():
            move(experiment.pk, State.RUNNING, State.CONCLUDED, MACHINE, found["headline"],
                  now=now)  # fmt: skip
            if found["verdict"] == "rollback":
                _bury_losers(experiment, found)
            elif found["verdict"] == "ship":
                _ship(experiment, found, now)
            else:  # complete, and no difference was shown: the control stays
                improvements.move(experiment.improvement_id, Improvement.State.REFUSED)
    except Conflict:
        return False
    return True


def _bury_losers(experiment: Experiment, found: dict[str, Any]) -> None:
    for variant in experiment.variants.filter(key__in=found["stop_arms"], is_control=False):
        improvements.bury(
            client_id=experiment.client_id, agent_slug=experiment.agent_slug,
            version_id=variant.version_id, reason=found["headline"],
            evidence={"experiment": str(experiment.pk), "verdict": found["verdict"]}, by=MACHINE,
        )  # fmt: skip
    improvements.move(experiment.improvement_id, Improvement.State.REFUSED)


def _ship(experiment: Experiment, found: dict[str, Any], now: datetime | None) -> None:
    """Low risk goes on by itself; the rest waits for a person, who sees the verdict."""
    winner = experiment.variants.get(key=found["arm"])
    risk = experiment.improvement.risk if experiment.improvement else None
    agent = agents.version_values(experiment.agent_slug, winner.version_id)
    if agent["agent_risk"] != "low" or risk not in (None, Improvement.Risk.LOW):
        return
    plan = experiment.rollout_plan or {"strategy": Rollout.Strategy.GRADUAL, "stages": None}
    rollouts.begin(
        client_id=experiment.client_id, agent_slug=experiment.agent_slug,
        to_version=winner.version_id, strategy=plan["strategy"], stages=plan["stages"],
        unit=experiment.unit, seed=experiment.seed, metrics=experiment.metrics,
        test=experiment.test, by=MACHINE, now=now, improvement_id=experiment.improvement_id,
        experiment_id=experiment.pk,
    )  # fmt: skip
