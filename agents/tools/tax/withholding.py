"""Withholding tax on cross-border payments: domestic rate, treaty, EU directives."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.tools.amounts import Positive, Ratio, cents, percent
from agents.tools.registry import tool
from agents.tools.tax import outputs
from agents.tools.tax.rates import (
    domestic_withholding,
    eu_members,
    sample_notice,
    treaty_rates,
)

# Parent-Subsidiary Directive 2011/96/EU Art. 3: 10 %, up to two years.
PARENT_HOLDING, PARENT_MONTHS = Decimal("0.10"), 24
# Interest and Royalties Directive 2003/49/EC Art. 3: 25 %, up to two years.
ASSOCIATED_HOLDING, ASSOCIATED_MONTHS = Decimal("0.25"), 24


class Payment(BaseModel):
    """One gross payment from a company in ``payer_country`` to a company in another."""

    model_config = ConfigDict(extra="forbid")
    payer_country: Annotated[str, Field(pattern="^[A-Z]{2}$")]
    recipient_country: Annotated[str, Field(pattern="^[A-Z]{2}$")]
    kind: Literal["dividend", "interest", "royalty"]
    gross: Positive
    holding: Annotated[Ratio, Field(description="share held between the two, 0 to 1")] = Decimal(0)
    holding_months: Annotated[int, Field(ge=0, le=1200)] = 0
    beneficial_owner: bool = True
    treaty_form_filed: Annotated[bool, Field(description="relief at source was granted")] = True


@dataclass(frozen=True, slots=True)
class Relief:
    """The lowest rate allowed and the rule that gives it."""

    rate: Decimal
    basis: str


@tool("tax.withholding", light=True)
def withholding(
    payments: Annotated[list[Payment], Field(min_length=1, max_length=200)],
) -> outputs.Withholding:
    """Tax to withhold on each payment, what a refund claim returns, and the net amounts.

    The lowest of domestic rate, treaty rate and EU directive applies if the recipient is the
    beneficial owner; without a filed form the domestic rate is withheld first and the rest is
    reclaimed. Source: OECD Model Art. 10-12; Directives 2011/96/EU and 2003/49/EC; rates from the
    dated table.
    """
    rows: list[dict[str, object]] = []
    withheld, reclaim, gross = Decimal(0), Decimal(0), Decimal(0)
    for payment in payments:
        domestic = domestic_withholding(payment.payer_country, payment.kind)
        relief = _relief(payment, domestic)
        charged = relief.rate if payment.treaty_form_filed else domestic
        row_withheld = payment.gross * charged
        row_reclaim = payment.gross * (charged - relief.rate)
        gross, withheld, reclaim = (
            gross + payment.gross,
            withheld + row_withheld,
            reclaim + row_reclaim,
        )
        rows.append(
            {
                "route": f"{payment.payer_country} to {payment.recipient_country}",
                "payment_kind": payment.kind,
                "domestic_rate_percent": percent(domestic, 3),
                "applicable_rate_percent": percent(relief.rate, 3),
                "withheld": cents(row_withheld),
                "reclaimable": cents(row_reclaim),
                "basis": relief.basis,
            }
        )
    return {
        "withholding_results": rows,
        "total_gross": cents(gross),
        "total_withheld": cents(withheld),
        "total_reclaimable": cents(reclaim),
        "final_tax_cost": cents(withheld - reclaim),
        "net_paid_out": cents(gross - withheld),
        "rates_note": sample_notice(),
    }


def _relief(payment: Payment, domestic: Decimal) -> Relief:
    if domestic == 0:
        return Relief(domestic, "no domestic withholding tax")
    if not payment.beneficial_owner:
        return Relief(domestic, "not the beneficial owner: domestic rate")
    if _directive_applies(payment):
        name = "Parent-Subsidiary" if payment.kind == "dividend" else "Interest and Royalties"
        return Relief(Decimal(0), f"{name} Directive exemption")
    for row in treaty_rates(payment.payer_country, payment.recipient_country, payment.kind):
        if (
            payment.holding >= row.min_holding
            and payment.holding_months >= row.min_months
            and row.rate < domestic
        ):
            return Relief(row.rate, "treaty rate")
    return Relief(domestic, "no relief in the table: domestic rate")


def _directive_applies(payment: Payment) -> bool:
    if not {payment.payer_country, payment.recipient_country} <= eu_members():
        return False
    if payment.kind == "dividend":
        return payment.holding >= PARENT_HOLDING and payment.holding_months >= PARENT_MONTHS
    return payment.holding >= ASSOCIATED_HOLDING and payment.holding_months >= ASSOCIATED_MONTHS
