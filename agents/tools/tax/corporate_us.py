"""US federal corporate income tax with state apportionment."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.tools.amounts import Amount, Positive, Ratio, cents, percent, share
from agents.tools.registry import tool
from agents.tools.tax import outputs
from config.errors import InvalidInput

# IRC s.11(b); s.172(a)(2): losses of years after 2017 cover at most 80 % of taxable income.
FEDERAL_RATE = Decimal("0.21")
LOSS_LIMIT = Decimal("0.8")

Formula = Literal["single_sales", "three_factor", "double_sales"]


class State(BaseModel):
    """What the company has in one state; ``rate`` is that state's corporate rate."""

    model_config = ConfigDict(extra="forbid")
    state: Annotated[str, Field(pattern="^[A-Z]{2}$")]
    rate: Ratio
    sales: Positive
    property_value: Positive = Decimal(0)
    payroll: Positive = Decimal(0)
    formula: Formula = "single_sales"


@tool("tax.us_corporate_tax", light=True)
def us_corporate_tax(
    us_income_before_losses: Annotated[
        Amount, Field(description="taxable income before losses and state tax, USD")
    ],
    states: Annotated[list[State], Field(max_length=51)],
    everywhere_sales: Positive,
    everywhere_property: Positive = Decimal(0),
    everywhere_payroll: Positive = Decimal(0),
    nol_carryforward: Positive = Decimal(0),
) -> outputs.UsCorporateTax:
    """Federal tax at 21 % after apportioned, deductible state taxes and the 80 % loss limit.

    Factors: sales only; the mean of sales, property and payroll; or with sales counted twice.
    A factor without a denominator drops out (UDITPA s.9-17). Source: IRC s.11, 164, 172.
    """
    seen = [state.state for state in states]
    if len(set(seen)) != len(seen):
        raise InvalidInput("states", seen, "each state stands once")
    rows: list[dict[str, object]] = []
    state_tax, apportioned_share = Decimal(0), Decimal(0)
    base = max(us_income_before_losses, Decimal(0))
    for state in states:
        factor = _factor(state, everywhere_sales, everywhere_property, everywhere_payroll)
        income = base * factor
        state_tax += income * state.rate
        apportioned_share += factor
        rows.append(
            {
                "state": state.state,
                "apportionment_percent": percent(factor, 4),
                "apportioned_income": cents(income),
                "state_tax": cents(income * state.rate),
            }
        )
    income = us_income_before_losses - state_tax
    used = min(nol_carryforward, max(income, Decimal(0)) * LOSS_LIMIT)
    federal_income = max(income - used, Decimal(0))
    federal_tax = federal_income * FEDERAL_RATE
    total = federal_tax + state_tax
    return {
        "state_apportionment": rows,
        "total_state_tax": cents(state_tax),
        "federal_taxable_income": cents(federal_income),
        "federal_tax": cents(federal_tax),
        "total_us_tax": cents(total),
        "effective_rate_percent": percent(share(total, base)),
        "nol_used": cents(used),
        "nol_remaining": cents(nol_carryforward - used + max(-income, Decimal(0))),
        "unapportioned_percent": percent(max(1 - apportioned_share, Decimal(0))),
        "conclusion": _conclusion(income, nol_carryforward, used),
    }


def _factor(state: State, sales: Decimal, property_value: Decimal, payroll: Decimal) -> Decimal:
    weights = {
        "single_sales": (1, 0, 0),
        "three_factor": (1, 1, 1),
        "double_sales": (2, 1, 1),
    }[state.formula]
    pairs = ((state.sales, sales), (state.property_value, property_value), (state.payroll, payroll))
    for own, everywhere in pairs:
        if own > everywhere:
            raise InvalidInput("states", f"{state.state}: {own}", f"at most {everywhere} in all")
    used = [(weight, pair) for weight, pair in zip(weights, pairs, strict=True) if pair[1] > 0]
    total = sum(weight for weight, _ in used)
    if total == 0:
        return Decimal(0)
    return sum((weight * own / whole for weight, (own, whole) in used), Decimal(0)) / total


def _conclusion(income: Decimal, available: Decimal, used: Decimal) -> str:
    if income <= 0:
        return "loss year: the loss is carried forward without limit of time"
    if available > used:
        return "loss deduction capped at 80 percent of taxable income"
    return "losses used in full" if used else "no losses to use"
