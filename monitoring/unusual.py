"""Looks for users and keys whose last hour is unlike their week, and writes it down once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from config.access.models import ApiKey
from monitoring import queries
from monitoring.domain import unusual as deciding
from monitoring.models import SecurityEvent
from monitoring.security_events import security_event

HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
# One event an actor in this time; the rule that counts them should not count one thing often.
ONCE_IN = timedelta(hours=6)


def look(*, now: datetime) -> int:
    """Write an event for each user and key whose last hour is unusual; returns how many.

    What went through a key is told of the key alone: it is what has to be revoked.
    """
    keys = dict(_unusual("key", now))
    owners = dict(ApiKey.objects.filter(pk__in=keys).values_list("pk", "user_id"))
    told = sum(_tell("key", key, owners.get(key), why, now) for key, why in keys.items())
    told += sum(
        _tell("user", user, user, why, now)
        for user, why in _unusual("user", now)
        if user not in owners.values()
    )
    return told


def _unusual(scope: str, now: datetime) -> Iterator[tuple[UUID, str]]:
    """Whose last hour is unlike the week before, and why."""
    until = now + timedelta(minutes=1)
    found = queries.totals(
        ["invocations", "invocations_blocked"], scope=scope, since=now - HOUR, until=until
    )
    for key, stats in found.items():
        calls = int(stats["invocations"].total) if "invocations" in stats else 0
        blocked = int(stats["invocations_blocked"].total) if "invocations_blocked" in stats else 0
        if calls <= deciding.FLOOR and blocked < deciding.BLOCKED:
            continue
        why = deciding.why_unusual(calls, blocked, _past(scope, key, now))
        if why and (known := _id(key)):
            yield known, why


def _past(scope: str, key: str, now: datetime) -> list[float]:
    points = queries.series(
        "invocations", scope=scope, key=key, since=now - HOUR - WEEK, until=now - HOUR
    )
    return [point.stat.total for point in points]


def _id(key: str) -> UUID | None:
    try:
        return UUID(key)
    except ValueError:
        return None


def _tell(scope: str, key: UUID, user_id: UUID | None, why: str, now: datetime) -> bool:
    kind = SecurityEvent.Kind.UNUSUAL if scope == "user" else SecurityEvent.Kind.KEY_MISUSE
    actor = f"{scope}:{key}"
    lately = SecurityEvent.objects.filter(kind=kind, actor=actor, at__gt=now - ONCE_IN)
    if lately.filter(detail__reason__isnull=False).exclude(detail__has_key="network").exists():
        return False
    security_event(kind=kind.value, severity="high", actor=actor, user_id=user_id,
                   detail={"reason": why})  # fmt: skip
    return True
