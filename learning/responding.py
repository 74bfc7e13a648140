"""Carries out what incidents ask of comparisons: hold, resume or take back an agent's rollout.

Monitoring writes the wish down; this sweep takes it, acts and reports. An experiment counts as
well: it is paused, resumed or stopped, so that nobody meets the change any more.

The target is an agent, an agent and a version (``tax-eu-001|4``), or a comparison's id. A version
goes back only where it is what is tried and its control is well: what both show is an outage, and
then the comparison is held. A rollback stays: who wants the version again starts a new rollout,
past its tombstone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from agents import services as agents
from config import logs
from config.errors import AppError, NotFound
from learning import experiments, rollouts
from learning.models import Experiment, Rollout
from monitoring import alerts
from monitoring import services as monitoring
from monitoring.services import Asked

logger = logging.getLogger(__name__)
BY = "incident policy"


def respond() -> int:
    """Do what is asked and not yet done; how many actions there were."""
    asked = monitoring.take_actions(tuple(ACTS))
    for action in asked:
        try:
            said, ok = ACTS[action.kind](action), True
        except AppError as error:
            said, ok = str(error), False
        monitoring.report_action(action.id, ok=ok, result={"said": said})
        logs.event(logger, "learning.action.done", kind=action.kind, target=action.target, ok=ok)
    return len(asked)


def _take_back(asked: Asked) -> str:
    target, number = asked.target, _version(asked.target)
    row, experiment = _rollout(target), None
    if row is None:
        experiment = _experiments(target).first() if number else _experiment(target)
    if number:
        tried, control = _tried(row, experiment)
        if number not in tried:
            return f"version {number} of {_slug(target)} is not being tried: nothing to take back"
        rule = str(asked.parameters.get("rule", ""))
        key = f"{_slug(target)}|{control}"
        if rule and alerts.is_breached(rule, key, now=timezone.now()):
            return _held(row, experiment, f"its control shows the same ({rule}): an outage")
    if row is not None:
        why = "an incident began with it"
        if not rollouts.back(row, reason=why, by=BY, breached_at=asked.since):
            return f"the rollout of {row.agent_slug} had ended"
        return f"{row.agent_slug}: production answers everybody again"
    if experiment is None:
        raise NotFound("open rollout or experiment of", target)
    experiments.stop_by_machine(experiment, by=BY, reason="an incident began with it")
    return f"{experiment.subject}: its experiment is stopped, production answers everybody"


def _tried(row: Rollout | None, experiment: Experiment | None) -> tuple[set[str], str]:
    """The numbers of the versions that are tried, and that of their control."""
    if row is not None:
        both = (row.to_version_id, row.from_version_id)
        tried, control = (agents.version_values(row.agent_slug, one)["number"] for one in both)
        return {str(tried)}, str(control)
    if experiment is None or experiment.workflow_name:
        return set(), ""
    arms = list(experiment.variants.values_list("version_number", "is_control"))
    control = next(str(number) for number, is_control in arms if is_control)
    return {str(number) for number, _ in arms} - {control}, control


def _hold(asked: Asked) -> str:
    row = _rollout(asked.target)
    experiment = None if row is not None else _experiment(asked.target)
    return _held(row, experiment, "an incident of its agent")


def _held(row: Rollout | None, experiment: Experiment | None, reason: str) -> str:
    if row is not None:
        held = rollouts.hold(row, by=BY, reason=reason)
        return f"{row.agent_slug}: the rollout is " + ("held" if held else f"{row.state} already")
    if experiment is None:
        raise NotFound("open comparison", reason)
    paused = experiments.freeze(experiment, by=BY, reason=reason)
    words = "frozen" if paused else f"{experiment.state} already"
    return f"{experiment.subject}: the experiment is {words}"


def _go_on(asked: Asked) -> str:
    """Only what an incident held: a person's own pause stands."""
    target = asked.target
    row = _rollout(target)
    if row is not None:
        gone = rollouts.let_go(row, held_by=BY)
        return f"{row.agent_slug}: the rollout " + ("goes on" if gone else "was left as it is")
    experiment = _experiment(target)
    gone = experiments.thaw(experiment, held_by=BY)
    return f"{experiment.subject}: the experiment " + ("goes on" if gone else "was left as it is")


def _rollout(target: str) -> Rollout | None:
    """The open rollout of an agent, or the one of this id."""
    rows = Rollout.objects.filter(state__in=rollouts.OPEN)
    uid = _uuid(target)
    return (rows.filter(pk=uid) if uid else rows.filter(agent_slug=_slug(target))).first()


def _experiments(target: str) -> QuerySet[Experiment]:
    rows = Experiment.objects.filter(state__in=["running", "paused"])
    uid = _uuid(target)
    held = Q(agent_slug=_slug(target)) | Q(variants__agent_versions__has_key=_slug(target))
    return rows.filter(pk=uid) if uid else rows.filter(held)


def _experiment(target: str) -> Experiment:
    found = _experiments(target).first()
    if found is None:
        raise NotFound("open rollout or experiment of", target)
    return found


def _slug(target: str) -> str:
    return target.partition("|")[0].removeprefix("agent:")


def _version(target: str) -> str:
    """The number of the version that is named; empty where none is."""
    return "" if _uuid(target) else target.partition("|")[2]


def _uuid(target: str) -> UUID | None:
    try:
        return UUID(target.rpartition(":")[2])
    except ValueError:
        return None


ACTS: dict[str, Callable[[Asked], str]] = {
    "roll_back_rollout": _take_back,
    "pause_rollout": _hold,
    "resume_rollout": _go_on,
}
