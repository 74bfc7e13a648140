"""Period end: accruals and prepayments by day, and the cut-off of sales."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from agents.tools.accounting import outputs
from agents.tools.accounting.amounts import ZERO, Day, NonNegative, Row, money
from agents.tools.registry import tool
from config.errors import InvalidInput


class ServiceCost(Row):
    """A cost for a span of days, both ends included; ``booked`` when the invoice is in."""

    supplier: str
    amount: NonNegative
    service_start: Day
    service_end: Day
    booked: bool


class Delivery(Row):
    """A sale: when it left, when it arrived, when it was booked. No date: not yet."""

    document: str
    amount: NonNegative
    terms: Literal["ex_works", "delivered"]
    shipped_on: Day | None = None
    delivered_on: Day | None = None
    booked_on: Day | None = None


ServiceCosts = Annotated[list[ServiceCost], Field(min_length=1, max_length=2000)]
Deliveries = Annotated[list[Delivery], Field(min_length=1, max_length=5000)]


@tool("accounting.accruals_and_prepayments", light=True)
def accruals_and_prepayments(
    service_costs: ServiceCosts, period_end: Day
) -> outputs.AccrualsAndPrepayments:
    """Work out accruals and prepayments at a period end, apportioned by day.

    Accrual basis (IAS 1.27-28; Conceptual Framework 1.17): the part of an unbooked cost up to
    the period end is accrued (IAS 37.11), the part of a booked one after it is prepaid.
    """
    rows, accrued, prepaid = [], ZERO, ZERO
    for cost in service_costs:
        days = (cost.service_end - cost.service_start).days + 1
        if days < 1:
            raise InvalidInput("service_costs", cost.supplier, "service_end after service_start")
        elapsed = min(max((period_end - cost.service_start).days + 1, 0), days)
        used = cost.amount * elapsed / days
        accrual = ZERO if cost.booked else used
        prepayment = cost.amount - used if cost.booked else ZERO
        accrued, prepaid = accrued + accrual, prepaid + prepayment
        rows.append(
            {
                "supplier": cost.supplier,
                "days_elapsed": elapsed,
                "days_total": days,
                "accrual": money(accrual),
                "prepayment": money(prepayment),
            }
        )
    effect = prepaid - accrued
    return {
        "total_accruals": money(accrued),
        "total_prepayments": money(prepaid),
        "effect_on_profit": money(effect),
        "entries": rows,
        "closing_verdict": "entries raise profit"
        if effect > 0
        else "entries lower profit"
        if effect < 0
        else "no effect on profit",
    }


@tool("accounting.sales_cutoff", light=True)
def sales_cutoff(deliveries: Deliveries, period_end: Day) -> outputs.SalesCutoff:
    """Test the cut-off of sales: was revenue booked in the period in which control passed.

    IFRS 15.38: control passes on shipment for ex works, on arrival for delivered terms.
    """
    early, late, faults = ZERO, ZERO, []
    for row in deliveries:
        passed = row.shipped_on if row.terms == "ex_works" else row.delivered_on
        earned = passed is not None and passed <= period_end
        booked = row.booked_on is not None and row.booked_on <= period_end
        if booked and not earned:
            early += row.amount
            faults.append(_fault(row.document, "booked too early", -row.amount))
        elif earned and not booked:
            late += row.amount
            faults.append(_fault(row.document, "not booked in the period", row.amount))
    return {
        "revenue_overstated_by": money(early),
        "revenue_understated_by": money(late),
        "adjustment_to_revenue": money(late - early),
        "cutoff_errors": faults,
        "cutoff_verdict": f"{len(faults)} cut-off error(s)" if faults else "cut-off is clean",
    }


def _fault(document: str, error: str, adjustment: Decimal) -> dict[str, str]:
    return {"document": document, "error": error, "adjustment": money(adjustment)}
