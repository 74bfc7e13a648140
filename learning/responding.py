"""Carries out what incidents ask of comparisons: hold, resume or take back an agent's rollout.

Monitoring writes the wish down; this sweep takes it, acts and reports. An experiment counts as
well: it is paused, resumed or stopped, so that nobody meets the change any more.

The target is an agent, an agent and a version (``tax-eu-001|4``), or a comparison's id. A version
goes back only where it is being rolled out and is surely worse than its control; where both fail,
the rollout is held. What an alert about a version does not lead to yet is looked at again while its
incident lasts. A rollback stays: who wants the version again starts a new rollout, past its
tombstone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from agents import services as agents
from config import logs
from config.errors import AppError, NotFound
from learning import experiments, rollouts
from learning.domain.blame import Blame, blame
from learning.models import Experiment, Rollout
from monitoring import alerts
from monitoring import services as monitoring
from monitoring.domain.responses import rules_of
from monitoring.services import Asked

logger = logging.getLogger(__name__)
BY = "incident policy"


def respond() -> int:
    """Do what is asked and not yet done; how many actions there were."""
    asked = monitoring.take_actions(tuple(ACTS))
    for action in asked:
        try:
            said, ok = ACTS[action.kind](action), True
        except _NotNow:  # it is given out again, until its incident is over
            continue
        except AppError as error:
            said, ok = str(error), False
        monitoring.report_action(action.id, ok=ok, result={"said": said})
        logs.event(logger, "learning.action.done", kind=action.kind, target=action.target, ok=ok)
    return len(asked)


class _NotNow(Exception):
    """Nothing is to be done now; what comes may ask for it."""


def _take_back(asked: Asked) -> str:
    target = asked.target
    row = _rollout(target)
    if number := _version(target):
        if row is None and _went_back(asked, number):
            return f"{_slug(target)}: version {number} has gone back already"
        if row is None or str(_number(row, row.to_version_id)) != number:
            raise _NotNow
        who = _most([_blamed(row, rule) for rule in rules_of(asked.parameters) or [""]])
        if who is Blame.NOBODY:
            raise _NotNow
        if who is Blame.OUTAGE:
            return _held(row, None, "its control fails as well: an outage")
    if row is not None:
        return _back(row, asked)
    experiment = _experiment(target)
    experiments.stop_by_machine(experiment, by=BY, reason="an incident began with it")
    return f"{experiment.subject}: its experiment is stopped, production answers everybody"


def _back(row: Rollout, asked: Asked) -> str:
    why = "an incident began with it"
    for one in (row, Rollout.objects.get(pk=row.pk)):  # it may have come to its end meanwhile
        # What began before it is not its doing.
        since = max(asked.since, one.created_at) if asked.since else None
        if rollouts.back(one, reason=why, by=BY, breached_at=since):
            return f"{row.agent_slug}: production answers everybody again"
    return f"the rollout of {row.agent_slug} had ended"


def _went_back(asked: Asked, number: str) -> bool:
    """Whether the version was taken back since what it is asked for began."""
    last = Rollout.objects.filter(agent_slug=_slug(asked.target)).order_by("-id").first()
    if last is None or last.state != "rolled_back" or asked.since is None:
        return False
    since = last.ended_at is not None and last.ended_at >= asked.since
    return since and str(_number(last, last.to_version_id)) == number


def _most(found: list[Blame]) -> Blame:
    """What several rules say together: of one that blames the version no other relieves it."""
    return next(one for one in (Blame.VERSION, Blame.OUTAGE, Blame.NOBODY) if one in found)


def _blamed(row: Rollout, rule: str) -> Blame:
    """Who is to blame, by what the rule counts; of one that counts nothing the version is."""
    now = timezone.now()
    ids = (row.to_version_id, row.from_version_id)
    keys = [f"{row.agent_slug}|{_number(row, one)}" for one in ids]
    treated, control = (alerts.counted(rule, key, now=now) for key in keys)
    if treated is None or control is None:
        return Blame.VERSION
    if not treated.is_over:
        return Blame.NOBODY
    return blame(treated.present, control.present, control.past)


def _number(row: Rollout, version_id: UUID) -> int:
    return int(agents.version_values(row.agent_slug, version_id)["number"])


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


def _experiment(target: str) -> Experiment:
    rows = Experiment.objects.filter(state__in=["running", "paused"])
    uid = _uuid(target)
    held = Q(agent_slug=_slug(target)) | Q(variants__agent_versions__has_key=_slug(target))
    found = (rows.filter(pk=uid) if uid else rows.filter(held)).first()
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
