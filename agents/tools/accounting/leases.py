"""Lessee accounting: liability, right-of-use asset and remeasurement (IFRS 16)."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, cast

from pydantic import Field

from agents.tools.accounting import outputs
from agents.tools.accounting.amounts import (
    ZERO,
    NonNegative,
    Positive,
    Rate,
    cents,
    money,
    present_value,
)
from agents.tools.registry import tool
from config.errors import InvalidInput

PaymentsPerYear = Annotated[int, Field(description="1, 2, 4 or 12", ge=1, le=12)]
Term = Annotated[Decimal, Field(gt=0, le=100)]


@tool("accounting.lease_schedule", light=True)
def lease_schedule(
    lease_payment: Positive,
    lease_term_years: Term,
    incremental_borrowing_rate: Rate,
    payments_per_year: PaymentsPerYear = 1,
    paid_in_advance: bool = False,
    initial_direct_costs: NonNegative = ZERO,
    lease_incentives: NonNegative = ZERO,
    restoration_costs: NonNegative = ZERO,
    residual_guarantee: NonNegative = ZERO,
    low_value_asset: bool = False,
) -> outputs.LeaseSchedule:
    """Measure a lease at commencement and unwind it by year.

    IFRS 16.23-28 and 31-38: the liability is the present value of payments not yet made, the
    asset adds payments made, direct costs and restoration, less incentives; straight-line
    depreciation over the term. Short-term and low-value exemption: 5-8. The yearly rate is
    effective, so the rate a period is (1 + r) ^ (1 / n) - 1.
    """
    count = _payment_count(lease_term_years, payments_per_year)
    rate = (1 + incremental_borrowing_rate) ** (Decimal(1) / payments_per_year) - 1
    flows = _flows(lease_payment, count, paid_in_advance, residual_guarantee)
    liability = cents(present_value(flows[1:], rate, Decimal(1)))
    asset = liability + flows[0] + initial_direct_costs + restoration_costs - lease_incentives
    rows = _unwind(liability, asset, flows, rate, payments_per_year)
    result = {
        "lease_liability": money(liability),
        "right_of_use_asset": money(asset),
        **_first_year(rows),
        "non_current_after_year_one": money(_non_current(flows, rate, payments_per_year)),
        "total_interest": money(sum((Decimal(row["interest"]) for row in rows), ZERO)),
        "schedule": rows,
        "recognition": "on balance sheet",
    }
    if low_value_asset or lease_term_years <= 1:
        total = lease_payment * count - lease_incentives
        result["recognition"] = "exemption available, expense straight-line"
        result["straight_line_expense_a_year"] = money(total / max(lease_term_years, Decimal(1)))
    return cast(outputs.LeaseSchedule, result)


def _first_year(rows: list[dict[str, Any]]) -> dict[str, str]:
    """What the first year's statements show."""
    interest, depreciation = Decimal(rows[0]["interest"]), Decimal(rows[0]["depreciation"])
    return {
        "year_one_interest": money(interest),
        "year_one_depreciation": money(depreciation),
        "year_one_total_expense": money(interest + depreciation),
    }


def _payment_count(term: Decimal, per_year: int) -> int:
    count = term * per_year
    if count != int(count) or 12 % per_year:
        raise InvalidInput("lease_term_years", str(term), "a whole number of payments")
    return int(count)


def _flows(payment: Decimal, count: int, advance: bool, guarantee: Decimal) -> list[Decimal]:
    """What is paid at commencement and at each period end after it."""
    flows = [payment] * count + [ZERO] if advance else [ZERO] + [payment] * count
    flows[-1] += guarantee
    return flows


def _unwind(
    liability: Decimal, asset: Decimal, flows: list[Decimal], rate: Decimal, per_year: int
) -> list[dict[str, Any]]:
    """The liability and the asset at the end of each year of the lease.

    A payment in advance that falls on the day after a year's end belongs to the next year.
    """
    rows: list[dict[str, Any]] = []
    advance, periods = flows[0] > 0, len(flows) - 1
    exact, closing = present_value(flows[1:], rate, Decimal(1)), liability
    for start in range(0, periods, per_year):
        done = min(start + per_year, periods)
        interest = ZERO
        for period in range(start + 1, done + 1):
            interest += exact * rate
            exact = exact * (1 + rate) - flows[period]
        opening, closing = closing, exact
        if advance and done < periods:
            closing += flows[done]
        rows.append(
            {
                "year": len(rows) + 1,
                "interest": money(interest),
                "paid": money(opening + interest - closing),
                "depreciation": money(asset * (done - start) / periods),
                "closing_liability": money(closing),
                "closing_asset": money(asset * (periods - done) / periods),
            }
        )
    return rows


def _non_current(flows: list[Decimal], rate: Decimal, per_year: int) -> Decimal:
    """Of the liability at the first year's end, what the second year's payments leave."""
    last = 2 * per_year - (1 if flows[0] > 0 else 0)
    return present_value(flows[last + 1 :], rate, Decimal(1))


@tool("accounting.lease_remeasurement", light=True)
def lease_remeasurement(
    liability_before: NonNegative,
    right_of_use_before: NonNegative,
    remaining_payments: Annotated[list[NonNegative], Field(min_length=1, max_length=600)],
    remeasurement_rate: Rate,
    first_payment_now: bool = False,
    payments_per_year: PaymentsPerYear = 1,
) -> outputs.LeaseRemeasurement:
    """Remeasure a lease liability for changed payments or a changed term.

    IFRS 16.36-43: a revised rate for a changed term or purchase option (40-41), the unchanged
    rate for an index or a residual guarantee (42-43). The change adjusts the right-of-use
    asset; once that is nil the rest is profit (39).
    """
    rate = (1 + remeasurement_rate) ** (Decimal(1) / payments_per_year) - 1
    start = ZERO if first_payment_now else Decimal(1)
    liability = present_value(list(remaining_payments), rate, start)
    change = liability - liability_before
    asset = max(right_of_use_before + change, ZERO)
    gain = max(-(right_of_use_before + change), ZERO)
    periods = len(remaining_payments)
    return {
        "remeasured_liability": money(liability),
        "change_in_liability": money(change),
        "right_of_use_after": money(asset),
        "gain_in_profit": money(gain),
        "new_depreciation_a_year": money(asset / periods * min(payments_per_year, periods)),
        "remeasurement_verdict": "liability increases" if change > 0 else "liability decreases",
    }
