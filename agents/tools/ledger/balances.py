"""The trial balance of an expenditure ledger: per account, and per account and month."""

from __future__ import annotations

from typing import Any

from agents.tools.ledger.book import open_book, pounds
from agents.tools.registry import ToolContext

# Accounts whose months are listed; the totals cover all.
SHOWN_MONTHLY = 60
SHOWN_ACCOUNTS = 250

NOTE = (
    "The ledger holds expenditure postings only, without the balancing credits of bank and"
    " creditors: debits do not equal credits, and the audit is of expenditure."
)


def trial_balance(ledger: str, context: ToolContext, year: int | str | None) -> dict[str, Any]:
    """Debits, credits, balance and lines of each account of the audited year, in pounds.

    The balances add up to ``total`` and so do the months, to the penny: sums are of whole pence.
    """
    book = open_book(ledger, context, year)
    lines = book.audited.assign(
        debit=book.audited["pence"].clip(lower=0),
        credit=-book.audited["pence"].clip(upper=0),
        month=book.audited["date"].dt.strftime("%Y-%m"),
    )
    accounts = lines.groupby("account_code").agg(
        account=("account", "first"),
        debits=("debit", "sum"),
        credits=("credit", "sum"),
        balance=("pence", "sum"),
        lines=("pence", "size"),
    )
    accounts = accounts.loc[accounts["balance"].abs().sort_values(ascending=False).index]
    months = lines.groupby("month")["pence"].agg(["sum", "size"])
    matrix = lines.pivot_table(
        index="account_code", columns="month", values="pence", aggfunc="sum", fill_value=0
    )
    return {
        "period": book.period.as_dict(),
        "total_debits": pounds(lines["debit"].sum()),
        "total_credits": pounds(lines["credit"].sum()),
        "total": pounds(lines["pence"].sum()),
        "lines": len(lines),
        "account_count": len(accounts),
        "debits_equal_credits": bool(lines["debit"].sum() == lines["credit"].sum()),
        "note": NOTE,
        "accounts": [
            {
                "account_code": str(code),
                "account": row["account"],
                "debits": pounds(row["debits"]),
                "credits": pounds(row["credits"]),
                "balance": pounds(row["balance"]),
                "lines": int(row["lines"]),
            }
            for code, row in accounts.head(SHOWN_ACCOUNTS).iterrows()
        ],
        "months": [
            {"month": str(month), "net": pounds(row["sum"]), "lines": int(row["size"])}
            for month, row in months.iterrows()
        ],
        "by_month": [
            {
                "account_code": str(code),
                "months": {str(m): pounds(v) for m, v in matrix.loc[code].items() if v},
            }
            for code in accounts.index[:SHOWN_MONTHLY]
        ],
    }
