"""An experiment's transitions: started, paused, resumed, stopped, concluded.

Each is one conditional write together with the traffic split, in one transaction.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, FloatField, Value
from django.db.models.functions import Coalesce, Extract, Greatest, Least, Now

from config import logs
from config.access.callers import Caller
from config.errors import Conflict, NotFound
from learning import improvements, rollouts
from learning.experiments import layers, subjects
from learning.models import Experiment, Improvement, Rollout
from monitoring import services as monitoring

logger = logging.getLogger(__name__)
State = Experiment.State
# Why a machine holds one whose arms came out of proportion. What a person goes on with in spite of
# it is theirs: it is not held for the same reason again.
MISMATCH = "a sample ratio mismatch lasts; a person decides"


def start(*, caller: Caller, experiment_id: UUID, now: datetime | None = None) -> Experiment:
    """Open its split. Raises Conflict unless it is a draft and the agent is free.

    ``now`` is the moment of everything here that takes it; the database's unless given.
    """
    return move(experiment_id, State.DRAFT, State.RUNNING, caller.name, "started", caller, now)


def pause(*, caller: Caller, experiment_id: UUID, reason: str = "") -> Experiment:
    """Production answers everybody, until it is resumed with the same assignment."""
    return move(experiment_id, State.RUNNING, State.PAUSED, caller.name, reason, caller)


def resume(*, caller: Caller, experiment_id: UUID, reason: str = "") -> Experiment:
    """Open the same split again: every unit meets the arm that it met before.

    Raises Conflict where a test for one look has come to its declared end.
    """
    row = find(experiment_id)
    if row.state == State.PAUSED and row.read_until is not None:
        raise Conflict(f"experiment {row.name!r}", "at its declared end",
                       "to be stopped, or its winner rolled out")  # fmt: skip
    return move(
        experiment_id, State.PAUSED, State.RUNNING, caller.name, reason or "resumed", caller
    )


@transaction.atomic
def discard(*, caller: Caller, experiment_id: UUID) -> None:
    """Delete a draft, which nobody has met; raises Conflict for what was started."""
    row = find(experiment_id)
    # Locked, so that nobody starts it meanwhile.
    if Experiment.objects.select_for_update().filter(pk=row.pk, state=State.DRAFT).first() is None:
        raise Conflict(f"experiment {row.name!r}", find(experiment_id).state, State.DRAFT)
    row.delete()
    monitoring.audit(
        actor=caller.principal, action="learning.experiment.discarded",
        target=f"experiment:{experiment_id}", client_id=row.client_id, user_id=caller.user_id,
        after={"name": row.name, "of": row.subject},
    )  # fmt: skip
    logs.event(logger, "learning.experiment.discarded", experiment=str(experiment_id))


def stop(*, caller: Caller, experiment_id: UUID, reason: str = "") -> Experiment:
    """End it without a verdict's consent; production answers everybody."""
    row = find(experiment_id)
    if row.state == State.DRAFT:
        raise Conflict(f"experiment {row.name!r}", row.state, "running or paused")
    for state in (State.RUNNING, State.PAUSED):
        try:
            return move(experiment_id, state, State.STOPPED, caller.name, reason, caller)
        except Conflict as error:
            refused = error
    raise refused


def freeze(experiment: Experiment, *, by: str, reason: str) -> bool:
    """A machine pauses it, so that an incident's calls are nobody's outcome; False if it rests."""
    return _moved(experiment, State.RUNNING, State.PAUSED, by, reason)


def thaw(experiment: Experiment, *, held_by: str) -> bool:
    """Go on with what ``held_by`` paused, every unit in its arm; False if somebody else did."""
    return _moved(experiment, State.PAUSED, State.RUNNING, held_by, "goes on", held_by=held_by)


def stop_by_machine(experiment: Experiment, *, by: str, reason: str) -> bool:
    """End it without a verdict; False if it had ended."""
    return any(
        _moved(experiment, before, State.STOPPED, by, reason)
        for before in (State.RUNNING, State.PAUSED)
    )


def _moved(
    experiment: Experiment, before: str, after: str, by: str, reason: str, held_by: str = ""
) -> bool:
    try:
        move(experiment.pk, before, after, by, reason, held_by=held_by)
    except Conflict:
        return False
    return True


