"""A winner is rolled out: by itself where nothing about it is risky, or by a person."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from agents import services as agents
from config.access.callers import Caller
from config.errors import Conflict, InvalidInput
from learning import rollouts
from learning.domain import measures
from learning.experiments import adopting, stopping
from learning.experiments.moving import State, find, move
from learning.models import Experiment, Improvement, Rollout, Variant
from monitoring import services as monitoring

MACHINE = "system:learning"


def ship(experiment: Experiment, found: dict[str, Any], now: datetime | None) -> str:
    """Low risk goes on by itself; why the rest waits for a person, or empty."""
    if experiment.workflow_name:
        return adopting.adopt(experiment, found["arm"], now)
    winner = experiment.variants.get(key=found["arm"])
    agent = agents.version_values(experiment.agent_slug, winner.version_id)
    if agent["agent_risk"] != "low":
        return f"{experiment.agent_slug} is of {agent['agent_risk']} risk"
    risk = experiment.improvement.risk if experiment.improvement else None
    if risk not in (None, Improvement.Risk.LOW):
        return f"the improvement's risk is {risk}"
    _begin(experiment, winner, by=MACHINE, now=now)
    return ""


@transaction.atomic
def roll_out(
    *, caller: Caller, experiment_id: UUID, strategy: str = "", reason: str = ""
) -> Experiment:
    """A person brings the arm that its verdict is about to everybody, in stages.

    An experiment that is open ends with it. A workflow's version is made current at once, and the
    agents' versions that its arm names go out in stages. ``strategy`` is that of its plan unless
    given. Raises NotFound, InvalidInput, Barred, Conflict where no arm was found better or an agent
    is not free.
    """
    # Locked, so that of two who ask at once the second one sees what the first one did.
    Experiment.objects.select_for_update(no_key=True).filter(pk=experiment_id).first()
    experiment = find(experiment_id)
    winner = candidate(experiment)
    if winner is None:
        raise Conflict(f"experiment {experiment.name!r}", experiment.verdict or "not looked at",
                       "a verdict for an arm that not everybody has")  # fmt: skip
    if strategy and strategy not in rollouts.STRATEGIES:
        raise InvalidInput("strategy", strategy, f"one of {', '.join(rollouts.STRATEGIES)}")
    if experiment.state in (State.RUNNING, State.PAUSED):
        move(experiment.pk, experiment.state, State.CONCLUDED, caller.name,
             reason or f"{winner.key} is rolled out", caller)  # fmt: skip
        stopping.bury(experiment, experiment.analysis["stop_arms"], experiment.headline)
    else:
        _taken_on(experiment, caller, reason or f"{winner.key} is rolled out")
    if experiment.workflow_name:
        adopting.adopt_by(caller, experiment, winner, strategy)
    else:
        _begin(experiment, winner, by=caller.name, strategy=strategy)
    return find(experiment_id)


def _taken_on(experiment: Experiment, caller: Caller, reason: str) -> None:
    """Say who went on with what waited for a person."""
    Experiment.objects.filter(pk=experiment.pk).update(
        state_by=caller.name[:80], state_reason=reason[:500]
    )
    monitoring.audit(
        actor=caller.principal, action="learning.experiment.rolled_out",
        target=f"experiment:{experiment.pk}", client_id=experiment.client_id,
        user_id=caller.user_id, after={"reason": reason},
    )  # fmt: skip


def candidate(experiment: Experiment) -> Variant | None:
    """The arm that a person may roll out: its verdict says ship, and not everybody has it."""
    arm = experiment.analysis.get("arm") if experiment.verdict == "ship" else None
    if not arm or experiment.is_aa:
        return None
    winner = experiment.variants.filter(key=arm, is_control=False).first()
    if winner is None or experiment.rollouts.exists():
        return None
    if experiment.workflow_name:
        return winner if adopting.is_left(experiment, winner) else None
    present = agents.production_of(experiment.agent_slug)
    return None if present["id"] == winner.version_id else winner


def _begin(
    experiment: Experiment, winner: Variant, *, by: str, strategy: str = "",
    now: datetime | None = None,
) -> Rollout:  # fmt: skip
    plan = experiment.rollout_plan or {"strategy": Rollout.Strategy.GRADUAL, "stages": None}
    if strategy and strategy != plan["strategy"]:
        plan = {"strategy": strategy, "stages": None}
    return rollouts.begin(
        client_id=experiment.client_id, agent_slug=experiment.agent_slug,
        to_version=winner.version_id, strategy=plan["strategy"], stages=plan["stages"],
        unit=experiment.unit, seed=experiment.seed,
        metrics=measures.without_past(experiment.metrics),
        test=rollouts.inherited_test(experiment.test), by=by, now=now,
        improvement_id=experiment.improvement_id, experiment_id=experiment.pk,
    )  # fmt: skip
