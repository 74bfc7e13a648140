"""Financial due diligence: quality of earnings, working capital peg, price bridge."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import Field

from agents.tools.accounting.amounts import (
    ZERO,
    Money,
    NonNegative,
    Positive,
    Row,
    money,
    number,
    percent,
)
from agents.tools.corporate import outputs
from agents.tools.registry import tool

# Adjustments beyond a fifth of reported EBITDA make it a different business from the one shown.
HEAVY_ADJUSTMENT_PERCENT = 20


class Adjustment(Row):
    """What EBITDA is changed by; ``proposed_by`` the seller counts only when ``evidenced``."""

    description: str
    amount: Money
    kind: Literal["one_off", "owner", "accounting", "run_rate"]
    proposed_by: Literal["seller", "buyer"] = "buyer"
    evidenced: bool = True


Adjustments = Annotated[list[Adjustment], Field(max_length=200)]
Months = Annotated[list[Money], Field(min_length=6, max_length=36)]


@tool("corporate.quality_of_earnings", light=True)
def quality_of_earnings(
    reported_ebitda: Money, adjustments: Adjustments, ebitda_revenue: Positive | None = None
) -> outputs.QualityOfEarnings:
    """Normalise EBITDA and say how much of it rests on adjustments.

    Transaction practice: one-off, owner and accounting items are taken; run-rate items are
    shown apart because they have not been earned; a seller's item without evidence is refused.
    The share of adjustments counts ups and downs alike, because they must not hide each other.
    """
    counted = [row for row in adjustments if row.proposed_by == "buyer" or row.evidenced]
    refused = sum((row.amount for row in adjustments if row not in counted), ZERO)
    sums = {"one_off": ZERO, "owner": ZERO, "accounting": ZERO, "run_rate": ZERO}
    for row in counted:
        sums[row.kind] += row.amount
    normalised = reported_ebitda + sums["one_off"] + sums["owner"] + sums["accounting"]
    taken = [row for row in counted if row.kind != "run_rate"]
    moved = sum((abs(row.amount) for row in taken), ZERO)
    share = percent(moved, abs(reported_ebitda))
    heavy = share is None or share > HEAVY_ADJUSTMENT_PERCENT
    result: dict[str, Any] = {
        "adjusted_ebitda": money(normalised),
        "run_rate_ebitda": money(normalised + sums["run_rate"]),
        "one_off_items": money(sums["one_off"]),
        "owner_items": money(sums["owner"]),
        "accounting_corrections": money(sums["accounting"]),
        "refused_seller_items": money(refused),
        "adjustment_percent": share,
        "earnings_verdict": "low quality of earnings, heavily adjusted"
        if heavy
        else "earnings are well supported",
    }
    if ebitda_revenue is not None:
        result["adjusted_margin_percent"] = percent(normalised, ebitda_revenue)
    return cast(outputs.QualityOfEarnings, result)


@tool("corporate.working_capital_peg", light=True)
def working_capital_peg(
    monthly_working_capital: Months, working_capital_at_completion: Money
) -> outputs.WorkingCapitalPeg:
    """Set the working capital peg and the completion adjustment to the price.

    The peg is the mean of the months (normally twelve); seasonality is the highest less the
    lowest month over the mean. A completion above the peg raises the price one for one.
    """
    months = list(monthly_working_capital)
    mean = sum(months, ZERO) / len(months)
    adjustment = working_capital_at_completion - mean
    return {
        "working_capital_peg": money(mean),
        "seasonality_percent": percent(max(months) - min(months), abs(mean)),
        "lowest_month": money(min(months)),
        "highest_month": money(max(months)),
        "working_capital_adjustment": money(adjustment),
        "peg_verdict": "buyer pays more"
        if adjustment > 0
        else "price is reduced"
        if adjustment < 0
        else "no adjustment",
    }


@tool("corporate.price_bridge", light=True)
def price_bridge(
    adjusted_ebitda: Money,
    entry_multiple: Positive,
    financial_debt: NonNegative,
    free_cash: NonNegative,
    debt_like_items: NonNegative = ZERO,
    working_capital_adjustment: Money = ZERO,
) -> outputs.PriceBridge:
    """Bridge from enterprise value to the equity price on a cash-free, debt-free basis.

    Debt-like items (pensions, unpaid tax, deferred capital expenditure) count as debt.
    """
    enterprise = adjusted_ebitda * entry_multiple
    net_debt = financial_debt + debt_like_items - free_cash
    price = enterprise - net_debt + working_capital_adjustment
    return {
        "bridge_enterprise_value": money(enterprise),
        "bridge_net_debt": money(net_debt),
        "net_debt_to_ebitda": None
        if adjusted_ebitda <= 0
        else number(net_debt / adjusted_ebitda, 2),
        "equity_price": money(price),
        "bridge_verdict": "equity price is negative" if price < 0 else "equity price is positive",
    }
