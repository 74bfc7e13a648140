"""A workflow's winner becomes what everybody gets, where nothing about it is risky."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from agents import services as agents
from config.access import callers
from config.errors import AppError
from learning import improvements, rollouts
from learning.domain.adopting import needs_person
from learning.models import Experiment, Improvement, Rollout, Variant
from monitoring import services as monitoring
from workflows import evidence as workflows
from workflows import publishing

MACHINE = "system:learning"


def adopt(experiment: Experiment, arm: str, now: datetime | None = None) -> str:
    """Make the arm's version current and roll out its agents; why a person has to, or empty.

    New runs get the version, runs under way keep theirs. An agent's version also answers outside of
    this workflow, where nobody measured it: it goes out in stages. All of it or nothing.
    """
    winner = experiment.variants.get(key=arm)
    control = experiment.variants.get(is_control=True)
    reason = _reason(experiment, winner, control)
    if reason:
        return reason
    try:
        with transaction.atomic():
            _adopt(experiment, winner, control, now)
    except AppError as error:
        return str(error)
    return ""


def _reason(experiment: Experiment, winner: Variant, control: Variant) -> str:
    name = experiment.workflow_name
    try:
        present = workflows.version_values(name)
        target = workflows.version_values(name, str(winner.version_number))
    except AppError as error:
        return str(error)
    if present["id"] != control.version_id:
        return f"v{present['number']} was made current while it ran"
    asked = target["agents"] | winner.agent_versions.keys()
    if target["id"] == present["id"]:
        asked = winner.agent_versions.keys()
    return needs_person(
        improvement_risk=experiment.improvement.risk if experiment.improvement else None,
        agent_risks={slug: agents.production_of(slug)["agent_risk"] for slug in asked},
        present=present, winner=target,
    )  # fmt: skip


def _adopt(experiment: Experiment, winner: Variant, control: Variant, now: datetime | None) -> None:
    name = experiment.workflow_name
    if winner.version_id != control.version_id:
        by = callers.system("learning", experiment.client_id)
        publishing.make_current(name, winner.version_number, by=by)
        monitoring.mark(
            kind="deployment", scope="workflow", key=name,
            text=f"v{winner.version_number} made current",
            href=f"/dashboard/experiments/{experiment.pk}",
        )  # fmt: skip
        improvements.move(experiment.improvement_id, Improvement.State.SHIPPED)
    plan = experiment.rollout_plan or {"strategy": Rollout.Strategy.GRADUAL, "stages": None}
    for slug, version in sorted(winner.agent_versions.items()):
        if str(agents.production_of(slug)["id"]) == version:
            continue
        rollouts.begin(
            client_id=experiment.client_id, agent_slug=slug, to_version=version,
            strategy=plan["strategy"], stages=plan["stages"], metrics=experiment.metrics,
            test=rollouts.inherited_test(experiment.test), by=MACHINE, now=now,
            improvement_id=experiment.improvement_id, experiment_id=experiment.pk,
        )  # fmt: skip
