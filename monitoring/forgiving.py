"""What is over, as people said or by an endpoint's end: only what was measured later is judged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet

from monitoring.domain import rules
from monitoring.domain.rules import AlertState
from monitoring.models import Alert, AlertRule, Mark

MINUTE = timedelta(minutes=1)
# No rule looks further back for what it judges.
FURTHEST = timedelta(days=31)


def over(now: datetime) -> dict[UUID, dict[str, datetime]]:
    """By rule and key: up to when a person has said that it is over.

    Or up to when it followed from its endpoint's failure, which is over; or up to when a person
    took the agent out of service.
    """
    by_people = _by_people(Alert.objects.filter(resolved_at__gte=now - FURTHEST))
    let_go = Alert.objects.filter(let_go_at__gte=now - FURTHEST)
    ended = [*by_people.values_list("rule_id", "key", "resolved_at"),
             *let_go.values_list("rule_id", "key", "let_go_at"), *_stopped(now)]  # fmt: skip
    found: dict[UUID, dict[str, datetime]] = {}
    for rule, key, at in ended:
        if at is not None:
            known = found.setdefault(rule, {})
            known[key] = max(_from(at), known.get(key, _from(at)))
    return found


def _stopped(now: datetime) -> list[tuple[UUID, str, datetime]]:
    """For every rule about agents, those that people took out of service."""
    stopped = Mark.objects.filter(kind=Mark.Kind.STOPPED, at__gte=now - FURTHEST)
    rows = list(stopped.values_list("key", "at"))
    rules = AlertRule.objects.filter(scope="agent", is_active=True) if rows else ()
    return [(rule.pk, key, at) for rule in rules for key, at in rows]


def closed_since(rule: AlertRule, known: Mapping[str, datetime], now: datetime) -> set[str]:
    """Keys of alerts that people have closed after ``known`` was read, at about ``now``."""
    rows = _by_people(rule.alerts.filter(resolved_at__gte=now - MINUTE))
    closed = [(key, at) for key, at in rows.values_list("key", "resolved_at") if at is not None]
    return {key for key, at in closed if key not in known or _from(at) > known[key]}


def is_part(rule: AlertRule, now: datetime, over: datetime | None) -> bool:
    """Whether a total is of less than a window, because what was before is forgiven."""
    since = now - timedelta(seconds=rule.window_seconds)
    return over is not None and over > since and rules.usual_total(rule.statistic)


def _by_people(alerts: QuerySet[Alert]) -> QuerySet[Alert]:
    rows = alerts.filter(state=AlertState.RESOLVED)
    return rows.exclude(resolved_by__startswith="system:").exclude(resolved_by="")


def _from(at: datetime) -> datetime:
    """What happened within that minute belongs to what was over."""
    return at.replace(second=0, microsecond=0) + MINUTE
