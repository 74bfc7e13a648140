"""Substantive work on one account."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from agents.tools.ledger.benchmarks import level
from agents.tools.ledger.book import Book, open_book, pounds
from agents.tools.ledger.journal.context import prepare
from agents.tools.ledger.journal.ranking import rank
from agents.tools.ledger.journal.report import ranked_lines
from agents.tools.registry import ToolContext
from config.errors import InvalidInput

SHOWN_LARGEST, SHOWN_EXCEPTIONS = 5, 5
# Evidence below this many nats is not worth a vouching on its own.
LEAST_SCORE = 5.0


def account_review(
    ledger: str,
    account: str | int | dict[str, Any],
    context: ToolContext,
    year: int | str | None,
    materiality: float | dict[str, Any] | None,
) -> dict[str, Any]:
    """Figures, trend, largest lines and exceptions of one account in the audited year.

    Exceptions are rare against this account's own lines. Source: ISA 330.18 (substantive
    procedures for each material class), ISA 500.A52 (selecting specific items).
    """
    book = open_book(ledger, context, year)
    code = _code(account)
    of_account = book.lines[book.lines["account_code"] == code]
    if of_account.empty:
        known = ", ".join(sorted(book.lines["account_code"].unique())[:10])
        raise InvalidInput("account", code, f"no line has this account code; some are {known}")
    own = Book(of_account.reset_index(drop=True), book.period)
    lines = own.audited
    threshold = level(materiality)
    exceptions = _exceptions(own)
    total = int(lines["pence"].sum())
    vendors = lines.groupby("vendor")["pence"].sum().sort_values(ascending=False)
    result: dict[str, Any] = {
        "account_code": code,
        "account": str(of_account["account"].iloc[0]),
        "period": book.period.label,
        "lines": len(lines),
        "lines_outside_year": len(of_account) - len(lines),
        "total": pounds(total),
        "credits": pounds(lines["pence"].clip(upper=0).sum()),
        "mean_payment": pounds(lines["pence"].mean()) if len(lines) else 0.0,
        "median_payment": pounds(lines["pence"].median()) if len(lines) else 0.0,
        "standard_deviation": pounds(lines["pence"].std(ddof=1)) if len(lines) > 1 else 0.0,
        "vendor_count": len(vendors),
        "top_vendor": str(vendors.index[0]) if len(vendors) else None,
        "top_vendor_percent": round(float(vendors.iloc[0]) / total * 100, 2) if total > 0 else None,
        "trend": _trend(lines),
        "largest_lines": _largest(lines),
        "exception_count": len(exceptions),
        "exceptions": exceptions[:SHOWN_EXCEPTIONS],
    }
    if threshold is not None:
        result["above_materiality"] = bool(abs(total) > threshold * 100)
    return {**result, "conclusion": _conclusion(result)}


def _code(account: str | int | dict[str, Any]) -> str:
    code = account.get("account_code") if isinstance(account, dict) else account
    if code is None or isinstance(code, bool) or not str(code).strip():
        raise InvalidInput("account", account, "an account code, or an object with account_code")
    return str(code).strip()


def _exceptions(own: Book) -> list[dict[str, Any]]:
    prepared = prepare(own)
    ranking = rank(prepared)
    inside = own.in_year.reset_index(drop=True)
    listed = ranked_lines(prepared.lines, ranking, len(prepared.lines))
    return [
        {
            "line_id": str(prepared.lines.at[index, "line_id"]),
            "amount": pounds(prepared.lines.at[index, "pence"]),
            "score": round(float(ranking.score[index]), 2),
            "reason": str(ranking.evidence.loc[index].idxmax()).replace("_", " "),
        }
        for index in listed
        if ranking.score[index] >= LEAST_SCORE and inside[index]
    ]


def _largest(lines: pd.DataFrame) -> list[dict[str, Any]]:
    top = lines.loc[lines["pence"].abs().sort_values(ascending=False).index[:SHOWN_LARGEST]]
    return [
        {
            "line_id": str(row["line_id"]),
            "vendor": str(row["vendor"]),
            "amount": pounds(row["pence"]),
            "date": str(row["date"].date()),
        }
        for _, row in top.iterrows()
    ]


def _trend(lines: pd.DataFrame) -> str:
    """Rising or falling if the second half of the months differs by more than its noise."""
    months = lines.groupby(lines["date"].dt.strftime("%Y-%m"))["pence"].sum().to_numpy(dtype=float)
    if len(months) < 4:
        return "too few months to tell"
    first, second = np.array_split(months, 2)
    noise = np.sqrt(first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second))
    change = second.mean() - first.mean()
    if abs(change) <= 2 * noise:
        return "steady"
    return "rising" if change > 0 else "falling"


def _conclusion(result: dict[str, Any]) -> str:
    if not result["lines"]:
        return "no posting in the audited year"
    if result["exception_count"]:
        return f"vouch {result['exception_count']} exceptions before accepting the balance"
    return "no exception; the balance is accepted subject to the sample"
