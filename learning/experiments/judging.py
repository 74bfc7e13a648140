"""Read experiments: fold their outcomes, analyse them, act on the verdict where it may."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from agents import services as agents
from config.errors import Conflict
from learning import folding, improvements, judging, quiet, rollouts
from learning.analysis import analyse
from learning.domain import measures
from learning.experiments import adopting, shifting, subjects
from learning.experiments.moving import State, move
from learning.models import Experiment, Improvement, Rollout
from monitoring.periods import Window

logger = logging.getLogger(__name__)
MACHINE = "system:learning"


def document(
    experiment: Experiment, now: datetime | None = None, *, everything: bool = False
) -> dict[str, Any]:
    """The statistics document of what is stored; ``everything``: what came in incidents too."""
    control = experiment.variants.filter(is_control=True).values_list("key", flat=True)[0]
    specs = measures.for_analysis(experiment.metrics)
    stages_asked: dict[str, Mapping[str, float]] = {
        batch.stage: batch.weights for batch in subjects.batches_of(experiment)
    }
    if everything:
        stages_asked = folding.with_apart(stages_asked)
    stages = folding.stages_of(experiment.pk, stages_asked)
    settings: dict[str, Any] = {
        "name": experiment.name, "control": control, "metrics": specs, "test": experiment.test,
        "aa": experiment.is_aa, **experiment.plan,
    }  # fmt: skip
    if experiment.started_at:
        settings["days"] = _days(experiment.started_at, experiment.ended_at or now)
    return {"experiment": settings, "stages": folding.with_zeros(stages, experiment.metrics)}


def _days(start: datetime, end: datetime | None) -> float:
    return max(0.0, ((end or timezone.now()) - start).total_seconds() / 86_400)


def read(experiment: Experiment, now: datetime | None = None) -> dict[str, Any]:
    """The verdict document of what is stored, incidents left out and said."""
    found = quiet.read(
        experiment.pk, lambda everything: document(experiment, now, everything=everything),
        _incidents(experiment, now),
    )  # fmt: skip
    found["notes"] = [*found["notes"], *judging.left_out(experiment.metrics)]
    return found


def _incidents(experiment: Experiment, now: datetime | None) -> list[Window]:
    if experiment.started_at is None:
        return []
    return quiet.windows(
        agent=experiment.agent_slug, workflow=experiment.workflow_name,
        since=experiment.started_at, until=experiment.ended_at or now or timezone.now(),
    )  # fmt: skip


def refresh(experiment: Experiment, now: datetime | None = None) -> dict[str, Any]:
    """Fold its outcomes and store the analysis; returns the verdict document."""
    if experiment.started_at is None:
        return analyse(document(experiment))
    until = (experiment.ended_at or now or timezone.now()) - timedelta(
        hours=experiment.maturity_hours
    )
    variants = experiment.variants.all()
    parked = {str(v.version_id): v.key for v in variants if not v.ranges}
    incidents = quiet.spans(_incidents(experiment, now))
    # A run under way at a bandit's look stays in the batch, and the arm, that it began in.
    seen: set[str] | None = set() if experiment.test.get("kind") == "bandit" else None
    for batch in subjects.batches_of(experiment):
        folding.fold(
            folding.Source(
                experiment.pk, experiment.client_id, experiment.agent_slug, batch.stage,
                subjects.epochs_of(experiment, batch), batch.ranges, experiment.metrics,
                experiment.started_at, until, parked, incidents, experiment.workflow_name,
                experiment.unit, seen, experiment.started_at,
            )
        )  # fmt: skip
    found = read(experiment, now)
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
        is_final = (found["verdict"] == "ship" or found["complete"]) and not found["is_frozen"]
        if found["verdict"] == "rollback" or (is_final and experiment.autoconclude):
            concluded += _conclude(experiment, found, now)
        elif not found["is_frozen"]:
            shifting.shift(experiment, found, now)
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
    """A tombstone for each harmful version. Of several agents in an arm none is to blame alone."""
    control = experiment.variants.get(is_control=True).agent_versions
    for variant in experiment.variants.filter(key__in=found["stop_arms"], is_control=False):
        changed = {experiment.agent_slug: str(variant.version_id)}
        if experiment.workflow_name:
            changed = {
                slug: version for slug, version in variant.agent_versions.items()
                if control.get(slug) != version
            }  # fmt: skip
        for slug, version in changed.items() if len(changed) == 1 else ():
            improvements.bury(
                client_id=experiment.client_id, agent_slug=slug, version_id=UUID(version),
                reason=found["headline"], by=MACHINE,
                evidence={"experiment": str(experiment.pk), "verdict": found["verdict"]},
            )  # fmt: skip
    improvements.move(experiment.improvement_id, Improvement.State.REFUSED)


def _ship(experiment: Experiment, found: dict[str, Any], now: datetime | None) -> None:
    """Low risk goes on by itself; the rest waits for a person, who sees the verdict and why."""
    if experiment.workflow_name:
        reason = adopting.adopt(experiment, found["arm"], now)
        if reason:
            said = f"{found['headline']} It waits for a person: {reason}."
            Experiment.objects.filter(pk=experiment.pk).update(state_reason=said[:500])
        return
    winner = experiment.variants.get(key=found["arm"])
    risk = experiment.improvement.risk if experiment.improvement else None
    agent = agents.version_values(experiment.agent_slug, winner.version_id)
    if agent["agent_risk"] != "low" or risk not in (None, Improvement.Risk.LOW):
        return
    plan = experiment.rollout_plan or {"strategy": Rollout.Strategy.GRADUAL, "stages": None}
    rollouts.begin(
        client_id=experiment.client_id, agent_slug=experiment.agent_slug,
        to_version=winner.version_id, strategy=plan["strategy"], stages=plan["stages"],
        unit=experiment.unit, seed=experiment.seed,
        metrics=measures.without_past(experiment.metrics),
        test=rollouts.inherited_test(experiment.test), by=MACHINE, now=now,
        improvement_id=experiment.improvement_id, experiment_id=experiment.pk,
    )  # fmt: skip
