"""Materiality from figures of the accounts, without a ledger."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from agents.tools.audit import outputs
from agents.tools.audit.money import rounded
from agents.tools.registry import tool
from config.errors import InvalidInput

# Low and high percentage of each benchmark; source: ISA 320.A8 and common practice.
RANGES = {
    "profit_before_tax": (Decimal(5), Decimal(10)),
    "revenue": (Decimal("0.5"), Decimal(1)),
    "expenditure": (Decimal("0.5"), Decimal(2)),
    "total_assets": (Decimal("0.5"), Decimal(2)),
    "equity": (Decimal(1), Decimal(5)),
}
PLACE = {"low": Decimal(1), "medium": Decimal("0.5"), "high": Decimal(0)}
PERFORMANCE = {"low": Decimal("0.75"), "medium": Decimal("0.65"), "high": Decimal("0.5")}


@tool("audit.materiality", light=True)
def materiality(
    risk: Annotated[Literal["low", "medium", "high"], Field(description="engagement risk")],
    entity_type: Literal["profit", "public", "charity", "asset", "start-up"],
    profit_before_tax: Decimal | None = None,
    revenue: Decimal | None = None,
    expenditure: Decimal | None = None,
    total_assets: Decimal | None = None,
    equity: Decimal | None = None,
) -> outputs.Materiality:
    """Choose the benchmark that suits the entity and compute the three levels.

    A loss or a profit under 0.5 % of revenue makes profit unstable, and revenue replaces it
    (ISA 320.A5). Performance materiality: ISA 320.11; clearly trivial: ISA 450.A3 (5 %).
    """
    figures = {
        "profit_before_tax": profit_before_tax,
        "revenue": revenue,
        "expenditure": expenditure,
        "total_assets": total_assets,
        "equity": equity,
    }
    benchmark = _benchmark(entity_type, figures)
    base = figures[benchmark]
    if base is None or base <= 0:
        raise InvalidInput(benchmark, str(base), "the benchmark of this entity must be above 0")
    low, high = RANGES[benchmark]
    rate = low + (high - low) * PLACE[risk]
    overall = base * rate / 100
    return {
        "benchmark": benchmark.replace("_", " "),
        "benchmark_amount": rounded(base),
        "materiality_percent": float(rate),
        "overall_materiality": rounded(overall),
        "performance_materiality": rounded(overall * PERFORMANCE[risk]),
        "clearly_trivial_level": rounded(overall * Decimal("0.05")),
        "lowest_reasonable": rounded(base * low / 100),
        "highest_reasonable": rounded(base * high / 100),
    }


def _benchmark(entity_type: str, figures: dict[str, Decimal | None]) -> str:
    if entity_type in ("public", "charity"):
        return "expenditure"
    if entity_type == "asset":
        return "total_assets"
    if entity_type == "start-up":
        return "equity" if figures["revenue"] is None else "revenue"
    profit, revenue = figures["profit_before_tax"], figures["revenue"]
    stable = profit is not None and profit > 0
    if stable and profit is not None and revenue:
        stable = profit >= revenue * Decimal("0.005")
    return "profit_before_tax" if stable else "revenue"
