"""What incidents ask of other apps. An owner's sweep takes its kinds and reports what it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Min
from django.utils import timezone

from config.errors import Conflict
from monitoring.audit import audit
from monitoring.domain.responses import UNDO
from monitoring.models import Action, Alert, IncidentEvent

State = Action.State
# An owner that died with an action in its hands: it may be taken again after this.
TAKEN_FOR = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Asked:
    """One action to carry out: ``kind`` on ``target``. ``is_undo`` takes an earlier one back.

    ``since`` is when the condition of the incident's first alert began to hold; None without one.
    """

    id: UUID
    kind: str
    target: str
    parameters: dict[str, Any]
    is_undo: bool
    since: datetime | None = None


@transaction.atomic
def take_actions(kinds: Sequence[str], *, most: int = 20) -> list[Asked]:
    """The oldest asked actions of these kinds, taken: nobody else gets them meanwhile."""
    now = timezone.now()
    Action.objects.filter(state=State.TAKEN, taken_at__lt=now - TAKEN_FOR).update(
        state=State.ASKED, taken_at=None
    )
    rows = list(
        Action.objects.select_for_update(skip_locked=True)
        .filter(state=State.ASKED, kind__in=list(kinds))
        .order_by("id")[:most]
    )
    Action.objects.filter(pk__in=[row.pk for row in rows]).update(state=State.TAKEN, taken_at=now)
    began = dict(
        Alert.objects.filter(incident_id__in=[row.incident_id for row in rows])
        .values_list("incident_id")
        .annotate(Min("pending_since"))
    )
    return [
        Asked(
            row.pk, row.kind, row.target, row.parameters, row.undoes_id is not None,
            began.get(row.incident_id),
        )
        for row in rows
    ]  # fmt: skip


@transaction.atomic
def report_action(action_id: UUID, *, ok: bool, result: dict[str, Any] | None = None) -> bool:
    """Write down how an action went; False if it was reported before."""
    won = Action.objects.filter(pk=action_id, state=State.TAKEN).update(
        state=State.DONE if ok else State.FAILED, done_at=timezone.now(), result=result or {}
    )
    if won:
        action = Action.objects.get(pk=action_id)
        name = "action_done" if ok else "action_failed"
        IncidentEvent.objects.create(
            incident_id=action.incident_id, name=name,
            detail={"kind": action.kind, "target": action.target, **(result or {})},
        )  # fmt: skip
        audit(
            actor="system:monitoring", action=f"monitoring.{name.replace('_', '.')}",
            target=f"{action.kind}:{action.target}", after=result,
        )  # fmt: skip
    return bool(won)


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
