"""What budgets of a month will have spent by its end, from the measured days before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from agents.domain.spending import WEEKS, Outlook, month_end
from agents.models import Budget
from monitoring import queries

# A budget's scope and where monitoring has its days.
_SCOPES = {"agent": "agent", "user": "user", "client": "client", "all": "all"}
DAY = timedelta(days=1)


def of_budget(budget: Budget, *, now: datetime) -> Outlook | None:
    """The outlook of a monthly budget; None for other windows, templates, or without history."""
    is_template = budget.key == Budget.TEMPLATE
    if budget.window != Budget.Window.MONTH or is_template or budget.scope not in _SCOPES:
        return None
    now = now.astimezone(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    points = queries.series(
        "cost_usd",
        scope=_SCOPES[budget.scope],
        key="" if budget.scope == Budget.Scope.ALL else budget.key,
        since=midnight - timedelta(weeks=WEEKS),
        until=midnight,
        step=DAY,
    )
    by_day = {point.start.date(): point.stat.total for point in points if point.stat.count}
    is_this_month = budget.window_started_at.astimezone(UTC) >= midnight.replace(day=1)
    return month_end(
        by_day,
        spent_usd=float(budget.spent_usd) if is_this_month else 0.0,
        cap_usd=float(budget.cap_usd),
        today=now.date(),
        day_ratio=(now - midnight) / DAY,
    )


def document(outlook: Outlook | None) -> dict[str, Any] | None:
    """An outlook as the API shows it: money as strings."""
    if outlook is None:
        return None

    def usd(amount: float | None) -> str | None:
        return None if amount is None else f"{amount:.6f}"

    return {
        "month_end_usd": usd(outlook.expected_usd),
        "low_usd": usd(outlook.low_usd),
        "high_usd": usd(outlook.high_usd),
        "currency": "USD",
        "reaches_cap_on": outlook.reaches_cap_on and outlook.reaches_cap_on.isoformat(),
        "days_seen": outlook.days_seen,
    }
