"""Analytical procedures on figures that a client gives, without a ledger."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, cast

from pydantic import Field

from agents.tools.audit import outputs
from agents.tools.audit.money import percent, rounded
from agents.tools.registry import tool

Money = Annotated[Decimal, Field(ge=0)]


@tool("audit.substantive_expectation", light=True)
def substantive_expectation(
    prior_amount: Annotated[Decimal, Field(description="last year's audited amount")],
    recorded_amount: Annotated[Decimal, Field(description="this year's amount in the books")],
    volume_change_percent: Annotated[Decimal, Field(ge=-100, le=1000)],
    price_change_percent: Annotated[Decimal, Field(ge=-100, le=1000)],
    performance_materiality: Annotated[Decimal, Field(gt=0)],
) -> outputs.SubstantiveExpectation:
    """Expect an amount from last year's, volume and price, and judge the difference.

    Expectation = prior x (1 + volume) x (1 + price); the threshold is performance materiality.
    Source: ISA 520.5(a)-(d) and 520.7.
    """
    factor = (1 + volume_change_percent / 100) * (1 + price_change_percent / 100)
    expected = prior_amount * factor
    difference = recorded_amount - expected
    over = abs(difference) > performance_materiality
    return {
        "expected_amount": rounded(expected),
        "difference_from_expectation": rounded(difference),
        "difference_percent": percent(difference, expected),
        "acceptable_threshold": rounded(performance_materiality),
        "analytical_conclusion": "investigate: the difference exceeds the threshold"
        if over
        else "no further work: the difference is within the threshold",
    }


@tool("audit.working_capital_ratios", light=True)
def working_capital_ratios(
    revenue: Annotated[Decimal, Field(gt=0)],
    cost_of_sales: Annotated[Decimal, Field(gt=0)],
    receivables: Money,
    inventory: Money,
    payables: Money,
    prior_margin_percent: Decimal | None = None,
) -> outputs.WorkingCapitalRatios:
    """Gross margin and the days of receivables, inventory and payables (365-day year).

    Source: Palepu, Healy, Peek, "Business Analysis and Valuation", ch. 5; ISA 520.A5.
    """
    margin = (revenue - cost_of_sales) / revenue * 100
    days = {
        "receivable_days": receivables / revenue * 365,
        "inventory_days": inventory / cost_of_sales * 365,
        "payable_days": payables / cost_of_sales * 365,
    }
    cycle = days["receivable_days"] + days["inventory_days"] - days["payable_days"]
    result: dict[str, Any] = {"gross_margin_percent": rounded(margin)}
    result |= {name: rounded(value, Decimal("0.1")) for name, value in days.items()}
    result["cash_conversion_days"] = rounded(cycle, Decimal("0.1"))
    if prior_margin_percent is not None:
        change = margin - prior_margin_percent
        result["margin_change_points"] = rounded(change)
        result["margin_reading"] = "unusual: ask why" if abs(change) > 3 else "stable"
    return cast(outputs.WorkingCapitalRatios, result)
