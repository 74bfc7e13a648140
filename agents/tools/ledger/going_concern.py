"""Going-concern indicators that spending alone can show.

Source: ISA 570.A3: inability to pay creditors on due dates, change from credit to cash-on-delivery,
loss of a principal supplier. An expenditure ledger shows no income, cash or debt, and the result
says so.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from agents.tools.ledger.book import Book, open_book
from agents.tools.registry import ToolContext

LIMITS = "the ledger shows spending only: income, cash, debt and forecasts are outside it"
# Readings worth asking about.
FALL_PERCENT, RELIANCE_PERCENT, RUSH_PERCENT, CREDIT_PERCENT = 30.0, 40.0, 20.0, 10.0
LOST_SHARE_PERCENT = 5.0


def indicators(ledger: str, context: ToolContext, year: int | str | None) -> dict[str, Any]:
    """Each indicator with its value in percent and whether it stands out."""
    book = open_book(ledger, context, year)
    found: list[dict[str, Any]] = [
        {"indicator": name, "percent": round(float(value), 2), "stands_out": bool(out)}
        for name, value, out in _measured(book)
    ]
    count = sum(item["stands_out"] for item in found)
    return {
        "period": book.period.as_dict(),
        "spending_indicators": found,
        "spending_indicator_count": count,
        "spending_conclusion": f"{count} indicators need management's explanation"
        if count
        else "spending shows no indicator of doubt",
        "limits_of_evidence": LIMITS,
    }


def _measured(book: Book) -> list[tuple[str, float, bool]]:
    lines = book.audited
    total = float(lines["pence"].sum())
    if lines.empty or total <= 0:
        return []
    month = lines["date"].dt.to_period("M")
    monthly = lines["pence"].groupby(month).sum().astype(float)
    quarter = monthly.iloc[-3:].mean()
    earlier = monthly.iloc[:-3].mean() if len(monthly) > 3 else quarter
    change = (quarter - earlier) / abs(earlier) * 100 if earlier else 0.0
    last = float(monthly.iloc[-1]) / total * 100
    vendors = lines.groupby("vendor_id")["pence"].sum()
    largest = float(vendors.max()) / total * 100
    returned = -float(lines["pence"].clip(upper=0).sum())
    credit = returned / float(lines["pence"].clip(lower=0).sum()) * 100
    lost = _lost_vendors(lines)
    return [
        ("change of the last quarter's monthly spending", change, change <= -FALL_PERCENT),
        ("spending in the last month of the year", last, last >= RUSH_PERCENT),
        ("share of the largest vendor", largest, largest >= RELIANCE_PERCENT),
        ("credits against payments", credit, credit >= CREDIT_PERCENT),
        ("share of vendors of the first half not paid since", lost, lost >= 4 * LOST_SHARE_PERCENT),
    ]


def _lost_vendors(lines: pd.DataFrame) -> float:
    """Spending share, in percent of the first half, of its larger vendors never paid again."""
    middle = lines["date"].min() + (lines["date"].max() - lines["date"].min()) / 2
    early, late = lines[lines["date"] <= middle], lines[lines["date"] > middle]
    spent = early.groupby("vendor_id")["pence"].sum()
    if spent.sum() <= 0:
        return 0.0
    principal = spent[spent >= spent.sum() * LOST_SHARE_PERCENT / 100]
    gone = principal[~principal.index.isin(late["vendor_id"])]
    return float(gone.sum() / spent.sum() * 100)
