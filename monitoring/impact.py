"""How bad an incident is: users, clients, calls, runs and money of what it is about."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from monitoring import explaining, queries
from monitoring.models import Incident

OF_PROVIDER = "provider_endpoint"
# What an impact is told of; anything else is told of everything.
TOLD_OF = ("agent", "endpoint", "workflow", "domain")
# What broke had been failing for a while before it was told.
BEFORE_IT_OPENED = timedelta(hours=1)


def since_of(incident: Incident) -> datetime:
    """From when on an incident's impact is counted."""
    return incident.opened_at - BEFORE_IT_OPENED


def of(cause: str, since: datetime, now: datetime) -> dict[str, Any]:
    """Users, clients, calls, failed calls and money of what the cause touches."""
    scope, _, key = cause.partition(":")
    keys = [key]
    if scope == "provider":  # its figures are those of its endpoints
        own = endpoints_of(key, since, now + timedelta(minutes=1))
        scope, keys = OF_PROVIDER, [f"{key}|{name}" for name in own]
    elif scope not in TOLD_OF:
        scope, key, keys = "all", "", [""]
    users, clients = explaining.touched(scope, key, since=since)
    names = ["invocations", "invocation_errors", "cost_usd", "runs", "run_errors"]
    found = queries.totals(
        names, scope=scope, keys=keys, since=since, until=now + timedelta(minutes=1)
    )
    sums = {
        name: sum(stats[name].total for stats in found.values() if name in stats) for name in names
    }
    return {
        "users": users,
        "clients": clients,
        "invocations": int(sums["invocations"]),
        "errors": int(sums["invocation_errors"]),
        "runs": int(sums["runs"]),
        "failed_runs": int(sums["run_errors"]),
        "usd": f"{sums['cost_usd']:.6f}",
    }


def endpoints_of(provider: str, since: datetime, until: datetime) -> list[str]:
    """The endpoints of a provider that were asked in this time, by name."""
    return sorted(endpoint for name, endpoint in asked_endpoints(since, until) if name == provider)


def asked_endpoints(since: datetime, until: datetime) -> list[tuple[str, str]]:
    """Provider and endpoint of what was asked in this time."""
    rows = queries.totals(["invocations"], scope=OF_PROVIDER, since=since, until=until)
    return [(provider, name) for provider, _, name in (key.partition("|") for key in rows)]