def busy_agents() -> set[str]:
    """Agents whose traffic an open experiment or rollout holds."""
    held = Experiment.objects.filter(state__in=[State.RUNNING, State.PAUSED])
    moving = Rollout.objects.filter(state__in=rollouts.OPEN)
    own = {slug for row in held.prefetch_related("variants") for slug in subjects.agents_of(row)}
    return own | set(moving.values_list("agent_slug", flat=True))


def find(experiment_id: UUID) -> Experiment:
    """The experiment; raises NotFound."""
    row = Experiment.objects.filter(pk=experiment_id).first()
    if row is None:
        raise NotFound("experiment", experiment_id)
    return row


@transaction.atomic
def move(
    experiment_id: UUID, before: str, after: str, by: str, reason: str,
    caller: Caller | None = None, now: datetime | None = None, held_by: str = "",
) -> Experiment:  # fmt: skip
    """One conditional write, and the split in the same transaction: a crash leaves neither.

    With ``held_by``, only what this one paused: a person may have taken the pause over meanwhile.
    """
    row = find(experiment_id)
    changes: dict[str, Any] = {"state": after, "state_by": by[:80], "state_reason": reason[:500]}
    if before == State.DRAFT:
        changes |= {"started_at": now or Now(), "gates": layers.gates_for(row)}
    if after in (State.STOPPED, State.CONCLUDED):
        changes["ended_at"] = now or Now()
    if caller is not None and after == State.RUNNING and row.state_reason == MISMATCH:
        changes["is_past_mismatch"] = True
    changes |= _resting(row, before, after, now)
    try:
        with transaction.atomic():
            rows = Experiment.objects.filter(pk=experiment_id, state=before)
            if held_by:
                rows = rows.filter(state_by=held_by[:80])
            moved = rows.update(**changes)
    except IntegrityError:
        other = Experiment.objects.filter(
            agent_slug=row.agent_slug, workflow_name=row.workflow_name, state__in=layers.OPEN
        ).exclude(pk=row.pk).first()  # fmt: skip
        where = f"in {other.called}" if other else "in an experiment"
        raise Conflict(row.subject, where, "no other open") from None
    if not moved:
        raise Conflict(f"experiment {row.name!r}", find(experiment_id).state, before)
    row.refresh_from_db()
    if after == State.RUNNING:
        subjects.open_arms(row, by=by)
        improvements.move(row.improvement_id, Improvement.State.TESTING)
    elif before == State.RUNNING:
        subjects.close_arms(row, by=by)
    if after == State.STOPPED:  # nothing was shown of it: a person decides anew
        improvements.move(row.improvement_id, Improvement.State.PROPOSED)
    monitoring.audit(
        actor=caller.principal if caller else by, action=f"learning.experiment.{after}",
        target=f"experiment:{row.pk}", client_id=row.client_id,
        user_id=caller.user_id if caller else None, after={"reason": reason},
    )  # fmt: skip
    monitoring.mark(
        kind="experiment", scope="agent" if row.agent_slug else "workflow", key=row.subject,
        text=f"experiment {row.name} {after}", href=f"/dashboard/experiments/{row.pk}",
        begins=after == State.RUNNING,
    )  # fmt: skip
    logs.event(logger, "learning.experiment.moved", experiment=str(row.pk), state=after, by=by)
    return row


def _resting(row: Experiment, before: str, after: str, now: datetime | None) -> dict[str, Any]:
    """How long it rested, which is no time of the experiment.

    What it rests after its declared end is taken off no time that counts.
    """
    if after == State.PAUSED:
        return {"paused_at": now or Now()}
    if before != State.PAUSED:
        return {}
    end: Any = Value(now, output_field=DateTimeField()) if now else Now()
    if row.read_until is not None:
        end = Least(end, Value(row.read_until, output_field=DateTimeField()))
    rested = ExpressionWrapper(end - F("paused_at"), output_field=DurationField())
    known = Coalesce(Extract(rested, "epoch"), 0.0, output_field=FloatField())
    seconds = Greatest(known, 0.0, output_field=FloatField())
    return {"paused_at": None, "paused_seconds": F("paused_seconds") + seconds}
