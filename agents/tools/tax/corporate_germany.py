"""German corporate income tax, solidarity surcharge and trade tax."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import Annotated

from pydantic import Field

from agents.tools.amounts import Amount, Positive, cents, percent, share
from agents.tools.registry import tool
from agents.tools.tax import outputs

# KStG s.23 (with the steps enacted in 2025), SolzG s.4, GewStG s.8, 10a, 11: written from general
# knowledge as of 2026-01-01; verify before use.
INCOME_TAX_FROM = (
    (2032, Decimal("0.10")),
    (2031, Decimal("0.11")),
    (2030, Decimal("0.12")),
    (2029, Decimal("0.13")),
    (2028, Decimal("0.14")),
    (2008, Decimal("0.15")),
)
SOLIDARITY = Decimal("0.055")
TRADE_TAX_BASE_RATE = Decimal("0.035")
ADD_BACK_ALLOWANCE = Decimal(200_000)
LOSS_FLOOR = Decimal(1_000_000)


@tool("tax.german_corporate_tax", light=True)
def german_corporate_tax(
    taxable_income: Annotated[Amount, Field(description="income before losses, EUR")],
    municipal_multiplier_percent: Annotated[
        int, Field(ge=200, le=1000, description="Hebesatz, at least 200 (GewStG s.16)")
    ],
    assessment_year: Annotated[int, Field(ge=2008, le=2040)],
    interest_expense: Positive = Decimal(0),
    movable_lease_expense: Positive = Decimal(0),
    property_rent_expense: Positive = Decimal(0),
    licence_expense: Positive = Decimal(0),
    trade_tax_reductions: Positive = Decimal(0),
    loss_carryforward: Positive = Decimal(0),
    trade_loss_carryforward: Positive = Decimal(0),
) -> outputs.GermanCorporateTax:
    """Koerperschaftsteuer, Solidaritaetszuschlag and Gewerbesteuer of a German company.

    Trade tax adds back a quarter of finance costs above 200,000 (interest in full, a fifth of
    movable leases, half of property rent, a quarter of licences), rounds income down to 100 EUR
    and applies 3.5 % times the multiplier. Losses: 1 million in full, then 70 % (60 % outside
    2024-2027; always 60 % for trade tax). Source: KStG s.23, EStG s.10d, GewStG s.8, 10a, 11, 16.
    """
    loss_share = Decimal("0.7") if 2024 <= assessment_year <= 2027 else Decimal("0.6")
    used = _loss_used(taxable_income, loss_carryforward, loss_share)
    income = max(taxable_income - used, Decimal(0))
    rate = next(rate for start, rate in INCOME_TAX_FROM if assessment_year >= start)
    income_tax = income * rate
    solidarity = income_tax * SOLIDARITY
    finance = (
        interest_expense
        + movable_lease_expense * Decimal("0.2")
        + property_rent_expense * Decimal("0.5")
        + licence_expense * Decimal("0.25")
    )
    add_back = max(finance - ADD_BACK_ALLOWANCE, Decimal(0)) / 4
    trade_income = taxable_income + add_back - trade_tax_reductions
    trade_used = _loss_used(trade_income, trade_loss_carryforward, Decimal("0.6"))
    trade_base = max(trade_income - trade_used, Decimal(0))
    rounded = (trade_base / 100).to_integral_value(ROUND_FLOOR) * 100
    base_amount = rounded * TRADE_TAX_BASE_RATE
    trade_tax = base_amount * municipal_multiplier_percent / 100
    total = income_tax + solidarity + trade_tax
    return {
        "corporate_income_tax": cents(income_tax),
        "solidarity_surcharge": cents(solidarity),
        "trade_tax_add_back": cents(add_back),
        "trade_income_rounded": cents(rounded),
        "trade_tax_base_amount": cents(base_amount),
        "trade_tax": cents(trade_tax),
        "total_tax": cents(total),
        "effective_rate_percent": percent(share(total, taxable_income)) if income else 0.0,
        "losses_used": cents(used),
        "losses_carried_forward": cents(
            loss_carryforward - used + max(-taxable_income, Decimal(0))
        ),
        "trade_losses_used": cents(trade_used),
        "conclusion": _conclusion(taxable_income, income, add_back),
        "rates_note": "sample data, verify before use",
    }


def _loss_used(income: Decimal, losses: Decimal, loss_share: Decimal) -> Decimal:
    """Minimum taxation: the first million in full, above it only ``loss_share``."""
    if income <= 0:
        return Decimal(0)
    ceiling = min(income, LOSS_FLOOR) + max(income - LOSS_FLOOR, Decimal(0)) * loss_share
    return min(losses, ceiling)


def _conclusion(before: Decimal, after: Decimal, add_back: Decimal) -> str:
    if before <= 0:
        return "loss year: no income tax, loss carried forward"
    if after == 0:
        return "income fully covered by losses brought forward"
    if add_back > 0:
        return "finance cost add-back raises trade tax"
    return "no finance cost add-back"
