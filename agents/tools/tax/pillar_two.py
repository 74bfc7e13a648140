"""Pillar Two: effective rate and top-up tax by jurisdiction."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from agents.tools.amounts import Amount, Positive, cents, percent
from agents.tools.registry import tool
from agents.tools.tax import outputs

# OECD GloBE Model Rules 2021: Art. 1.1.1, 5.2, 5.5.
MINIMUM_RATE = Decimal("0.15")
GROUP_REVENUE = Decimal(750_000_000)
DE_MINIMIS_REVENUE, DE_MINIMIS_INCOME = Decimal(10_000_000), Decimal(1_000_000)

# Art. 9.2: substance carve-out in percent of payroll and of tangible assets, first year first.
TRANSITION_YEAR = 2023
PAYROLL_PERCENT = ("10.0", "9.8", "9.6", "9.4", "9.2", "9.0", "8.2", "7.4", "6.6", "5.8")
ASSET_PERCENT = ("8.0", "7.8", "7.6", "7.4", "7.2", "7.0", "6.6", "6.2", "5.8", "5.4")
FINAL_PERCENT = "5.0"


class JurisdictionIncome(BaseModel):
    """GloBE figures of all constituent entities in one jurisdiction, in euro."""

    model_config = ConfigDict(extra="forbid")
    jurisdiction: str
    globe_income: Amount
    covered_taxes: Amount
    payroll_costs: Positive = Decimal(0)
    tangible_assets: Positive = Decimal(0)
    average_revenue: Annotated[Positive, Field(description="three-year mean")] | None = None
    average_income: Annotated[Amount, Field(description="three-year mean")] | None = None
    domestic_topup: Annotated[bool, Field(description="a qualified domestic top-up tax")] = False


@dataclass(frozen=True, slots=True)
class TopUp:
    """Outcome of one jurisdiction; ratios as such, amounts in euro."""

    rate: Decimal | None
    excluded: Decimal
    amount: Decimal
    verdict: str


@tool("tax.pillar_two_topup", light=True)
def pillar_two_topup(
    globe_jurisdictions: Annotated[list[JurisdictionIncome], Field(min_length=1, max_length=250)],
    fiscal_year: Annotated[int, Field(ge=2023, le=2100)],
    preceding_revenues: Annotated[
        list[Positive],
        Field(min_length=1, max_length=4, description="group revenue of up to four prior years"),
    ],
) -> outputs.PillarTwoTopup:
    """Effective tax rate, substance carve-out and top-up tax for each jurisdiction.

    A group is in scope with 750 million in at least two of the four preceding years. Top-up is
    (15 % - ETR) x (income - carve-out); a small jurisdiction is excluded by election. Source:
    OECD GloBE Model Rules Art. 1.1, 5.1-5.3, 5.5, 9.2; Directive (EU) 2022/2523.
    """
    reached = sum(revenue >= GROUP_REVENUE for revenue in preceding_revenues)
    in_scope = reached >= 2
    payroll, assets = _carve_out_percent(fiscal_year)
    rows: list[dict[str, object]] = []
    local, parent = Decimal(0), Decimal(0)
    for entry in globe_jurisdictions:
        found = _top_up(entry, payroll, assets, in_scope)
        if entry.domestic_topup:
            local += found.amount
        else:
            parent += found.amount
        rows.append(
            {
                "jurisdiction": entry.jurisdiction,
                "etr_percent": None if found.rate is None else percent(found.rate),
                "substance_carve_out": cents(found.excluded),
                "topup_tax": cents(found.amount),
                "verdict": found.verdict,
            }
        )
    return {
        "globe_results": rows,
        "years_above_threshold": reached,
        "payroll_carve_out_percent": float(payroll * 100),
        "asset_carve_out_percent": float(assets * 100),
        "total_topup_tax": cents(local + parent),
        "domestic_topup_tax": cents(local),
        "income_inclusion_topup_tax": cents(parent),
        "conclusion": _conclusion(in_scope, local + parent),
    }


def _carve_out_percent(year: int) -> tuple[Decimal, Decimal]:
    """Carve-out ratios of payroll and assets in ``year``."""
    index = year - TRANSITION_YEAR
    if index >= len(PAYROLL_PERCENT):
        return Decimal(FINAL_PERCENT) / 100, Decimal(FINAL_PERCENT) / 100
    return Decimal(PAYROLL_PERCENT[index]) / 100, Decimal(ASSET_PERCENT[index]) / 100


def _top_up(entry: JurisdictionIncome, payroll: Decimal, assets: Decimal, in_scope: bool) -> TopUp:
    carve_out = entry.payroll_costs * payroll + entry.tangible_assets * assets
    if entry.globe_income <= 0:
        return TopUp(None, Decimal(0), Decimal(0), "no net income: no top-up")
    rate = entry.covered_taxes / entry.globe_income
    # Art. 5.1.1 with 5.2.1: the rate is taken to four decimals before it is compared.
    rate = rate.quantize(Decimal("0.0001"), ROUND_HALF_UP)
    excluded = min(carve_out, entry.globe_income)
    if not in_scope:
        return TopUp(rate, excluded, Decimal(0), "group out of scope")
    if _is_de_minimis(entry):
        return TopUp(rate, excluded, Decimal(0), "de minimis exclusion")
    if rate >= MINIMUM_RATE:
        return TopUp(rate, excluded, Decimal(0), "at or above the minimum rate")
    amount = (MINIMUM_RATE - rate) * (entry.globe_income - excluded)
    verdict = "top-up due" if amount > 0 else "substance covers all income"
    return TopUp(rate, excluded, amount, verdict)


def _is_de_minimis(entry: JurisdictionIncome) -> bool:
    return (
        entry.average_revenue is not None
        and entry.average_income is not None
        and entry.average_revenue < DE_MINIMIS_REVENUE
        and entry.average_income < DE_MINIMIS_INCOME
    )


def _conclusion(in_scope: bool, total: Decimal) -> str:
    if not in_scope:
        return "out of scope: 750 million not reached in two of four years"
    return "top-up tax is due" if total > 0 else "in scope without top-up tax"
