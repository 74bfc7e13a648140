"""Figures of the whole fleet over a day: calls, errors, latency, cost, hour by hour."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from agents.models import Agent, Invocation
from config.access.callers import Caller
from config.partitions import first_id

DAY, MONTH = timedelta(hours=24), timedelta(days=30)

_HOURS = """
SELECT floor(extract(epoch FROM %(now)s - started_at) / 3600)::int AS hours_ago,
    count(*), count(*) FILTER (WHERE state IN ('failed', 'blocked')),
    percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY duration_seconds)
FROM agents_invocation
WHERE id >= %(since)s AND (%(demo)s OR NOT is_demo) AND (%(all)s OR client_id = ANY(%(clients)s))
GROUP BY 1
"""
_DAY = """
SELECT count(*), count(*) FILTER (WHERE state IN ('failed', 'blocked')),
    percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY duration_seconds),
    coalesce(sum(cost_usd), 0), count(DISTINCT agent_id)
FROM agents_invocation
WHERE id >= %(since)s AND (%(demo)s OR NOT is_demo) AND (%(all)s OR client_id = ANY(%(clients)s))
"""
_COST = """
SELECT coalesce(sum(cost_usd), 0) FROM agents_invocation
WHERE id >= %(since)s AND (%(demo)s OR NOT is_demo) AND (%(all)s OR client_id = ANY(%(clients)s))
"""


def has_live_calls(caller: Caller, *, now: datetime) -> bool:
    """Whether anything but demo calls happened in the last 30 days."""
    rows = caller.only_visible(Invocation.objects.filter(id__gte=first_id(now - MONTH)))
    return rows.filter(is_demo=False).exists()


def figures(caller: Caller, *, now: datetime, demo: bool = False) -> dict[str, Any]:
    """The last 24 hours (seconds, USD) and the cost of 30 days, as far as the caller sees."""
    scope: dict[str, Any] = {
        "now": now, "demo": demo, "all": caller.client_ids is None,
        "clients": list(caller.client_ids or ()),
    }  # fmt: skip
    states = list(Agent.objects.values_list("state", "slug"))
    with connection.cursor() as cursor:
        cursor.execute(_DAY, {**scope, "since": first_id(now - DAY)})
        calls, errors, seconds, cost, called = cursor.fetchone()
        cursor.execute(_COST, {**scope, "since": first_id(now - MONTH)})
        (month_cost,) = cursor.fetchone()
        cursor.execute(_HOURS, {**scope, "since": first_id(now - DAY)})
        hours = {row[0]: row[1:] for row in cursor.fetchall()}
    return {
        "agents": len(states),
        "active": sum(1 for state, _ in states if state == Agent.State.ACTIVE),
        "paused": [slug for state, slug in states if state == Agent.State.PAUSED],
        "called": called,
        "calls": calls,
        "errors": errors,
        "error_ratio": errors / calls if calls else None,
        "p50_seconds": seconds[0] if seconds else None,
        "p95_seconds": seconds[1] if seconds else None,
        "cost_usd": cost,
        "month_cost_usd": month_cost,
        "hours": [_hour(ago, hours.get(ago)) for ago in range(23, -1, -1)],
    }


def _hour(ago: int, row: tuple[Any, ...] | None) -> dict[str, Any]:
    calls, errors, seconds = row or (0, 0, None)
    return {
        "hours_ago": ago, "calls": calls, "errors": errors,
        "p50_seconds": seconds[0] if seconds else None,
        "p95_seconds": seconds[1] if seconds else None,
    }  # fmt: skip


def latency_of(caller: Caller, slug: str, *, now: datetime) -> dict[str, Any]:
    """p50 and p95 in seconds, calls, errors and cost of one agent over 30 days."""
    with connection.cursor() as cursor:
        cursor.execute(
            _DAY + " AND agent_slug = %(slug)s",
            {"since": first_id(now - MONTH), "demo": True, "slug": slug,
             "all": caller.client_ids is None, "clients": list(caller.client_ids or ())},
        )  # fmt: skip
        calls, errors, seconds, cost, _ = cursor.fetchone()
    return {
        "calls": calls, "errors": errors, "cost_usd": cost,
        "error_ratio": errors / calls if calls else None,
        "p50_seconds": seconds[0] if seconds else None,
        "p95_seconds": seconds[1] if seconds else None,
    }  # fmt: skip
