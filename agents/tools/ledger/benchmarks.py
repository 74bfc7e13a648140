"""Materiality of an expenditure ledger.

Sources: ISA 320.10-11 and A4-A13 (benchmark, percentage, performance materiality); ISA 450.A3
(clearly trivial). Percentages for expenditure-based entities: 0.5 to 2 % of gross expenditure,
as in the UK Public Audit Forum's Practice Note 10.
"""

from __future__ import annotations

from typing import Any

from agents.tools.ledger.book import open_book, pounds
from agents.tools.registry import ToolContext
from config.errors import InvalidInput

# The riskier the engagement, the smaller the share that may be wrong unnoticed.
PERCENT_OF_EXPENDITURE = {"low": 2.0, "medium": 1.0, "high": 0.5}
PERFORMANCE_SHARE = {"low": 0.75, "medium": 0.65, "high": 0.50}
TRIVIAL_SHARE = 0.05


def materiality(
    ledger: str,
    context: ToolContext,
    year: int | str | None,
    benchmark: str,
    percentage: float | None,
    risk: str,
) -> dict[str, Any]:
    """Overall, performance and trivial levels in pounds, rounded down to round figures."""
    book = open_book(ledger, context, year)
    pence = book.audited["pence"]
    base = int(pence.sum()) if benchmark == "expenditure" else int(pence.clip(lower=0).sum())
    if base <= 0:
        raise InvalidInput("ledger", pounds(base), "materiality needs expenditure above 0")
    percent = percentage or PERCENT_OF_EXPENDITURE[risk]
    exact = base / 100 * percent / 100
    overall = round_down(exact)
    performance = round_down(overall * PERFORMANCE_SHARE[risk])
    trivial = round_down(overall * TRIVIAL_SHARE)
    return {
        "period": book.period.as_dict(),
        "benchmark": benchmark,
        "benchmark_amount": pounds(base),
        "percentage": percent,
        "risk": risk,
        "overall": overall,
        "performance": performance,
        "trivial": trivial,
        "lines_above_performance": int((pence.abs() > performance * 100).sum()),
        "value_above_performance": pounds(pence[pence.abs() > performance * 100].sum()),
        "reasons": [
            f"benchmark {benchmark}: spending is what users of a public authority's accounts"
            " look at (ISA 320.A4)",
            f"{percent:g} % of {pounds(base):.2f} is {exact:.2f}, rounded down to {overall:.2f}",
            f"performance materiality is {PERFORMANCE_SHARE[risk]:.0%} of it for {risk} risk"
            " (ISA 320.11)",
            f"misstatements under {trivial:.2f} are clearly trivial (ISA 450.A3)",
        ],
    }


def round_down(amount: float) -> float:
    """Down to two significant digits: 1,443,775 becomes 1,400,000; 12.3 becomes 12."""
    if amount < 1:
        return round(amount, 2)
    unit = 10 ** max(len(str(int(amount))) - 2, 0)
    return float(int(amount) // unit * unit)


def level(materiality: float | dict[str, Any] | None, name: str = "performance") -> float | None:
    """The amount in pounds behind a ``materiality`` argument: a number or a result's level."""
    if isinstance(materiality, dict):
        found = materiality.get(name, materiality.get("overall"))
        if not isinstance(found, int | float) or isinstance(found, bool):
            raise InvalidInput("materiality", materiality, f"needs a number {name!r} or 'overall'")
        materiality = float(found)
    if materiality is not None and materiality <= 0:
        raise InvalidInput("materiality", materiality, "must be above 0")
    return materiality
