"""Revenue from contracts with customers: price, allocation, recognition (IFRS 15)."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from agents.tools.accounting import outputs
from agents.tools.accounting.amounts import (
    ZERO,
    Money,
    NonNegative,
    Positive,
    Rate,
    Ratio,
    Row,
    by_sign,
    cents,
    money,
    percent,
    split_exactly,
)
from agents.tools.registry import tool
from config.errors import InvalidInput

ONEROUS = "onerous contract, provide the expected loss"


class Outcome(Row):
    """One possible amount of the variable consideration and how likely it is."""

    amount: Money
    probability: Ratio


class Obligation(Row):
    """A distinct promise. No ``standalone_price`` means: take the residual (IFRS 15.79(c))."""

    name: str
    standalone_price: NonNegative | None = None
    progress_ratio: Ratio = ZERO


Outcomes = Annotated[list[Outcome], Field(max_length=100)]
Obligations = Annotated[list[Obligation], Field(min_length=1, max_length=200)]
Months = Annotated[int, Field(ge=-360, le=360, description="Negative: the customer pays first")]


@tool("accounting.ifrs15_transaction_price", light=True)
def ifrs15_transaction_price(
    fixed_consideration: NonNegative,
    variable_outcomes: Outcomes = [],  # noqa: B006  read only
    variable_method: Literal["expected_value", "most_likely_amount"] = "expected_value",
    highly_probable: Ratio | None = None,
    payment_delay_months: Months = 0,
    financing_rate: Rate = ZERO,
) -> outputs.Ifrs15TransactionPrice:
    """Determine the transaction price: fixed, variable, constrained, adjusted for financing.

    IFRS 15.47-72. Variable consideration by expected value or most likely amount (53);
    ``highly_probable`` quantifies the constraint (56): the estimate is cut to the largest
    amount that is reached with at least this probability. Payment more than 12 months from
    transfer carries a significant financing component (60-63).
    """
    estimate = _estimate(variable_outcomes, variable_method)
    included = estimate
    if highly_probable is not None and variable_outcomes:
        included = min(estimate, _safe_amount(variable_outcomes, highly_probable))
    nominal = fixed_consideration + included
    price = nominal
    if abs(payment_delay_months) > 12:
        price = nominal / (1 + financing_rate) ** (Decimal(payment_delay_months) / 12)
    return {
        "variable_estimate": money(estimate),
        "variable_included": money(included),
        "constrained_away": money(estimate - included),
        "financing_adjustment": money(price - nominal),
        "transaction_price": money(price),
    }


def _estimate(outcomes: list[Outcome], method: str) -> Decimal:
    if not outcomes:
        return ZERO
    total = sum((row.probability for row in outcomes), ZERO)
    if abs(total - 1) > Decimal("0.001"):
        raise InvalidInput("variable_outcomes", str(total), "the probabilities add to 1")
    if method == "most_likely_amount":
        return max(outcomes, key=lambda row: row.probability).amount
    return sum((row.amount * row.probability for row in outcomes), ZERO)


def _safe_amount(outcomes: list[Outcome], needed: Decimal) -> Decimal:
    reached = ZERO
    for row in sorted(outcomes, key=lambda row: row.amount, reverse=True):
        reached += row.probability
        if reached >= needed:
            return row.amount
    return min(row.amount for row in outcomes)


@tool("accounting.ifrs15_allocate", light=True)
def ifrs15_allocate(
    transaction_price: NonNegative,
    performance_obligations: Obligations,
    billed_to_date: NonNegative = ZERO,
) -> outputs.Ifrs15Allocate:
    """Allocate the transaction price to performance obligations and recognise what is satisfied.

    IFRS 15.73-86: relative stand-alone selling prices, a discount in proportion (81), at most
    one residual (79(c)). ``progress_ratio`` 1 is a satisfied obligation (31, 38-39). Recognised
    against billed gives the contract asset or liability (105).
    """
    prices = _selling_prices(transaction_price, performance_obligations)
    standalone = sum(prices, ZERO)
    if standalone == 0:
        raise InvalidInput("performance_obligations", "0", "a stand-alone price above zero")
    allocated = split_exactly(transaction_price, prices)
    rows = [
        {
            "name": obligation.name,
            "allocated": money(share),
            "recognised": money(share * obligation.progress_ratio),
        }
        for obligation, share in zip(performance_obligations, allocated, strict=True)
    ]
    recognised = sum((Decimal(row["recognised"]) for row in rows), ZERO)
    position = recognised - billed_to_date
    return {
        "total_standalone_price": money(standalone),
        "discount_allocated": money(standalone - transaction_price),
        "discount_percent": percent(standalone - transaction_price, standalone),
        "obligations": rows,
        "revenue_recognised": money(recognised),
        "revenue_deferred": money(transaction_price - recognised),
        "contract_asset": money(max(position, ZERO)),
        "contract_liability": money(max(-position, ZERO)),
        "conclusion": "all obligations satisfied"
        if recognised == cents(transaction_price)
        else "revenue remains to be recognised",
    }


def _selling_prices(price: Decimal, obligations: list[Obligation]) -> list[Decimal]:
    open_ones = [row.name for row in obligations if row.standalone_price is None]
    known = sum((row.standalone_price or ZERO for row in obligations), ZERO)
    if len(open_ones) > 1:
        raise InvalidInput(
            "performance_obligations", ", ".join(open_ones), "one without a stand-alone price"
        )
    if open_ones and price < known:
        raise InvalidInput(
            "transaction_price", str(price), f"at least the {known} of known prices for a residual"
        )
    return [
        price - known if row.standalone_price is None else row.standalone_price
        for row in obligations
    ]


@tool("accounting.ifrs15_cost_to_cost", light=True)
def ifrs15_cost_to_cost(
    contract_price: Positive,
    costs_incurred: NonNegative,
    costs_to_complete: NonNegative,
    wasted_costs: NonNegative = ZERO,
    uninstalled_materials: NonNegative = ZERO,
    recognised_before: NonNegative = ZERO,
    billed_to_date: NonNegative = ZERO,
) -> outputs.Ifrs15CostToCost:
    """Measure progress of an over-time contract by cost-to-cost and the revenue to recognise.

    IFRS 15.39-45 and B18-B19: wasted costs and uninstalled materials are left out of the
    measure, the latter earn revenue at cost; both are part of ``costs_incurred``. An expected
    loss is provided in full (IAS 37.66-69).
    """
    if wasted_costs + uninstalled_materials > costs_incurred:
        raise InvalidInput(
            "costs_incurred", str(costs_incurred), "at least wasted_costs + uninstalled_materials"
        )
    useful = costs_incurred - wasted_costs - uninstalled_materials
    expected = useful + costs_to_complete
    if expected == 0:
        raise InvalidInput("costs_to_complete", "0", "some cost, incurred or to come")
    revenue = useful / expected * (contract_price - uninstalled_materials) + uninstalled_materials
    total_result = contract_price - costs_incurred - costs_to_complete
    to_date = revenue - costs_incurred
    provision = max(to_date - total_result, ZERO) if total_result < 0 else ZERO
    position = revenue - billed_to_date
    return {
        "progress_percent": percent(useful, expected),
        "revenue_to_date": money(revenue),
        "revenue_this_period": money(revenue - recognised_before),
        "result_to_date": money(to_date),
        "expected_contract_result": money(total_result),
        "onerous_contract_provision": money(provision),
        "contract_asset": money(max(position, ZERO)),
        "contract_liability": money(max(-position, ZERO)),
        "conclusion": by_sign(total_result, "profitable contract", ONEROUS, "breaks even"),
    }
