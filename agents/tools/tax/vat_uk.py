"""The UK VAT return: nine boxes from lines, with the partial-exemption standard method."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.tools.amounts import Amount, cents
from agents.tools.registry import tool
from agents.tools.tax import outputs
from agents.tools.tax.rates import sample_notice, vat_rate

# Notice 706, section 11: exempt input tax is ignored up to this a month and half of all input tax.
DE_MINIMIS_MONTHLY = Decimal(625)

SaleTreatment = Literal[
    "standard", "reduced", "zero", "exempt", "outside_scope", "domestic_reverse_charge", "ni_to_eu"
]
PurchaseTreatment = Literal[
    "standard",
    "reduced",
    "zero",
    "exempt",
    "outside_scope",
    "reverse_charge",
    "postponed_import",
    "ni_acquisition",
]


class Sale(BaseModel):
    """Sales of one treatment; negative for credit notes."""

    model_config = ConfigDict(extra="forbid")
    treatment: SaleTreatment
    net: Amount


class Purchase(BaseModel):
    """Purchases of one treatment; ``blocked`` input tax (cars, entertaining) is not recovered."""

    model_config = ConfigDict(extra="forbid")
    treatment: PurchaseTreatment
    net: Amount
    attribution: Literal["taxable", "exempt", "residual"] = "taxable"
    blocked: bool = False


@tool("tax.uk_vat_return", light=True)
def uk_vat_return(
    sales: Annotated[list[Sale], Field(max_length=500)],
    purchases: Annotated[list[Purchase], Field(max_length=500)],
    period_end: Annotated[date, Field(description="last day of the VAT period")],
    period_months: Annotated[int, Field(ge=1, le=12)] = 3,
) -> outputs.UkVatReturn:
    """The nine boxes of a UK VAT return, and what partial exemption keeps from recovery.

    Source: VAT Notice 700/12 (boxes), VATA 1994 s.26 and VAT Notice 706 (standard method, rounded
    up to a whole percent; de minimis of 625 a month and half of input tax).
    """
    rates = vat_rate("GB", period_end)
    rate = {"standard": rates.standard, "reduced": rates.reduced[0]}
    output_vat = sum((s.net * rate.get(s.treatment, Decimal(0)) for s in sales), Decimal(0))
    self_charged = _vat_on(purchases, {"reverse_charge", "postponed_import"}, rates.standard)
    acquisition_vat = _vat_on(purchases, {"ni_acquisition"}, rates.standard)
    recovery = _recovery(sales, purchases, rates.standard, rates.reduced[0], period_months)
    box1 = output_vat + self_charged
    box3 = box1 + acquisition_vat
    box4 = recovery["recovered"]
    net = box3 - box4
    box6 = sum((s.net for s in sales if s.treatment != "outside_scope"), Decimal(0)) + sum(
        (p.net for p in purchases if p.treatment == "reverse_charge"), Decimal(0)
    )
    box7 = sum((p.net for p in purchases if p.treatment != "outside_scope"), Decimal(0))
    return {
        "box_1_vat_due_on_sales": cents(box1),
        "box_2_vat_due_on_acquisitions": cents(acquisition_vat),
        "box_3_total_vat_due": cents(box3),
        "box_4_vat_reclaimed": cents(box4),
        "box_5_net_vat": cents(abs(net)),
        # Boxes 6 to 9 are whole pounds, pence dropped.
        "box_6_sales_ex_vat": int(box6),
        "box_7_purchases_ex_vat": int(box7),
        "box_8_dispatches_to_eu": int(_net_of(sales, "ni_to_eu")),
        "box_9_acquisitions_from_eu": int(_net_of(purchases, "ni_acquisition")),
        "payment_direction": _direction(net),
        "irrecoverable_input_vat": cents(recovery["lost"]),
        "recovery_rate_percent": int(recovery["percent"]),
        "partial_exemption": _exemption_verdict(recovery),
        "rates_note": sample_notice(),
    }


def _direction(net: Decimal) -> str:
    if net > 0:
        return "payable to HMRC"
    return "repayable by HMRC" if net < 0 else "nil return"


def _vat_on(purchases: list[Purchase], treatments: set[str], rate: Decimal) -> Decimal:
    return sum((p.net * rate for p in purchases if p.treatment in treatments), Decimal(0))


def _net_of(lines: list[Sale] | list[Purchase], treatment: str) -> Decimal:
    return sum((line.net for line in lines if line.treatment == treatment), Decimal(0))


def _recovery(
    sales: list[Sale],
    purchases: list[Purchase],
    standard: Decimal,
    reduced: Decimal,
    months: int,
) -> dict[str, Decimal]:
    """Input tax recovered and lost; ``percent`` is the residual recovery rate."""
    taxable = sum(
        (s.net for s in sales if s.treatment not in ("exempt", "outside_scope")), Decimal(0)
    )
    exempt = _net_of(sales, "exempt")
    whole = taxable + exempt
    percent = (
        (taxable / whole * 100).to_integral_value(ROUND_CEILING) if whole > 0 else Decimal(100)
    )
    tax = {"taxable": Decimal(0), "exempt": Decimal(0), "residual": Decimal(0)}
    blocked = Decimal(0)
    for purchase in purchases:
        if purchase.treatment in ("zero", "exempt", "outside_scope"):
            continue
        vat = purchase.net * (reduced if purchase.treatment == "reduced" else standard)
        if purchase.blocked:
            blocked += vat
        else:
            tax[purchase.attribution] += vat
    exempt_tax = tax["exempt"] + tax["residual"] * (100 - percent) / 100
    whole_tax = sum(tax.values(), Decimal(0))
    minimal = exempt_tax <= DE_MINIMIS_MONTHLY * months and exempt_tax <= whole_tax / 2
    kept_back = Decimal(0) if minimal else exempt_tax
    return {
        "recovered": whole_tax - kept_back,
        "lost": kept_back + blocked,
        "percent": percent,
        "exempt_tax": exempt_tax,
        "minimal": Decimal(minimal),
    }


def _exemption_verdict(recovery: dict[str, Decimal]) -> str:
    if recovery["exempt_tax"] == 0:
        return "fully taxable: no exempt input tax"
    if recovery["minimal"]:
        return "exempt input tax is de minimis: recover in full"
    return "partly exempt: exempt input tax is not recovered"
