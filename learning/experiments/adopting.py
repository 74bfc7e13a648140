"""A workflow's winner becomes what everybody gets, where nothing about it is risky."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from agents import services as agents
from config.access import callers
from config.access.callers import Caller
from config.errors import AppError, Conflict
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
    try:
        reason = _reason(experiment, winner)
        if reason:
            return reason
        with transaction.atomic():
            _adopt(experiment, winner, now=now)
    except AppError as error:
        return str(error)
    return ""


@transaction.atomic
def adopt_by(caller: Caller, experiment: Experiment, winner: Variant, strategy: str) -> None:
    """The same by a person, who answers for what is risky about it.

    Raises Conflict where neither of the versions that were compared is current any more, or an
    agent is not free, and Barred for a version of one that was rolled back.
    """
    if strange := _strange(experiment, winner):
        raise Conflict(f"workflow {experiment.workflow_name}", strange, "one of the two")
    _adopt(experiment, winner, caller=caller, strategy=strategy)


def is_left(experiment: Experiment, winner: Variant) -> bool:
    """Whether anything of the winner is not what everybody gets yet."""
    try:
        present = workflows.version_values(experiment.workflow_name)
        news = _news_of(winner)
    except AppError:  # the workflow or an agent has gone
        return False
    return bool(news) or present["id"] != winner.version_id


def _news_of(winner: Variant) -> dict[str, str]:
    """Agent → version that the winner names and that is not in production."""
    return {
        slug: version for slug, version in sorted(winner.agent_versions.items())
        if str(agents.production_of(slug)["id"]) != version
    }  # fmt: skip


def _strange(experiment: Experiment, winner: Variant) -> str:
    """What is current, if that is neither the winner's version nor what it was compared with."""
    control = experiment.variants.get(is_control=True)
    present = workflows.version_values(experiment.workflow_name)
    if present["id"] in (control.version_id, winner.version_id):
        return ""
    compared = sorted({control.version_number, winner.version_number})
    names = " and ".join(f"v{number}" for number in compared)
    return f"v{present['number']} is current, and only {names} took part"


def _reason(experiment: Experiment, winner: Variant) -> str:
    name = experiment.workflow_name
    present = workflows.version_values(name)
    target = workflows.version_values(name, str(winner.version_number))
    if strange := _strange(experiment, winner):
        return strange
    asked = target["agents"] | winner.agent_versions.keys()
    if target["id"] == present["id"]:
        asked = winner.agent_versions.keys()
    return needs_person(
        improvement_risk=experiment.improvement.risk if experiment.improvement else None,
        agent_risks={slug: agents.production_of(slug)["agent_risk"] for slug in asked},
        present=present, winner=target,
    )  # fmt: skip


def _adopt(
    experiment: Experiment, winner: Variant, *, caller: Caller | None = None, strategy: str = "",
    now: datetime | None = None,
) -> None:  # fmt: skip
    name = experiment.workflow_name
    if workflows.version_values(name)["id"] != winner.version_id:
        by = caller or callers.system("learning", experiment.client_id)
        # Whoever made another one current meanwhile has decided: that one was not compared.
        control = experiment.variants.get(is_control=True)
        compared = (control.version_number, winner.version_number)
        publishing.make_current(name, winner.version_number, by=by, instead_of=compared)
        monitoring.mark(
            kind="deployment", scope="workflow", key=name,
            text=f"v{winner.version_number} made current",
            href=f"/dashboard/experiments/{experiment.pk}",
        )  # fmt: skip
        improvements.move(experiment.improvement_id, Improvement.State.SHIPPED)
    plan = experiment.rollout_plan or {"strategy": Rollout.Strategy.GRADUAL, "stages": None}
    if strategy and strategy != plan["strategy"]:
        plan = {"strategy": strategy, "stages": None}
    for slug, version in _news_of(winner).items():
        rollouts.begin(
            client_id=experiment.client_id, agent_slug=slug, to_version=version,
            strategy=plan["strategy"], stages=plan["stages"], metrics=experiment.metrics,
            test=rollouts.inherited_test(experiment.test), by=caller.name if caller else MACHINE,
            now=now, improvement_id=experiment.improvement_id, experiment_id=experiment.pk,
        )  # fmt: skip
