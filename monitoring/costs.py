"""Who and what the money went to, and what was saved."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from config.errors import InvalidInput
from monitoring import queries
from monitoring.domain.metrics import workflow_of
from monitoring.sight import Sight
from monitoring.stretch import Stretch

# What money can be told by; each is a scope of the rollups.
BY = {"agent": "agent", "version": "version", "domain": "domain", "user": "user",
      "client": "client", "experiment": "experiment", "model": "model", "endpoint": "endpoint",
      "workflow": "workflow", "learning": "agent", "total": "all"}  # fmt: skip
# Where it is not the cost of calls that is told.
COST = {"workflow": "run_cost_usd", "learning": "learning_cost_usd"}
MOST_ROWS = 200
_NINE = Decimal("1.000000000")


def attribution(
    by: str,
    *,
    since: datetime,
    until: datetime,
    client: str | None = None,
    hidden: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """Cost and savings by ``by``, dearest first, with the projection of the whole for 30 days.

    ``client`` limits it to one client (by agent, domain or in total). A workflow's cost is that
    of its ended runs; those ``hidden`` are left out. Raises InvalidInput for what money cannot be
    told by.
    """
    if by not in BY:
        raise InvalidInput("by", by, f"one of {', '.join(BY)}")
    scope, prefix = BY[by], None
    if client is not None:
        scoped = {"agent": "client_agent", "learning": "client_agent",
                  "domain": "client_domain", "total": "client", "client": "client",
                  "workflow": "client_workflow"}  # fmt: skip
        if by not in scoped:
            raise InvalidInput("by", by, f"for one client: one of {', '.join(scoped)}")
        scope = scoped[by]
        prefix = client if scope == "client" else f"{client}|"
    cost = COST.get(by, "cost_usd")
    found = queries.totals(
        [cost, "saved_usd"], scope=scope, since=since, until=until, prefix=prefix, ranked=()
    )
    rows = [
        {
            "key": key.removeprefix(prefix) if prefix and scope != "client" else key,
            "cost_usd": usd(stats[cost].total if cost in stats else 0.0),
            "saved_usd": usd(stats["saved_usd"].total if "saved_usd" in stats else 0.0),
            "calls": stats[cost].count if cost in stats else 0,
        }
        for key, stats in found.items()
        if workflow_of(scope, key) not in hidden
    ]
    rows.sort(key=lambda row: (-Decimal(str(row["cost_usd"])), str(row["key"])))
    whole = sum((Decimal(str(row["cost_usd"])) for row in rows), Decimal(0))
    days = Decimal((until - since) / timedelta(days=1))
    return {
        "by": by,
        "currency": "USD",
        "since": since.isoformat(),
        "until": until.isoformat(),
        "cost_usd": str(whole),
        **_saved(scope, since, until, prefix),
        "saved_by_cache_usd": str(
            sum((Decimal(str(row["saved_usd"])) for row in rows), Decimal(0))
        ),
        "projected_30_days_usd": str((whole / days * 30).quantize(_NINE)),
        "rows": rows[:MOST_ROWS],
        "left_out": max(0, len(rows) - MOST_ROWS),
    }


def _saved(scope: str, since: datetime, until: datetime, prefix: str | None) -> dict[str, str]:
    names = ["saved_by_routing_usd", "saved_by_tokens_usd"]
    found = queries.totals(names, scope=scope, since=since, until=until, prefix=prefix, ranked=())
    return {
        name: usd(sum(stats[name].total for stats in found.values() if name in stats))
        for name in names
    }


def attributed(sight: Sight, by: str, when: Stretch) -> list[dict[str, Any]]:
    """Cost, savings, calls, share and course of each key, dearest first; for pages.

    Raises InvalidInput for what money can't be told by, Forbidden where a scope is not seen.
    """
    if by not in BY:
        raise InvalidInput("by", by, f"one of {', '.join(BY)}")
    cost = COST.get(by, "cost_usd")
    rows = []
    found, course = sight.with_course((cost, "saved_usd"), cost, when, scope=BY[by], ranked=())
    for key, stats in found.items():
        spent, saved = stats.get(cost, queries.EMPTY), stats.get("saved_usd", queries.EMPTY)
        if spent.count and (spent.total or by != "learning"):
            rows.append({
                "key": key, "cost_usd": usd(spent.total), "calls": spent.count,
                "saved_usd": usd(saved.total), "by_step": course.get(key, []),
            })  # fmt: skip
    whole = sum((Decimal(str(row["cost_usd"])) for row in rows), Decimal(0))
    for row in rows:
        row["share"] = float(Decimal(str(row["cost_usd"])) / whole) if whole else 0.0
    return sorted(rows, key=lambda row: (-Decimal(str(row["cost_usd"])), str(row["key"])))


def usd(amount: float) -> str:
    """A decimal string of nine places. Sums of rollups are right to far less than that shows."""
    return f"{Decimal(amount).quantize(_NINE):f}"
