"""Alerts with one cause become one incident: told once, answered, escalated, resolved."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count

from config import logs
from config.errors import Conflict, NotFound
from monitoring import actions, explaining, notify, queries
from monitoring.audit import audit
from monitoring.domain.anomaly.severity import Severity
from monitoring.domain.grouping import PLATFORM, Symptom, causes
from monitoring.domain.responses import UNDO
from monitoring.domain.rules import AlertState
from monitoring.models import Action, Alert, Incident, IncidentEvent

logger = logging.getLogger(__name__)
State = Incident.State
OPEN = (State.OPEN, State.ACKNOWLEDGED)
RANK = {severity.value: place for place, severity in enumerate(Severity)}
# Nobody acknowledged within this: the next level is told, and again.
ESCALATE_AFTER = timedelta(minutes=15)
ESCALATED_FROM = Severity.HIGH
# An incident that grew so much is worth one more message; less is only a number on its page.
GROWTH = 10


@transaction.atomic
def group(*, now: datetime) -> None:
    """Put every firing alert into its incident, and end those whose alerts have all resolved."""
    firing = list(
        Alert.objects.select_related("rule", "incident").filter(
            state__in=[AlertState.FIRING, AlertState.NO_DATA], is_silenced=False
        )
    )
    open_ = {incident.cause: incident for incident in Incident.objects.filter(state__in=OPEN)}
    symptoms = [Symptom(str(a.pk), a.scope, a.key, a.fired_at or now) for a in firing]
    found = causes(symptoms, _endpoints(symptoms, now), frozenset(open_))
    by_cause: dict[str, list[Alert]] = {}
    for alert in firing:
        by_cause.setdefault(found[str(alert.pk)], []).append(alert)
    for cause, alerts in by_cause.items():
        incident = open_.get(cause) or _open(cause, alerts, now)
        _take_in(incident, alerts, now)
    _resolve_ended(now)


def _endpoints(symptoms: Sequence[Symptom], now: datetime) -> Mapping[str, str]:
    """The endpoint that each agent used most in the last hours: what it depends on."""
    if not symptoms:
        return {}
    rows = queries.totals(
        ["invocations"], scope="agent_endpoint", since=now - timedelta(hours=6),
        until=now + timedelta(minutes=1),
    )  # fmt: skip
    most: dict[str, tuple[float, str]] = {}
    for key, stats in rows.items():
        agent, _, endpoint = key.partition("|")
        count = stats["invocations"].total if "invocations" in stats else 0.0
        most[agent] = max(most.get(agent, (0.0, "")), (count, endpoint))
    return {agent: endpoint for agent, (_, endpoint) in most.items() if endpoint}


def _open(cause: str, alerts: Sequence[Alert], now: datetime) -> Incident:
    worst = max(alerts, key=lambda alert: RANK[alert.severity])
    title = f"{worst.rule.title}: {cause.replace(':', ' ')}" if cause != "all" else worst.rule.title
    incident = Incident.objects.create(
        cause=cause, title=title[:200], severity=worst.severity, opened_at=now,
        domain=explaining.domain_of(*cause.partition(":")[::2], since=now - timedelta(hours=6)),
        impact=_impact(cause, now - timedelta(hours=1), now),
    )  # fmt: skip
    note(incident, "opened", detail={"alerts": len(alerts), "rule": worst.rule.slug})
    for alert in alerts:
        for response in alert.rule.responses:
            ask(incident, str(response["kind"]), str(response.get("target") or alert.key or cause),
                response.get("parameters", {}))  # fmt: skip
    return incident


def _take_in(incident: Incident, alerts: Sequence[Alert], now: datetime) -> None:
    new = [alert for alert in alerts if alert.incident_id != incident.pk]
    left = {alert.incident_id for alert in new if alert.incident_id}
    Alert.objects.filter(pk__in=[alert.pk for alert in new]).update(incident=incident)
    for other in Incident.objects.filter(pk__in=left, state__in=OPEN):
        if not other.alerts.exclude(state=AlertState.RESOLVED).exists():
            _merge(other, incident, now)
    if new and incident.told_alerts:
        note(incident, "grew", detail={"alerts": len(new)})
    worst = max([incident.severity, *(a.severity for a in alerts)], key=RANK.__getitem__)
    if worst != incident.severity:
        note(incident, "worsened", detail={"from": incident.severity, "to": worst})
        incident.severity = worst
    _tell(incident, len(alerts))


def _tell(incident: Incident, alerts: int) -> None:
    if not incident.told_alerts:
        notify.enqueue(incident, "opened", alerts=alerts)
    elif (
        RANK[incident.severity] > RANK.get(incident.told_severity, 0)
        or alerts >= GROWTH * incident.told_alerts
    ):
        notify.enqueue(incident, "updated", alerts=alerts)
    else:
        incident.save(update_fields=["severity"])
        return
    incident.told_alerts, incident.told_severity = (
        max(alerts, incident.told_alerts),
        incident.severity,
    )
    incident.save(update_fields=["severity", "told_alerts", "told_severity"])


def _merge(other: Incident, into: Incident, now: datetime) -> None:
    Incident.objects.filter(pk=other.pk).update(
        state=State.MERGED, merged_into=into, resolved_at=now
    )
    note(other, "merged", detail={"into": str(into.pk)})
    note(into, "took_over", detail={"incident": str(other.pk), "cause": other.cause})


def _resolve_ended(now: datetime) -> None:
    for incident in Incident.objects.filter(state__in=OPEN):
        if not incident.alerts.exclude(state=AlertState.RESOLVED).exists():
            _end(incident, now, actor="system:rules")


def _end(incident: Incident, now: datetime, *, actor: str) -> None:
    incident.state, incident.resolved_at = State.RESOLVED, now
    incident.impact = _impact(incident.cause, incident.opened_at, now)
    note(incident, "resolved", actor=actor)
    incident.summary = _summary(incident, now)
    incident.save()
    for action in incident.actions.filter(undoes=None, state=Action.State.DONE):
        if action.kind in UNDO:
            actions.take_back(action, actor=actor)
    notify.enqueue(incident, "resolved", alerts=incident.told_alerts)


def _impact(cause: str, since: datetime, now: datetime) -> dict[str, Any]:
    """Users, clients, calls, failed calls and money of what the cause touches."""
    scope, _, key = cause.partition(":")
    if scope not in ("agent", "endpoint", "workflow", "domain"):
        scope, key = "all", ""
    users, clients = explaining.touched(scope, key, since=since)
    names = ["invocations", "invocation_errors", "cost_usd", "runs", "run_errors"]
    found = queries.totals(
        names, scope=scope, keys=[key], since=since, until=now + timedelta(minutes=1)
    ).get(key, {})
    sums = {name: found[name].total if name in found else 0.0 for name in names}
    return {
        "users": users,
        "clients": clients,
        "invocations": int(sums["invocations"]),
        "errors": int(sums["invocation_errors"]),
        "runs": int(sums["runs"]),
        "failed_runs": int(sums["run_errors"]),
        "usd": f"{sums['cost_usd']:.6f}",
    }


def _summary(incident: Incident, now: datetime) -> str:
    minutes = (now - incident.opened_at).total_seconds() / 60
    alerts = incident.alerts.values("rule__title").annotate(n=Count("id")).order_by("-n")
    lines = [
        f"{incident.title}: {incident.severity}, {minutes:.0f} min, cause {incident.cause}.",
        f"Touched {incident.impact['users']} users and {incident.impact['clients']} clients: "
        f"{incident.impact['errors']} of {incident.impact['invocations']} calls failed.",
        "Alerts: " + ", ".join(f"{row['rule__title']} ({row['n']})" for row in alerts) + ".",
        f"Acknowledged by {incident.acknowledged_by or 'nobody'}.",
    ]
    lines += [f"{event.at:%H:%M:%S} {event.name} {event.actor}".rstrip()
              for event in incident.timeline.all()]  # fmt: skip
    return "\n".join(lines)


def escalate(*, now: datetime) -> int:
    """Tell the next level about serious incidents that nobody has acknowledged."""
    told = 0
    serious = [s for s, rank in RANK.items() if rank >= RANK[ESCALATED_FROM.value]]
    for incident in Incident.objects.filter(state=State.OPEN, severity__in=serious):
        level = int((now - incident.opened_at) / ESCALATE_AFTER)
        if level <= incident.escalation_level:
            continue
        with transaction.atomic():
            won = Incident.objects.filter(
                pk=incident.pk, state=State.OPEN, escalation_level=incident.escalation_level
            ).update(escalation_level=level)
            if won and notify.enqueue(incident, "escalated", alerts=incident.told_alerts,
                                      level=level, now=now):  # fmt: skip
                people = [one.name for one in notify.on_call(incident, "escalated", level, now)]
                note(incident, "escalated", detail={"level": level, "on_call": people})
                told += 1
    return told


@transaction.atomic
def acknowledge(incident_id: UUID, *, actor: str) -> Incident:
    """Somebody takes care of it; it is not escalated further. Raises Conflict if it has ended."""
    incident = _locked(incident_id)
    if incident.state not in OPEN:
        raise Conflict("incident", incident.state, "open")
    if incident.state == State.OPEN:
        incident.state, incident.acknowledged_by = State.ACKNOWLEDGED, actor
        incident.acknowledged_at = note(incident, "acknowledged", actor=actor).at
        incident.save()
        audit(
            actor=actor, action="monitoring.incident.acknowledged", target=f"incident:{incident.pk}"
        )
    return incident


@transaction.atomic
def resolve(incident_id: UUID, *, actor: str, now: datetime) -> Incident:
    """A person says that it is over; its alerts end too, and begin anew if it is not."""
    incident = _locked(incident_id)
    if incident.state not in OPEN:
        raise Conflict("incident", incident.state, "open or acknowledged")
    incident.alerts.exclude(state=AlertState.RESOLVED).update(
        state=AlertState.RESOLVED, resolved_at=now, resolved_by=actor
    )
    _end(incident, now, actor=actor)
    audit(actor=actor, action="monitoring.incident.resolved", target=f"incident:{incident.pk}")
    return incident


@transaction.atomic
def take_back(incident_id: UUID, action_id: UUID, *, actor: str) -> Incident:
    """A person takes a first response back before the incident ends. Raises NotFound, Conflict."""
    incident = _locked(incident_id)
    action = incident.actions.filter(pk=action_id).first()
    if action is None:
        raise NotFound("action", action_id)
    if actions.take_back(action, actor=actor) is not None:
        audit(actor=actor, action="monitoring.action.taken_back",
              target=f"{action.kind}:{action.target}")  # fmt: skip
    return incident


def _locked(incident_id: UUID) -> Incident:
    incident = Incident.objects.select_for_update().filter(pk=incident_id).first()
    if incident is None:
        raise NotFound("incident", incident_id)
    return incident


def note(incident: Incident, name: str, *, actor: str = "", detail: Any = None) -> IncidentEvent:
    """One more line of the timeline."""
    event = IncidentEvent.objects.create(
        incident=incident, name=name, actor=actor, detail=detail or {}
    )
    event.refresh_from_db(fields=["at"])
    logs.event(logger, f"monitoring.incident.{name}", incident=str(incident.pk))
    return event


def ask(incident: Incident, kind: str, target: str, parameters: dict[str, Any]) -> None:
    """Ask an owner to do something, once for each incident; its sweep carries it out."""
    _, is_new = Action.objects.get_or_create(
        incident=incident, kind=kind, target=target, undoes=None,
        defaults={"parameters": parameters},
    )  # fmt: skip
    if is_new:
        note(incident, "action_asked", detail={"kind": kind, "target": target})


__all__ = ["PLATFORM", "acknowledge", "escalate", "group", "note", "resolve"]
