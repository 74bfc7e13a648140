"""The first responses of an incident: what its rules ask for, and the taking back at its end."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from monitoring import actions
from monitoring.domain.responses import BACK, UNDO, rules_of, target_of
from monitoring.models import Action, Alert, Incident
from monitoring.timeline import note

logger = logging.getLogger(__name__)
State = Action.State


def ask_for(incident: Incident, alerts: Sequence[Alert], endpoint_of: Mapping[str, str]) -> None:
    """Ask for what the rules of these alerts respond with; what leads nowhere is told."""
    for alert in alerts:
        try:
            with transaction.atomic():
                _ask_for_one(incident, alert, endpoint_of)
        except Exception:  # one rule must not keep incidents of others from being told
            logger.exception("monitoring.response.failed", extra={"rule": alert.rule.slug})


def _ask_for_one(incident: Incident, alert: Alert, endpoint_of: Mapping[str, str]) -> None:
    for response in alert.rule.responses:
        kind = str(response["kind"])
        target = response.get("target") or target_of(
            kind, scope=alert.scope, key=alert.key, cause=incident.cause,
            endpoint=endpoint_of.get(alert.key.partition("|")[0], ""),
        )  # fmt: skip
        if target is None:
            said = f"an alert about {alert.scope} {alert.key!r} names nothing to act on"
            note(incident, "action_failed", detail={"kind": kind, "target": "", "said": said})
        else:
            # Whoever takes a version back looks at what the rule counts of its control.
            given = {"rule": alert.rule.slug} if kind == BACK else {}
            ask(incident, kind, str(target), {**(response.get("parameters") or {}), **given})


def ask(incident: Incident, kind: str, target: str, parameters: dict[str, Any]) -> None:
    """Ask an owner to do something, once for each incident; its sweep carries it out.

    Another rule that asks for the same is another reason: what was asked is looked at again.
    """
    known = _of(incident).filter(kind=kind, target=target, undoes=None)
    if known.exists():
        if "rule" in parameters:
            _ask_by(known, incident, str(parameters["rule"]))
        return
    _, is_new = Action.objects.get_or_create(
        incident=incident, kind=kind, target=target, undoes=None,
        defaults={"parameters": parameters},
    )  # fmt: skip
    if is_new:
        note(incident, "action_asked", detail={"kind": kind, "target": target})


@transaction.atomic
def _ask_by(known: Any, incident: Incident, rule: str) -> None:
    # Whoever reports it at this moment is waited for: what was done is done by the other rules.
    action = known.select_for_update(of=("self",), no_key=True).order_by("id").first()
    asked = rules_of(action.parameters)
    if rule in asked:
        return
    action.parameters = {**action.parameters, "rules": [*asked, rule]}
    if action.state in (State.DONE, State.FAILED):
        action.state, action.taken_at, action.done_at, action.result = State.ASKED, None, None, {}
    action.save(update_fields=["parameters", "state", "taken_at", "done_at", "result"])
    note(incident, "action_asked",
         detail={"kind": action.kind, "target": action.target, "rule": rule})  # fmt: skip


def end(incident: Incident, now: datetime, *, actor: str) -> None:
    """Take back what was done for it, or for what it took over; what waits is not done any more."""
    # What an owner takes or reports at this moment is waited for; who comes later sees the end.
    locked = _of(incident).select_for_update(of=("self",), no_key=True)
    known = list(locked.filter(undoes=None).order_by("id"))
    waiting = [action.pk for action in known if action.state == State.ASKED]
    Action.objects.filter(pk__in=waiting, state=State.ASKED).update(
        state=State.FAILED, done_at=now, result={"said": actions.TOO_LATE}
    )
    for action in known:
        if action.state == State.DONE and action.kind in UNDO:
            actions.take_back(action, actor=actor)


def _of(incident: Incident) -> Any:
    return Action.objects.filter(Q(incident=incident) | Q(incident__merged_into=incident))
