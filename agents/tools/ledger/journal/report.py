"""The journal-entry tests as one result: the ranked exceptions and what each test found.

Source: ISA 240.33(a) and A42-A45 (selection of entries for testing).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from agents.tools.ledger.benchmarks import level
from agents.tools.ledger.book import open_book, pounds
from agents.tools.ledger.journal.benford import benford
from agents.tools.ledger.journal.context import prepare
from agents.tools.ledger.journal.ranking import KINDS, Ranking, rank
from agents.tools.registry import ToolContext

# A test is named beside a line if it gives at least this part of the line's strongest evidence.
NAMED_SHARE = 0.15
SHOWN_DETAILS = 20


def journal_entry_tests(
    ledger: str,
    context: ToolContext,
    year: int | str | None,
    materiality: float | dict[str, Any] | None,
    limit: int,
) -> dict[str, Any]:
    """Rank all lines, also those outside the year: an entry of the wrong year is one to find.

    ``exceptions`` is by score, ties by line_id; scores are in nats of rarity.
    """
    book = open_book(ledger, context, year)
    threshold = level(materiality)
    prepared = prepare(book)
    ranking = rank(prepared)
    lines = prepared.lines
    listed = ranked_lines(lines, ranking, limit)
    named = _named(ranking, listed)
    inside = book.in_year.reset_index(drop=True)
    above = (
        int((lines.loc[listed, "size"] >= threshold * 100).sum()) if threshold is not None else None
    )
    audited = lines[inside] if inside.any() else lines
    return {
        "period": book.period.as_dict(),
        "lines_tested": len(lines),
        "exception_count": len(listed),
        "exceptions_in_year": int(inside[listed].sum()),
        "exceptions_above_materiality": above,
        "exceptions_value": pounds(lines.loc[listed, "size"].sum()),
        "exceptions": [
            _exception(lines, ranking, index, names)
            for index, names in zip(listed, named, strict=True)
        ],
        "details": [_details(lines, index) for index in listed[:SHOWN_DETAILS]],
        "counts": _counts(named),
        "tests": [
            {
                "test": kind.name,
                "title": kind.title,
                "lines": int((ranking.strength[kind.name] > 0).sum()),
                "rare_lines": int((ranking.evidence[kind.name] > 0).sum()),
            }
            for kind in KINDS
        ],
        "benford": [benford(audited, 1), benford(audited, 2)],
        "concentration": concentration(audited),
        "conclusion": f"{len(listed)} of {len(lines)} lines are selected for vouching",
    }


def ranked_lines(lines: pd.DataFrame, ranking: Ranking, limit: int) -> list[Any]:
    """Index labels of the lines with any evidence, strongest first, ties by line_id."""
    found = ranking.score.round(4)
    table = pd.DataFrame({"score": found, "line_id": lines["line_id"]})
    table = table[table["score"] > 0].sort_values(["score", "line_id"], ascending=[False, True])
    return table.drop_duplicates("line_id").index[:limit].tolist()


def concentration(lines: pd.DataFrame) -> dict[str, Any]:
    """How much of the spending goes to few vendors: shares and the Herfindahl index (0 to 1)."""
    spent = lines[lines["pence"] > 0].groupby("vendor_id")["pence"].sum()
    if spent.empty:
        return {"vendors": 0}
    share = (spent / spent.sum()).sort_values(ascending=False)
    names = lines.drop_duplicates("vendor_id").set_index("vendor_id")["vendor"]
    return {
        "vendors": len(share),
        "herfindahl_index": round(float((share**2).sum()), 4),
        "top_five_percent": round(float(share.head(5).sum()) * 100, 2),
        "largest": [
            {"vendor": str(names[code]), "share_percent": round(float(value) * 100, 2)}
            for code, value in share.head(5).items()
        ],
    }


def _exception(
    lines: pd.DataFrame, ranking: Ranking, index: Any, named: list[str]
) -> dict[str, Any]:
    return {
        "line_id": str(lines.at[index, "line_id"]),
        "score": round(float(ranking.score[index]), 4),
        "tests": named,
    }


def _named(ranking: Ranking, listed: list[Any]) -> list[list[str]]:
    """The tests that speak loudest of each line, up to four, the strongest first."""
    evidence = ranking.evidence.loc[listed]
    names = [str(name) for name in evidence.columns]
    found = []
    for row in evidence.to_numpy():
        order = np.argsort(-row, kind="stable")
        found.append([names[i] for i in order if row[i] >= NAMED_SHARE * row[order[0]]][:4])
    return found


def _details(lines: pd.DataFrame, index: Any) -> dict[str, Any]:
    row = lines.loc[index]
    return {
        "line_id": str(row["line_id"]),
        "vendor": str(row["vendor"]),
        "account_code": str(row["account_code"]),
        "doc_no": str(row["doc_no"]),
        "amount": pounds(row["pence"]),
        "date": str(row["date"].date()),
    }


def _counts(named: list[list[str]]) -> dict[str, int]:
    """How often each test is named in the list, the commonest first."""
    every = pd.Series([name for names in named for name in names], dtype=object)
    return {str(name): int(count) for name, count in every.value_counts().items()}
