"""UK research and development relief: merged scheme beside enhanced intensive support."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from agents.tools.amounts import Amount, Positive, Ratio, cents, percent, share
from agents.tools.registry import tool
from agents.tools.tax import outputs
from config.errors import InvalidInput

# CTA 2009 Part 13 as amended by Finance Act 2024 Sch. 1, for periods from 1 April 2024. Written
# from general knowledge as of 2026-01-01; verify with HMRC before use.
SCHEME_FROM = date(2024, 4, 1)
CREDIT_RATE = Decimal("0.20")
NOTIONAL_LOSS_RATE = Decimal("0.19")
EXTRA_DEDUCTION = Decimal("0.86")
PAYABLE_RATE = Decimal("0.145")
INTENSITY = Decimal("0.30")
CAP_FLOOR, CAP_MULTIPLE = Decimal(20_000), Decimal(3)
UNCONNECTED_SUBCONTRACT_SHARE = Decimal("0.65")


@dataclass(frozen=True, slots=True)
class Benefit:
    """Cash value of a route, in pounds, and whether the PAYE cap bit."""

    amount: Decimal
    capped: bool


@tool("tax.uk_rd_relief", light=True)
def uk_rd_relief(
    staff_costs: Annotated[Positive, Field(description="staff working on R&D, GBP")],
    subcontracted_costs: Annotated[Positive, Field(description="unconnected contractors, GBP")],
    consumables: Positive,
    total_relevant_expenditure: Annotated[Positive, Field(description="all costs of the trade")],
    trading_result: Annotated[Amount, Field(description="taxable profit or loss before relief")],
    paye_and_nic: Annotated[Positive, Field(description="company's PAYE and NIC of the period")],
    period_start: date,
    is_sme: bool = True,
    corporation_tax_rate: Ratio = Decimal("0.25"),
) -> outputs.UkRdRelief:
    """Qualifying expenditure, R&D intensity, and the value of each route that is open.

    Merged scheme: a taxable credit of 20 %, net of tax (19 % for a loss). Enhanced support for
    loss-making SMEs with at least 30 % intensity: 86 % extra deduction, 14.5 % payable on the
    surrendered loss. Payable credits are capped at 20,000 + 3 x PAYE/NIC. Unconnected
    subcontracting counts at 65 %. Source: CTA 2009 s.1042A-1062A, 1112A-1112G.
    """
    if period_start < SCHEME_FROM:
        raise InvalidInput("period_start", period_start.isoformat(), f"not before {SCHEME_FROM}")
    qualifying = staff_costs + consumables + subcontracted_costs * UNCONNECTED_SUBCONTRACT_SHARE
    spent = staff_costs + consumables + subcontracted_costs
    if spent > total_relevant_expenditure:
        raise InvalidInput("total_relevant_expenditure", total_relevant_expenditure, f">= {spent}")
    intensity = share(qualifying, total_relevant_expenditure)
    cap = CAP_FLOOR + CAP_MULTIPLE * paye_and_nic
    loss = max(-trading_result, Decimal(0))
    merged = _merged(qualifying, loss > 0, corporation_tax_rate, cap)
    open_to_enhanced = is_sme and loss > 0 and intensity >= INTENSITY
    enhanced = _enhanced(qualifying, loss, cap) if open_to_enhanced else None
    best = "enhanced intensive support" if _better(enhanced, merged) else "merged scheme credit"
    return {
        "qualifying_expenditure": cents(qualifying),
        "rd_intensity_percent": percent(intensity),
        "paye_cap": cents(cap),
        "merged_gross_credit": cents(qualifying * CREDIT_RATE),
        "merged_net_benefit": cents(merged.amount),
        "enhanced_payable_credit": cents(enhanced.amount) if enhanced else 0.0,
        "recommended_route": best,
        "route_reason": _reason(is_sme, loss, intensity),
        "cap_effect": "PAYE cap limits the payable credit"
        if merged.capped or (enhanced and enhanced.capped)
        else "PAYE cap does not bite",
    }


def _merged(qualifying: Decimal, loss_making: bool, tax_rate: Decimal, cap: Decimal) -> Benefit:
    net = qualifying * CREDIT_RATE * (1 - (NOTIONAL_LOSS_RATE if loss_making else tax_rate))
    capped = loss_making and net > cap
    return Benefit(cap if capped else net, capped)


def _enhanced(qualifying: Decimal, loss: Decimal, cap: Decimal) -> Benefit:
    """``loss`` is before the extra deduction, which enlarges it."""
    surrendered = min(loss + qualifying * EXTRA_DEDUCTION, qualifying * (1 + EXTRA_DEDUCTION))
    payable = surrendered * PAYABLE_RATE
    return Benefit(min(payable, cap), payable > cap)


def _better(enhanced: Benefit | None, merged: Benefit) -> bool:
    return enhanced is not None and enhanced.amount > merged.amount


def _reason(is_sme: bool, loss: Decimal, intensity: Decimal) -> str:
    if not is_sme:
        return "large company: merged scheme only"
    if loss == 0:
        return "profit-making: merged scheme only"
    if intensity < INTENSITY:
        return "intensity below 30 percent: merged scheme only"
    return "loss-making and R&D intensive: both routes are open"
