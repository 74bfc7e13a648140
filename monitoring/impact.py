"""How bad an incident is: users, clients, calls, runs and money of what it is about."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from monitoring import explaining, queries
from monitoring.models import Incident

OF_PROVIDER = "provider_endpoint"
# What says that an endpoint was asked: of agents that run elsewhere only their model calls do.
ASKED = ("invocations", "model_calls")
# What an impact is told of; anything else is told of everything.
TOLD_OF = ("agent", "endpoint", "workflow", "domain")
# What broke had been failing for a while before it was told.
BEFORE_IT_OPENED = timedelta(hours=1)
# Users and clients are counted over measurements, which costs as much as the incident is old.
# Counted again after this share of its age, all counts together cost as much as twenty, however
# long it lasts; a count at every pass costs more with each of them.
AGAIN_AFTER = 0.05


def since_of(incident: Incident) -> datetime:
    """From when on an incident's impact is counted."""
    return incident.opened_at - BEFORE_IT_OPENED


def now_of(incident: Incident, now: datetime, *, whole: bool = False) -> dict[str, Any]:
    """The impact of an open incident so far: calls and money as they are now.

    Users and clients are those of ``counted_at`` while that is recent for the incident's age;
    ``whole``: counted now whatever their age.
    """
    known = incident.impact
    counted = datetime.fromisoformat(known["counted_at"]) if "counted_at" in known else None
    is_old = counted is None or now - counted > AGAIN_AFTER * (now - incident.opened_at)
    return of(incident.cause, since_of(incident), now, known=None if whole or is_old else known)


def of(
    cause: str, since: datetime, now: datetime, *, known: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Users, clients, calls, failed calls and money of what the cause touches.

    ``known``: an earlier answer, whose users and clients are kept. ``counted_at``: when these
    were counted.
    """
    scope, _, key = cause.partition(":")
    keys = [key]
    if scope == "provider":  # its figures are those of its endpoints
        own = endpoints_of(key, since, now + timedelta(minutes=1))
        scope, keys = OF_PROVIDER, [f"{key}|{name}" for name in own]
    elif scope not in TOLD_OF:
        scope, key, keys = "all", "", [""]
    if known is None:
        users, clients = explaining.touched(scope, key, since=since)
        known = {"users": users, "clients": clients, "counted_at": now.isoformat()}
    names = ["invocations", "invocation_errors", "invocation_fallbacks", "cost_usd", "runs",
             "run_errors"]  # fmt: skip
    found = queries.totals(
        names, scope=scope, keys=keys, since=since, until=now + timedelta(minutes=1), ranked=()
    )
    sums = {
        name: sum(stats[name].total for stats in found.values() if name in stats) for name in names
    }
    return {
        **{name: known[name] for name in ("users", "clients", "counted_at")},
        "invocations": int(sums["invocations"]),
        "errors": int(sums["invocation_errors"]),
        "fallbacks": int(sums["invocation_fallbacks"]),
        "runs": int(sums["runs"]),
        "failed_runs": int(sums["run_errors"]),
        "usd": f"{sums['cost_usd']:.6f}",
    }


def endpoints_of(provider: str, since: datetime, until: datetime) -> list[str]:
    """The endpoints of a provider that were asked in this time, by name."""
    return sorted(endpoint for name, endpoint in asked_endpoints(since, until) if name == provider)


def asked_endpoints(since: datetime, until: datetime) -> list[tuple[str, str]]:
    """Provider and endpoint of what was asked in this time."""
    rows = queries.totals(ASKED, scope=OF_PROVIDER, since=since, until=until)
    return [(provider, name) for provider, _, name in (key.partition("|") for key in rows)]
