"""Roll-forward: from the interim date to the year's end (ISA 330.12, 22-23)."""

from __future__ import annotations

from datetime import date
from typing import Any

from agents.tools.ledger.benchmarks import level
from agents.tools.ledger.book import open_book, pounds
from agents.tools.registry import ToolContext
from config.errors import InvalidInput

# A daily rate of spending that changed by more than this needs work on the remaining period.
RATE_CHANGE = 0.5
SHOWN = 40


def roll_forward(
    ledger: str,
    interim_date: str,
    context: ToolContext,
    year: int | str | None,
    materiality: float | dict[str, Any] | None,
) -> dict[str, Any]:
    """Interim balance + remaining postings = final balance, per account, in pounds.

    An account needs work if its remaining postings exceed ``materiality`` (default: 1 % of the
    year's spending) and its daily rate changed by more than half.
    """
    book = open_book(ledger, context, year)
    cut = _inside(interim_date, book.period.start, book.period.end)
    lines = book.audited
    done = lines["date"].dt.date <= cut
    threshold = level(materiality)
    if threshold is None:
        threshold = abs(float(lines["pence"].sum())) / 100 * 0.01
    days_before = (cut - book.period.start).days + 1
    days_after = (book.period.end - cut).days
    rows = []
    for code, group in lines.groupby("account_code"):
        before = int(group.loc[done[group.index], "pence"].sum())
        after = int(group["pence"].sum()) - before
        expected = before / days_before * days_after
        changed = abs(after - expected) > RATE_CHANGE * max(abs(expected), 1.0)
        rows.append(
            {
                "account_code": str(code),
                "account": group["account"].iloc[0],
                "interim_balance": pounds(before),
                "remaining_postings": pounds(after),
                "final_balance": pounds(before + after),
                "expected_remaining": pounds(expected),
                "needs_work": bool(changed and abs(after) > threshold * 100),
            }
        )
    rows.sort(key=lambda row: (not row["needs_work"], -abs(row["remaining_postings"])))
    work = sum(row["needs_work"] for row in rows)
    return {
        "period": book.period.as_dict(),
        "interim_date": cut.isoformat(),
        "remaining_days": days_after,
        "interim_total": pounds(lines.loc[done, "pence"].sum()),
        "remaining_total": pounds(lines.loc[~done, "pence"].sum()),
        "final_total": pounds(lines["pence"].sum()),
        "remaining_lines": int((~done).sum()),
        "accounts_needing_work": work,
        "accounts": rows[:SHOWN],
        "conclusion": f"{work} accounts need work on the remaining period"
        if work
        else "the interim conclusions carry forward",
    }


def _inside(text: str, start: date, end: date) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise InvalidInput("interim_date", text, "an ISO date such as 2012-12-31") from None
    if not start <= found < end:
        raise InvalidInput("interim_date", text, f"from {start} to the day before {end}")
    return found
