"""Loading: the checked ledger kept as Parquet, and what the reader should know about it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from agents.tools.ledger import book as books
from agents.tools.ledger import period as periods
from agents.tools.ledger.reading import read
from agents.tools.registry import ToolContext
from config.errors import Unavailable

# What a result shows of a long list; the counts beside it are whole.
SHOWN_PROBLEMS, SHOWN_OUTSIDE, SHOWN_ACCOUNTS = 50, 5, 300


def load(ledger: str, year: int | str, context: ToolContext) -> dict[str, Any]:
    """Read, check and keep a ledger; see the tool for the parameters.

    Raises InvalidInput for what is not a ledger, NotFound for an unknown reference.
    """
    period = periods.parse(year)
    if context.artifacts is None:
        raise Unavailable("the artifact store", "this call was given none")
    content = books.content_of(ledger, context)
    if content[:4] == b"PAR1":
        book, problems, notes, encoding = books.open_book(ledger, context, year), [], [], "parquet"
    else:
        reading = read(content)
        book = books.Book(books.from_reading(reading, year).lines, period)
        problems, notes, encoding = reading.problems, reading.notes, reading.encoding
    ref = context.artifacts.save("ledger.parquet", books.to_parquet(book), books.PARQUET_TYPE)
    excluded = len({problem.line for problem in problems if problem.action == "excluded"})
    return {
        "ledger": ref,
        **summary(book),
        "excluded_rows": excluded,
        "problem_count": len(problems),
        "problems": [problem.as_dict() for problem in problems[:SHOWN_PROBLEMS]],
        "notes": notes,
        "encoding": encoding,
    }


def summary(book: books.Book) -> dict[str, Any]:
    """Counts, totals in pounds, the lines outside the year, and the accounts by size."""
    inside = book.in_year
    outside = book.lines[~inside]
    audited = book.audited if inside.any() else book.lines
    listed = by_account(audited)
    return {
        "period": book.period.as_dict(),
        "rows": len(book.lines),
        "rows_in_year": int(inside.sum()),
        "rows_outside_year": len(outside),
        "total": books.pounds(book.lines["pence"].sum()),
        "total_in_year": books.pounds(book.audited["pence"].sum()),
        "total_outside_year": books.pounds(outside["pence"].sum()),
        "outside_year_examples": [_line(row) for row in _rows(outside.head(SHOWN_OUTSIDE))],
        "first_date": str(book.lines["date"].min().date()),
        "last_date": str(book.lines["date"].max().date()),
        "vendor_count": int(book.lines["vendor_id"].nunique()),
        "account_count": len(listed),
        "accounts": listed[:SHOWN_ACCOUNTS],
    }


def by_account(lines: pd.DataFrame) -> list[dict[str, Any]]:
    """Accounts with lines and total in pounds, the largest absolute total first."""
    table = lines.groupby("account_code").agg(
        account=("account", "first"), lines=("pence", "size"), total=("pence", "sum")
    )
    table = table.reset_index().sort_values(
        by=["total", "account_code"], key=lambda c: -c.abs() if c.name == "total" else c
    )
    return [
        {
            "account_code": row["account_code"],
            "account": row["account"],
            "lines": int(row["lines"]),
            "total": books.pounds(row["total"]),
        }
        for row in _rows(table)
    ]


def _line(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "line_id": row["line_id"],
        "date": str(row["date"].date()),
        "amount": books.pounds(row["pence"]),
    }


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]
