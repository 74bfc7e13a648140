"""Looks for users whose last hour is unlike their week, and writes it down once."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from monitoring import queries
from monitoring.domain import unusual as deciding
from monitoring.models import SecurityEvent
from monitoring.security_events import security_event

HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
# One event a user in this time; the rule that counts them should not count one thing often.
ONCE_IN = timedelta(hours=6)


def look(*, now: datetime) -> int:
    """Write an event for each user whose last hour is unusual; returns how many."""
    until = now + timedelta(minutes=1)
    found = queries.totals(
        ["invocations", "invocations_blocked"], scope="user", since=now - HOUR, until=until
    )
    told = 0
    for key, stats in found.items():
        calls = int(stats["invocations"].total) if "invocations" in stats else 0
        blocked = int(stats["invocations_blocked"].total) if "invocations_blocked" in stats else 0
        if calls <= deciding.FLOOR and blocked < deciding.BLOCKED:
            continue
        why = deciding.why_unusual(calls, blocked, _past(key, now))
        told += bool(why) and _tell(key, why, now)
    return told


def _past(key: str, now: datetime) -> list[float]:
    points = queries.series(
        "invocations", scope="user", key=key, since=now - HOUR - WEEK, until=now - HOUR
    )
    return [point.stat.total for point in points]


def _tell(key: str, why: str, now: datetime) -> bool:
    try:
        user_id = UUID(key)
    except ValueError:
        return False
    if SecurityEvent.objects.filter(
        kind=SecurityEvent.Kind.UNUSUAL, user_id=user_id, at__gt=now - ONCE_IN
    ).exists():
        return False
    security_event(kind="unusual", severity="high", actor=f"user:{key}", user_id=user_id,
                   detail={"reason": why})  # fmt: skip
    return True
