"""Which tools are slow, dear or fail, from their recorded calls, and what may help."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection

from agents.domain.toolwork import Work, suggestions
from agents.tools import registry
from config.access.callers import Caller
from config.errors import NotFound
from config.partitions import first_id

# Tools in one report, the most waited-for first.
MAX_TOOLS = 50

_QUERY = """
    SELECT name, count(*), count(*) FILTER (WHERE state <> 'succeeded'),
        count(*) FILTER (WHERE error_code = 'timeout'), count(*) FILTER (WHERE is_cached),
        sum(duration_seconds), percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_seconds),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_seconds),
        sum(cost_usd), avg(result_bytes) FILTER (WHERE result_bytes > 0),
        count(*) FILTER (WHERE arguments <> '{}'), count(DISTINCT nullif(arguments, '{}'))
    FROM agents_toolcall
    WHERE id >= %(since)s AND (%(everyone)s OR client_id = ANY(%(clients)s))
    GROUP BY name ORDER BY sum(cost_usd) DESC, sum(duration_seconds) DESC LIMIT %(most)s
"""


def slow_tools(caller: Caller, *, since: datetime) -> list[dict[str, Any]]:
    """Tools by what they cost and how long callers waited for them, as far as you see them.

    ``suggestions`` says in words what the figures speak for.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _QUERY,
            {
                "since": first_id(since),
                "everyone": caller.client_ids is None,
                "clients": list(caller.client_ids or ()),
                "most": MAX_TOOLS,
            },
        )
        rows = cursor.fetchall()
    return [_described(row) for row in rows]


def _described(row: tuple[Any, ...]) -> dict[str, Any]:
    (name, calls, errors, timeouts, cached, seconds, median, p95, cost, size, told,
     distinct) = row  # fmt: skip
    try:
        tool = registry.get(name)
    except NotFound:  # a source or a release that has gone
        tool = None
    work = Work(
        calls=calls,
        errors=errors,
        timeouts=timeouts,
        cached=cached,
        p95_seconds=float(p95),
        cost_usd=cost,
        mean_bytes=float(size or 0),
        repeated_ratio=1 - distinct / told if told else 0.0,
        cache_seconds=tool.cache_seconds if tool else 0,
        is_idempotent=tool.idempotent if tool else False,
        has_fallback=bool(tool and tool.fallback),
        timeout_seconds=tool.timeout_seconds if tool else 0.0,
        selects=bool(tool and "odata" in tool.tags),
    )
    return {
        "name": name,
        "calls": calls,
        "error_ratio": round(errors / calls, 4),
        "timeout_ratio": round(timeouts / calls, 4),
        "cached_ratio": round(cached / calls, 4),
        "repeated_ratio": round(work.repeated_ratio, 4),
        "total_seconds": round(float(seconds), 3),
        "median_seconds": round(float(median), 4),
        "p95_seconds": round(float(p95), 4),
        "mean_result_bytes": round(work.mean_bytes),
        "cost_usd": f"{cost:f}",
        "currency": "USD",
        "suggestions": suggestions(work),
    }
