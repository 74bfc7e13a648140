"""Alerts with one cause become one incident: told once, answered, escalated, resolved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Subquery

from config import readable
from config.errors import Conflict, NotFound
from monitoring import (
    actions,
    explaining,
    fingerprints,
    impact,
    inhibiting,
    notify,
    queries,
    responding,
    silencing,
)
from monitoring.audit import audit
from monitoring.domain.anomaly.severity import Severity
from monitoring.domain.grouping import (
    ALIKE,
    PLATFORM,
    TOGETHER,
    WIDE,
    Symptom,
    causes,
    is_failing,
)
from monitoring.domain.inhibition import FOLLOWS
from monitoring.domain.rules import AlertState
from monitoring.models import Alert, AlertRule, Incident, IncidentEvent
from monitoring.responding import ask
from monitoring.timeline import note

State = Incident.State
OPEN = (State.OPEN, State.ACKNOWLEDGED)
# What an outage does to everything above it: a wide alert of these belongs to an open outage.
FAILURES = FOLLOWS | {"run_errors", "run_duration_seconds", "step_retries"}
UNUSUAL = (AlertRule.Kind.ANOMALY, AlertRule.Kind.TOGETHER, AlertRule.Kind.NO_DATA)
RANK = {severity.value: place for place, severity in enumerate(Severity)}
# Nobody acknowledged within this: the next level is told, and again.
ESCALATE_AFTER = timedelta(minutes=15)
# A line of the timeline is written so much after the pass that it belongs to, at most.
LATE = timedelta(seconds=30)
ESCALATED_FROM = Severity.HIGH
# Nothing is measured of it any more: it is not known to go on, nor to be over.
UNMEASURED = notify.UNMEASURED
# An incident that grew so much is worth one more message, once; the rest is a number on its page.
GROWTH = 10


@transaction.atomic
def group(*, now: datetime) -> None:
    """Put every firing alert into its incident, and end those whose alerts have all resolved."""
    # First the incidents, then their alerts: what a person ends meanwhile is seen as ended.
    locked = Incident.objects.select_for_update(no_key=True).filter(state__in=OPEN).order_by("id")
    open_ = {incident.cause: incident for incident in locked}
    silencing.look_again(now=now)
    firing = list(
        Alert.objects.select_related("rule", "incident", "inhibited_by").filter(
            state__in=[AlertState.FIRING, AlertState.NO_DATA], is_silenced=False
        )
    )
    endpoint_of = _endpoints(firing, now)
    usual = fingerprints.usual_code(firing)
    symptoms = [_symptom(alert, now, usual) for alert in firing]
    failing = _failing(symptoms, now)
    inhibiting.inhibit(firing, _endpoints(firing, now, back=TOGETHER), failing, now=now)
    alone = inhibiting.fail_on(firing, endpoint_of)
    depends = {agent: name for agent, name in endpoint_of.items() if agent not in alone}
    found = causes(symptoms, depends, frozenset(open_), _providers(symptoms, now), failing)
    by_cause: dict[str, list[Alert]] = {}
    for alert in firing:
        by_cause.setdefault(found[str(alert.pk)], []).append(alert)
    for cause, alerts in by_cause.items():
        incident = open_.get(cause) or _open(cause, alerts, now)
        _take_in(incident, alerts, endpoint_of, now)
    _resolve_ended(now)


def _symptom(alert: Alert, now: datetime, usual: str) -> Symptom:
    held = alert.incident
    return Symptom(
        str(alert.pk), alert.scope, alert.key, alert.fired_at or now,
        held=held.cause if held is not None and held.state in OPEN else "",
        fails=alert.rule.metric in FAILURES or alert.rule.kind in UNUSUAL,
        fingerprint=fingerprints.of(alert, usual),
    )  # fmt: skip


def _endpoints(
    firing: Sequence[Alert], now: datetime, *, back: timedelta = timedelta(hours=6)
) -> Mapping[str, str]:
    """The endpoint that each agent used most in the last hours: what it depends on."""
    if not firing:
        return {}
    rows = queries.totals(
        impact.ASKED, scope="agent_endpoint", since=now - back,
        until=now + timedelta(minutes=1),
    )  # fmt: skip
    most: dict[str, tuple[float, str]] = {}
    for key, stats in rows.items():
        agent, _, endpoint = key.partition("|")
        count = max(stat.total for stat in stats.values())
        most[agent] = max(most.get(agent, (0.0, "")), (count, endpoint))
    return {agent: endpoint for agent, (_, endpoint) in most.items() if endpoint}


def _providers(symptoms: Sequence[Symptom], now: datetime) -> Mapping[str, str]:
    """The provider of each endpoint that was asked in the last hours."""
    if not symptoms:
        return {}
    asked = impact.asked_endpoints(now - timedelta(hours=6), now + timedelta(minutes=1))
    return {endpoint: provider for provider, endpoint in asked}


def _failing(symptoms: Sequence[Symptom], now: datetime) -> frozenset[str]:
    """Endpoints most of whose latest calls failed by their fault, or had only a fallback."""
    if not symptoms:
        return frozenset()
    rows = queries.totals(
        ["invocations", "invocation_errors", "invocation_fallbacks"], scope="endpoint",
        since=now - TOGETHER, until=now + timedelta(minutes=1),
    )  # fmt: skip

    def sums(stats: Mapping[str, Any], *names: str) -> float:
        return float(sum(stats[name].total for name in names if name in stats))

    return frozenset(
        name for name, stats in rows.items()
        if is_failing(sums(stats, "invocations"),
                      sums(stats, "invocation_errors", "invocation_fallbacks"))
    )  # fmt: skip


def _open(cause: str, alerts: Sequence[Alert], now: datetime) -> Incident:
    worst = _worst(alerts)
    incident = Incident.objects.create(
        cause=cause, title=_title(cause, worst), severity=worst.severity, opened_at=now,
        domain=explaining.domain_of(*cause.partition(":")[::2], since=now - timedelta(hours=6)),
        impact=impact.of(cause, now - impact.BEFORE_IT_OPENED, now),
    )  # fmt: skip
    note(incident, "opened", detail={**_counted(alerts), "rule": worst.rule.slug})
    return incident


def _worst(alerts: Sequence[Alert]) -> Alert:
    """What gives an incident its severity and its name: what is narrow before what is wide."""
    return max(alerts, key=lambda alert: (RANK[alert.severity], alert.scope not in WIDE))


def _title(cause: str, worst: Alert) -> str:
    """What the worst alert says, and of what."""
    said = worst.rule.title
    if cause.startswith(ALIKE):
        way = cause.removeprefix(ALIKE)
        alike = "" if way == worst.rule.slug else f", {way}"
        return f"{said}: several agents alike{alike}"[:200]
    return (said if cause == "all" else f"{said}: {cause.replace(':', ' ')}")[:200]


def _counted(alerts: Sequence[Alert]) -> dict[str, Any]:
    """How many alerts there are, and how many of each rule, the most first."""
    rules = Counter(alert.rule.slug for alert in alerts)
    return {"alerts": len(alerts), "rules": [list(one) for one in rules.most_common()]}


def _take_in(
    incident: Incident, alerts: Sequence[Alert], endpoint_of: Mapping[str, str], now: datetime
) -> None:
    new = [alert for alert in alerts if alert.incident_id != incident.pk]
    # One that fails of itself leaves the incident of its endpoint behind as it is.
    own = [alert for alert in alerts if inhibiting.fails_of_itself(alert)]
    # An incident of its own is taken over when the endpoint is the cause again after all.
    left = {
        alert.incident.pk
        for alert in new
        if alert.incident is not None
        and (alert not in own or alert.incident.cause.startswith("agent:"))
    }
    Alert.objects.filter(pk__in=[alert.pk for alert in new]).update(incident=incident)
    for other in Incident.objects.filter(pk__in=left, state__in=OPEN):
        if not other.alerts.exclude(state=AlertState.RESOLVED).exists():
            _merge(other, incident, now)
    follows = [alert for alert in new if alert.inhibited_by_id is not None]
    asking = [alert for alert in alerts if alert in own or (alert in new and alert not in follows)]
    responding.ask_for(incident, asking, endpoint_of)
    if follows:
        note(incident, "inhibited", detail=_counted(follows))
    if new and incident.told_alerts:
        note(incident, "grew", detail=_counted(new))
    worst = _worst(alerts)
    if RANK[worst.severity] > RANK[incident.severity]:
        note(incident, "worsened", detail={"from": incident.severity, "to": worst.severity})
        # "Half of a budget is used" is no name for one that is used up.
        incident.severity, incident.title = worst.severity, _title(incident.cause, worst)
    _tell(incident, len(alerts), now)


def _tell(incident: Incident, alerts: int, now: datetime) -> None:
    fields = ["severity", "title", "impact"]
    is_new = not incident.told_alerts
    is_worth = (
        is_new
        or RANK[incident.severity] > RANK.get(incident.told_severity, 0)
        or (
            alerts >= GROWTH * incident.told_alerts
            and not incident.deliveries.filter(name="updated").exists()
        )
    )
    incident.impact = impact.now_of(incident, now, whole=is_worth and not is_new)
    if not is_worth:
        incident.save(update_fields=fields)
        return
    notify.enqueue(incident, "opened" if is_new else "updated", alerts=alerts)
    incident.told_alerts, incident.told_severity = (
        max(alerts, incident.told_alerts),
        incident.severity,
    )
    incident.save(update_fields=[*fields, "told_alerts", "told_severity"])


def _merge(other: Incident, into: Incident, now: datetime) -> None:
    Incident.objects.filter(pk=other.pk).update(
        state=State.MERGED, merged_into=into, resolved_at=now
    )
    Incident.objects.filter(merged_into=other).update(merged_into=into)
    note(other, "merged", detail={"into": str(into.pk)})
    note(into, "took_over", detail={"incident": str(other.pk), "cause": other.cause})
    notify.drop_held(other)
    notify.tell_pagers(other, "resolved")  # else it would ring there for ever


def _resolve_ended(now: datetime) -> None:
    for incident in Incident.objects.filter(state__in=OPEN):
        if not incident.alerts.exclude(state=AlertState.RESOLVED).exists():
            _end(incident, now, actor="system:rules")


def _end(incident: Incident, now: datetime, *, actor: str) -> None:
    incident.state, incident.resolved_at = State.RESOLVED, now
    incident.impact = impact.now_of(incident, now, whole=True)
    note(incident, "resolved", actor=actor)
    incident.summary = _summary(incident, now)
    incident.save()
    responding.end(incident, now, actor=actor)
    notify.enqueue(incident, "resolved", alerts=incident.told_alerts)


def _summary(incident: Incident, now: datetime) -> str:
    minutes = (now - incident.opened_at).total_seconds() / 60
    alerts = incident.alerts.values("rule__title").annotate(n=Count("id")).order_by("-n")
    lines = [
        f"{incident.title}: {incident.severity}, {minutes:.0f} min, cause {incident.cause}.",
        f"Touched {readable.plural(incident.impact['users'], 'user')} and "
        f"{readable.plural(incident.impact['clients'], 'client')}: "
        f"{incident.impact['errors']} of {incident.impact['invocations']} calls failed"
        + (f", {given} had only a fallback." if (given := incident.impact["fallbacks"]) else "."),
        "Alerts: " + ", ".join(f"{row['rule__title']} ({row['n']})" for row in alerts) + ".",
        f"Acknowledged by {incident.acknowledged_by or 'nobody'}.",
    ]
    lines += [f"{event.at:%H:%M:%S} {event.name} {event.actor}".rstrip()
              for event in incident.timeline.all()]  # fmt: skip
    return "\n".join(lines)


def escalate(*, now: datetime) -> int:
    """Tell the next level about serious incidents that nobody has acknowledged, one at a time.

    Not of those of which nothing is measured any more, which is told once, nor of what is
    silenced meanwhile.
    """
    told = 0
    live = Alert.objects.filter(incident=OuterRef("pk")).exclude(state=AlertState.RESOLVED)
    heard = live.filter(state=AlertState.FIRING, is_silenced=False)
    serious = [s for s, rank in RANK.items() if rank >= RANK[ESCALATED_FROM.value]]
    unanswered = Incident.objects.filter(state=State.OPEN, severity__in=serious)
    vanished = live.filter(state=AlertState.NO_DATA, is_silenced=False)
    measured = live.filter(state=AlertState.FIRING)
    said = IncidentEvent.objects.filter(incident=OuterRef("pk"), name=UNMEASURED)
    for row in unanswered.filter(~Exists(measured), ~Exists(said), Exists(vanished)):
        told += _tell_unmeasured(row.pk)
    last = IncidentEvent.objects.filter(incident=OuterRef("pk"), name="escalated").order_by("-at")
    asked = unanswered.annotate(asked_at=Subquery(last.values("at")[:1]))
    for incident in asked.filter(Exists(heard) | ~Exists(live)):
        # After hours without data the next level is told first, and then has its time.
        level = incident.escalation_level + 1
        answers_until = (incident.asked_at or incident.opened_at) + ESCALATE_AFTER - LATE
        if now < max(answers_until, incident.opened_at + level * ESCALATE_AFTER):
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
def _tell_unmeasured(incident_id: UUID) -> bool:
    """Say that nobody is called on any more, unless somebody has come or it is over meanwhile."""
    locked = Incident.objects.select_for_update(no_key=True)
    incident = locked.filter(pk=incident_id, state=State.OPEN).first()
    if incident is None or incident.timeline.filter(name=UNMEASURED).exists():
        return False
    note(incident, UNMEASURED)
    return notify.enqueue(incident, UNMEASURED, alerts=incident.told_alerts) > 0


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
        notify.tell_pagers(incident, "acknowledged")
        audit(
            actor=actor, action="monitoring.incident.acknowledged", target=f"incident:{incident.pk}"
        )
    return incident


@transaction.atomic
def resolve(incident_id: UUID, *, actor: str, now: datetime) -> Incident:
    """A person says that it is over; its alerts end too, and begin anew if it is not.

    What was measured before is forgiven: only what comes afterwards can begin them anew.
    """
    incident = _locked(incident_id)
    if incident.state not in OPEN:
        raise Conflict("incident", incident.state, "open or acknowledged")
    live = incident.alerts.exclude(state=AlertState.RESOLVED)
    live.update(state=AlertState.RESOLVED, resolved_at=now, resolved_by=actor)
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
    # Without its key: whoever reports an action of it may add to its timeline meanwhile.
    incident = Incident.objects.select_for_update(no_key=True).filter(pk=incident_id).first()
    if incident is None:
        raise NotFound("incident", incident_id)
    return incident


__all__ = ["PLATFORM", "acknowledge", "ask", "escalate", "group", "note", "resolve"]
