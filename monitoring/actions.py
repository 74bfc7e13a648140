"""What incidents ask of other apps. An owner's sweep takes its kinds and reports what it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Min, Q, QuerySet
from django.utils import timezone

from config.errors import Conflict
from monitoring.audit import audit
from monitoring.domain.responses import UNDO
from monitoring.models import Action, Alert, IncidentEvent

State = Action.State
# An owner that died with an action in its hands: it may be taken again after this.
TAKEN_FOR = timedelta(minutes=2)
TOO_LATE = "the incident ended first"


@dataclass(frozen=True, slots=True)
class Asked:
    """One action to carry out: ``kind`` on ``target``. ``is_undo`` takes an earlier one back.

    ``since`` is when the condition of the first alert about the target began to hold, or of the
    incident's first one where none is about it.
    """

    id: UUID
    kind: str
    target: str
    parameters: dict[str, Any]
    is_undo: bool
    since: datetime | None = None


def take_actions(kinds: Sequence[str], *, most: int = 20) -> list[Asked]:
    """The oldest asked actions of these kinds, taken: nobody else gets them meanwhile.

    Of an incident that is over only what undoes is given out.
    """
    now = timezone.now()
    waits = Q(state=State.ASKED) | Q(state=State.TAKEN, taken_at__lt=now - TAKEN_FOR)
    waiting = Action.objects.filter(waits, kind__in=list(kinds))
    # Sweeps ask every few seconds, and mostly there is nothing: that is one short question.
    return _taken(waiting, most, now) if waiting.exists() else []


@transaction.atomic
def _taken(waiting: QuerySet[Action], most: int, now: datetime) -> list[Asked]:
    due = (
        waiting.select_for_update(skip_locked=True, of=("self",), no_key=True)
        .select_related("incident__merged_into")
        .order_by("id")[:most]
    )
    rows = []
    for row in due:
        if row.undoes_id is None and _is_over(row):
            _let_go(row, now)
        else:
            rows.append(row)
    Action.objects.filter(pk__in=[row.pk for row in rows]).update(state=State.TAKEN, taken_at=now)
    return [
        Asked(row.pk, row.kind, row.target, row.parameters, row.undoes_id is not None, _since(row))
        for row in rows
    ]


def _since(row: Action) -> datetime:
    """When what the action is asked for began: of a wide incident, its own alerts' beginning."""
    alerts = Alert.objects.filter(incident_id=row.incident_id)
    agent = row.target.partition("|")[0]
    own = alerts.filter(Q(key=agent) | Q(key__startswith=f"{agent}|")) if agent else alerts.none()
    found = own.aggregate(at=Min("pending_since"))["at"]
    # What a wider incident took over has left its alerts to that.
    found = found or alerts.aggregate(at=Min("pending_since"))["at"]
    return found or row.incident.opened_at


@transaction.atomic
def report_action(action_id: UUID, *, ok: bool, result: dict[str, Any] | None = None) -> bool:
    """Write down how an action went; False if it was reported before."""
    # Whoever ends the incident locks its actions too: one of both sees what the other did.
    locked = Action.objects.select_for_update(no_key=True)
    action = locked.filter(pk=action_id, state=State.TAKEN).first()
    if action is None:
        return False
    action.state, action.done_at = State.DONE if ok else State.FAILED, timezone.now()
    action.result = result or {}
    action.save(update_fields=["state", "done_at", "result"])
    name = "action_done" if ok else "action_failed"
    IncidentEvent.objects.create(
        incident_id=action.incident_id, name=name,
        detail={"kind": action.kind, "target": action.target, **(result or {})},
    )  # fmt: skip
    audit(
        actor="system:monitoring", action=f"monitoring.{name.replace('_', '.')}",
        target=f"{action.kind}:{action.target}", after=result,
    )  # fmt: skip
    if ok and action.undoes_id is None and action.kind in UNDO and _is_over(action):
        take_back(action, actor="system:rules")  # its incident ended while it was done
    return True


def _let_go(action: Action, now: datetime) -> None:
    """It is not done any more; what an owner that died may have done of it is undone."""
    was_taken = action.state == State.TAKEN
    action.state, action.done_at, action.result = State.FAILED, now, {"said": TOO_LATE}
    action.save(update_fields=["state", "done_at", "result"])
    if was_taken and action.kind in UNDO:
        _ask_to_undo(action, actor="system:rules")


def _is_over(action: Action) -> bool:
    incident = action.incident.merged_into or action.incident
    return incident.resolved_at is not None


def is_in_force(kind: str) -> bool:
    """Whether an action of this kind was done and nobody has asked to take it back."""
    taken_back = Action.objects.filter(undoes__kind=kind).values("undoes")
    done = Action.objects.filter(kind=kind, state=State.DONE, undoes=None)
    return done.exclude(pk__in=taken_back).exists()


@transaction.atomic
def take_back(action: Action, *, actor: str) -> Action | None:
    """Ask the owner to undo a done action, once; None if that was asked already.

    Raises Conflict for what was not done or cannot be undone.
    """
    if action.kind not in UNDO:
        raise Conflict(f"action {action.kind}", "final", f"one of {', '.join(UNDO)}")
    if action.state != State.DONE:
        raise Conflict(f"action {action.kind}", action.state, State.DONE.value)
    return _ask_to_undo(action, actor=actor)


def _ask_to_undo(action: Action, *, actor: str) -> Action | None:
    undo, is_new = Action.objects.get_or_create(
        undoes=action,
        defaults={"incident_id": action.incident_id, "kind": UNDO[action.kind],
                  "target": action.target, "parameters": action.parameters},
    )  # fmt: skip
    if not is_new:
        return None
    IncidentEvent.objects.create(
        incident_id=action.incident_id, name="action_taken_back", actor=actor,
        detail={"kind": action.kind, "target": action.target},
    )  # fmt: skip
    return undo
