"""The month-end close: readiness of subledgers, the close plan, the variances to explain."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from agents.tools.amounts import Amount, Positive, cents, percent, share
from agents.tools.operations import outputs
from agents.tools.registry import tool
from config.errors import InvalidInput


class Subledger(BaseModel):
    """A subledger's total beside its control account in the general ledger."""

    model_config = ConfigDict(extra="forbid")
    name: str
    subledger_total: Amount
    control_account: Amount


@tool("operations.tie_out_subledger", light=True)
def tie_out_subledger(
    subledger: Subledger,
    tolerance: Annotated[Positive, Field(description="difference that may stay")] = Decimal(0),
) -> outputs.TieOutSubledger:
    """Whether a subledger agrees with its control account, within a tolerance."""
    difference = subledger.subledger_total - subledger.control_account
    tied = abs(difference) <= tolerance
    return {
        "subledger": subledger.name,
        "difference": cents(difference),
        "tied": tied,
        "tie_out": "agrees" if tied else "differs: find the entries before closing",
    }


class CloseTask(BaseModel):
    """One task of the close with its length in working hours and what it waits for."""

    model_config = ConfigDict(extra="forbid")
    task: str
    hours: Annotated[Decimal, Field(ge=0, le=400)]
    after: list[str] = Field(default_factory=list)


@tool("operations.close_plan", light=True)
def close_plan(
    close_tasks: Annotated[list[CloseTask], Field(min_length=1, max_length=300)],
    hours_a_day: Annotated[Decimal, Field(gt=0, le=24)] = Decimal(8),
    target_days: Annotated[Decimal, Field(gt=0, le=60)] = Decimal(5),
) -> outputs.ClosePlan:
    """Length of the close and the chain of tasks that decides it.

    Critical path method (Kelley & Walker 1959): the longest chain through what waits for what.
    """
    tasks = {task.task: task for task in close_tasks}
    if len(tasks) != len(close_tasks):
        raise InvalidInput("close_tasks", len(close_tasks), "each task stands once")
    ends: dict[str, Decimal] = {}
    while len(ends) < len(tasks):
        ready = [t for t in close_tasks if t.task not in ends and all(a in ends for a in t.after)]
        if not ready:
            stuck = sorted(set(tasks) - set(ends))
            raise InvalidInput("close_tasks.after", stuck, "no cycles and no unknown tasks")
        for task in ready:
            ends[task.task] = max((ends[a] for a in task.after), default=Decimal(0)) + task.hours
    last = max(ends, key=lambda name: ends[name])
    path = _path(tasks, ends, last)
    days = ends[last] / hours_a_day
    return {
        "close_days": cents(days),
        "close_hours": cents(ends[last]),
        "critical_path": " > ".join(path),
        "critical_tasks": len(path),
        "days_over_target": cents(max(days - target_days, Decimal(0))),
        "close_verdict": "on target" if days <= target_days else "too slow: shorten the chain",
    }


def _path(tasks: dict[str, CloseTask], ends: dict[str, Decimal], last: str) -> list[str]:
    path = [last]
    while tasks[path[0]].after:
        path.insert(0, max(tasks[path[0]].after, key=lambda name: ends[name]))
    return path


class AccountMovement(BaseModel):
    """An account's balance now and in the month it is compared with."""

    model_config = ConfigDict(extra="forbid")
    account: str
    current: Amount
    prior: Amount


@tool("operations.flux_analysis", light=True)
def flux_analysis(
    movements: Annotated[list[AccountMovement], Field(min_length=1, max_length=5000)],
    amount_threshold: Positive,
    percent_threshold: Annotated[Decimal, Field(ge=0, le=1000)] = Decimal(10),
) -> outputs.FluxAnalysis:
    """Accounts whose movement passes both thresholds and must be explained.

    A balance that was nil before is judged by amount alone.
    """
    rows: list[dict[str, Any]] = []
    for one in movements:
        change = one.current - one.prior
        ratio = share(change, abs(one.prior))
        big = abs(change) > amount_threshold
        if big and (one.prior == 0 or abs(ratio) * 100 > percent_threshold):
            rows.append(
                {
                    "account": one.account,
                    "change": cents(change),
                    "change_percent": percent(ratio) if one.prior else None,
                }
            )
    rows.sort(key=lambda row: -abs(row["change"]))
    return {
        "to_explain": rows,
        "accounts_to_explain": len(rows),
        "largest_change": rows[0]["change"] if rows else 0.0,
        "net_change": cents(sum((m.current - m.prior for m in movements), Decimal(0))),
        "flux_verdict": "explanations needed" if rows else "nothing unusual",
    }
