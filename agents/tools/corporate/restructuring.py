"""Restructuring: how long the cash lasts, how near failure is, who gets what if it comes."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from agents.tools.accounting.amounts import (
    ZERO,
    Money,
    NonNegative,
    Positive,
    Ratio,
    Row,
    money,
    number,
    percent,
)
from agents.tools.corporate import outputs
from agents.tools.registry import tool

# Insolvency Act 1986 s. 176A, SI 2003/2097: half of the first 10,000, a fifth of the rest;
# the cap is 800,000 for floating charges from 6 April 2020, 600,000 before. GBP.
PRESCRIBED_FIRST, PRESCRIBED_FIRST_SHARE, PRESCRIBED_SHARE = (
    Decimal(10_000),
    Decimal("0.5"),
    Decimal("0.2"),
)
PRESCRIBED_CAPS = {True: Decimal(800_000), False: Decimal(600_000)}

# Altman 1968 (listed), 1983 (private manufacturer), 1995 (non-manufacturer, without constant):
# weights of working capital, retained earnings, EBIT, equity (each over total assets, equity
# over total liabilities), sales over total assets; then the distress and the safe limit.
ALTMAN = {
    "listed": ("1.2 1.4 3.3 0.6 0.999", "1.81", "2.99"),
    "private": ("0.717 0.847 3.107 0.420 0.998", "1.23", "2.90"),
    "non_manufacturer": ("6.56 3.26 6.72 1.05 0", "1.1", "2.6"),
}


class Week(Row):
    """Cash expected in and out of one week."""

    receipts: NonNegative
    payments: NonNegative


Weeks = Annotated[list[Week], Field(min_length=1, max_length=104)]


@tool("corporate.cash_runway", light=True)
def cash_runway(
    opening_cash: Money,
    weekly_cash_flows: Weeks,
    facility_limit: NonNegative = ZERO,
    minimum_cash: NonNegative = ZERO,
    receipts_shortfall_ratio: Ratio = ZERO,
) -> outputs.CashRunway:
    """Roll a short-term cash flow forward (usually 13 weeks) and find when liquidity runs out.

    ``receipts_shortfall_ratio`` stresses receipts. Liquidity is cash plus the undrawn facility
    less the minimum to run the business. Inability to pay debts as they fall due: Insolvency
    Act 1986 s. 123(1)(e).
    """
    balance, balances = opening_cash, []
    for week in weekly_cash_flows:
        balance += week.receipts * (1 - receipts_shortfall_ratio) - week.payments
        balances.append(balance)
    headrooms = [value + facility_limit - minimum_cash for value in balances]
    lowest = min(headrooms)
    breach = next((i for i, value in enumerate(headrooms, start=1) if value < 0), None)
    paid = sum((week.payments for week in weekly_cash_flows), ZERO)
    burn = (opening_cash - balance) / len(balances)
    return {
        "closing_cash": money(balance),
        "lowest_cash": money(min(balances)),
        "lowest_cash_week": balances.index(min(balances)) + 1,
        "lowest_headroom": money(lowest),
        "funding_need": money(max(-lowest, ZERO)),
        "first_week_of_breach": "none" if breach is None else breach,
        "net_burn_a_week": money(burn),
        "total_payments": money(paid),
        "runway_verdict": "liquidity lasts the forecast"
        if breach is None
        else f"liquidity runs out in week {breach}",
    }


@tool("corporate.altman_z", light=True)
def altman_z(
    working_capital: Money,
    retained_earnings: Money,
    ebit: Money,
    book_equity: Money,
    total_liabilities: Positive,
    total_assets: Positive,
    sales: NonNegative = ZERO,
    altman_model: Literal["listed", "private", "non_manufacturer"] = "private",
) -> outputs.AltmanZ:
    """Score the risk of failure by Altman's Z.

    Altman 1968 (Z, with the market value of equity), 1983 (Z', book equity) and 1995 (Z'', no
    sales term): distress, grey or safe zone.
    """
    weights_text, distress, safe = ALTMAN[altman_model]
    ratios = (
        working_capital / total_assets,
        retained_earnings / total_assets,
        ebit / total_assets,
        book_equity / total_liabilities,
        sales / total_assets,
    )
    weights = [Decimal(text) for text in weights_text.split()]
    score = sum((w * r for w, r in zip(weights, ratios, strict=True)), ZERO)
    zone = (
        "distress zone"
        if score < Decimal(distress)
        else "safe zone"
        if score > Decimal(safe)
        else "grey zone"
    )
    return {
        "z_score": number(score, 3),
        "distress_below": float(distress),
        "safe_above": float(safe),
        "z_zone": zone,
    }


@tool("corporate.insolvency_waterfall", light=True)
def insolvency_waterfall(
    fixed_charge_assets: NonNegative,
    floating_charge_assets: NonNegative,
    secured_debt: NonNegative,
    insolvency_costs: NonNegative,
    unsecured_claims: NonNegative,
    ordinary_preferential: NonNegative = ZERO,
    secondary_preferential: NonNegative = ZERO,
    charge_since_april_2020: bool = True,
) -> outputs.InsolvencyWaterfall:
    """Estimate what each class of creditor receives in an English insolvency.

    Insolvency Act 1986 s. 175-176A and Sch. 6, Insolvency Rules 2016 r. 14.12: fixed charge,
    costs, ordinary then secondary preferential (HMRC), prescribed part, floating charge, then
    unsecured with the prescribed part. A lender's shortfall takes no prescribed part.
    """
    from_fixed = min(fixed_charge_assets, secured_debt)
    pot = floating_charge_assets + fixed_charge_assets - from_fixed
    secured_left = secured_debt - from_fixed
    first = _in_order(pot, [insolvency_costs, ordinary_preferential, secondary_preferential])
    pot -= sum(first, ZERO)
    prescribed = ZERO
    if secured_left > 0:
        prescribed = min(_prescribed_part(pot, charge_since_april_2020), unsecured_claims)
    from_floating = min(pot - prescribed, secured_left)
    unsecured = min(pot - from_floating, unsecured_claims)
    to_lender = from_fixed + from_floating
    return {
        "costs_paid": money(first[0]),
        "ordinary_preferential_paid": money(first[1]),
        "secondary_preferential_paid": money(first[2]),
        "prescribed_part": money(prescribed),
        "secured_lender_paid": money(to_lender),
        "secured_lender_shortfall": money(secured_debt - to_lender),
        "unsecured_paid": money(unsecured),
        "unsecured_pence_in_pound": percent(unsecured, unsecured_claims),
        "surplus_to_members": money(pot - from_floating - unsecured),
        "waterfall_verdict": _outcome(unsecured, unsecured_claims),
    }


def _in_order(pot: Decimal, claims: list[Decimal]) -> list[Decimal]:
    """What each claim receives when they are paid one after the other."""
    paid: list[Decimal] = []
    for claim in claims:
        paid.append(min(pot - sum(paid, ZERO), claim))
    return paid


def _outcome(paid: Decimal, claims: Decimal) -> str:
    if paid == claims:
        return "unsecured creditors are paid in full"
    return "unsecured creditors receive a part" if paid else "nothing for unsecured creditors"


def _prescribed_part(net_property: Decimal, recent_charge: bool) -> Decimal:
    """What is set aside of floating charge property; nothing of none."""
    first = min(net_property, PRESCRIBED_FIRST)
    part = first * PRESCRIBED_FIRST_SHARE + (net_property - first) * PRESCRIBED_SHARE
    return min(part, PRESCRIBED_CAPS[recent_charge])
