"""What stands beside an alert: the last errors, what costs most, and whom it touches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from config.statements import execute
from monitoring import queries
from monitoring.domain.metrics import SCOPES
from monitoring.models import AlertRule

MOST_ERRORS = 10
# In a storm the newest errors are told, not every alert's own ten.
MOST_READ = 2000
MOST_AGENTS = 5
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)

# A security event has its kind as a code, and is no error of anybody's call.
_IS_ERROR = "coalesce(labels->>'code', '') <> '' AND NOT 'security_events' = ANY(names)"
_ERRORS = f"""
SELECT at, labels->>'agent', labels->>'code', labels->>'endpoint', labels->>'workflow',
    coalesce(labels->>%(label)s, '')
FROM monitoring_measurement
WHERE at >= %(since)s AND {_IS_ERROR}
  AND (%(label)s = '' OR labels->>%(label)s = ANY(%(keys)s))
ORDER BY at DESC LIMIT %(most)s
"""  # noqa: S608  (constants)
_TOUCHED = f"""
SELECT count(DISTINCT labels->>'user'), count(DISTINCT labels->>'client')
FROM monitoring_measurement
WHERE at >= %(since)s AND {_IS_ERROR}
  AND (%(label)s = '' OR labels->>%(label)s = %(key)s)
"""  # noqa: S608  (constants)

_DOMAINS = """
SELECT DISTINCT labels->>'domain' FROM monitoring_measurement
WHERE at >= %(since)s AND labels->>%(label)s = %(key)s AND labels ? 'domain' LIMIT 2
"""


def details_of(rule: AlertRule, keys: Sequence[str], *, now: datetime) -> dict[str, dict[str, Any]]:
    """By key: the last ten errors of what it is about; for cost, the agents that cost most."""
    errors = last_errors(rule.scope, keys, since=now - HOUR)
    details: dict[str, dict[str, Any]] = {key: {"errors": errors[key]} for key in keys}
    if "cost" in rule.metric or "budget" in rule.metric:
        top = top_cost_agents(now - timedelta(days=1), now + MINUTE)
        for detail in details.values():
            detail["top_cost_agents"] = top
    return details


def last_errors(
    scope: str, keys: Sequence[str], *, since: datetime
) -> dict[str, list[dict[str, Any]]]:
    """Newest first, at most ten a key, of the last ``MOST_READ`` of all of them."""
    label = _label(scope, keys[0])[0] if keys else ""
    first = {key: key.partition("|")[0] if label else "" for key in keys}
    wanted = {"since": since, "label": label, "keys": sorted(set(first.values())),
              "most": MOST_READ}  # fmt: skip
    names = ("agent", "code", "endpoint", "workflow")
    by_label: dict[str, list[dict[str, Any]]] = {}
    for at, *values, about in execute(_ERRORS, wanted):
        here = by_label.setdefault(about if label else "", [])
        if len(here) < MOST_ERRORS:
            known = {n: v for n, v in zip(names, values, strict=True) if v}
            here.append({"at": at.isoformat(), **known})
    return {key: by_label.get(first[key], []) for key in keys}


def top_cost_agents(since: datetime, until: datetime) -> list[dict[str, Any]]:
    """The agents that cost most, with their share of the whole."""
    found = queries.totals(["cost_usd"], scope="agent", since=since, until=until, ranked=())
    costs = {key: stats["cost_usd"].total for key, stats in found.items() if "cost_usd" in stats}
    whole = sum(costs.values()) or 1.0
    ranked = sorted(costs.items(), key=lambda item: -item[1])[:MOST_AGENTS]
    return [
        {"agent": agent, "usd": f"{usd:.6f}", "share": round(usd / whole, 4)}
        for agent, usd in ranked
    ]


def touched(scope: str, key: str, *, since: datetime) -> tuple[int, int]:
    """Users and clients who met an error since then."""
    label, first = _label(scope, key)
    row = execute(_TOUCHED, {"since": since, "label": label, "key": first})[0]
    return int(row[0]), int(row[1])


def domain_of(scope: str, key: str, *, since: datetime) -> str:
    """The domain of what an incident is about, as measurements name it; empty for several."""
    if scope == "domain" or not key or scope not in ("agent", "version", "workflow"):
        return key if scope == "domain" else ""
    label = "workflow" if scope == "workflow" else "agent"
    rows = execute(_DOMAINS, {"since": since, "label": label, "key": key.partition("|")[0]})
    return str(rows[0][0]) if len(rows) == 1 else ""


def _label(scope: str, key: str) -> tuple[str, str]:
    names = SCOPES.get(scope, ())
    return (names[0], key.partition("|")[0]) if names and key else ("", "")
