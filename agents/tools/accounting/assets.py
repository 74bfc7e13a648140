"""Property, plant and equipment: depreciation, disposal (IAS 16) and impairment (IAS 36)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from agents.tools.accounting import outputs
from agents.tools.accounting.amounts import (
    ZERO,
    Day,
    Money,
    NonNegative,
    Positive,
    Rate,
    cents,
    money,
    present_value,
)
from agents.tools.registry import tool
from config.errors import InvalidInput

Method = Literal["straight_line", "diminishing_balance", "units_of_production"]


@tool("accounting.depreciate", light=True)
def depreciate(
    cost: Positive,
    depreciation_method: Method,
    available_on: Day,
    reporting_date: Day,
    residual_value: NonNegative = ZERO,
    useful_life_years: Annotated[Decimal, Field(gt=0, le=100)] | None = None,
    diminishing_rate: Annotated[Decimal, Field(gt=0, lt=1)] | None = None,
    units_total: Positive | None = None,
    units_used: NonNegative | None = None,
    disposed_on: Day | None = None,
    disposal_proceeds: NonNegative = ZERO,
) -> outputs.Depreciate:
    """Depreciate an asset to the reporting date or its disposal; give the gain or loss.

    IAS 16.50-62 and 67-71. By whole months: the month it becomes available counts, the month
    of disposal does not. Diminishing balance without a rate uses
    1 - (residual / cost) ^ (1 / life). Depreciation stops at the residual value (54).
    """
    if residual_value >= cost:
        raise InvalidInput("residual_value", str(residual_value), f"less than the cost ({cost})")
    if reporting_date < available_on:
        raise InvalidInput("reporting_date", str(reporting_date), f"not before {available_on}")
    if disposed_on and not available_on <= disposed_on <= reporting_date:
        raise InvalidInput("disposed_on", str(disposed_on), f"{available_on} to {reporting_date}")
    depreciable = cost - residual_value
    if depreciation_method == "units_of_production":
        charges = [_units_charge(depreciable, units_total, units_used)]
    else:
        rate = _rate(depreciation_method, cost, residual_value, useful_life_years, diminishing_rate)
        straight = depreciation_method == "straight_line"
        charges = []
        for months in _months_by_year(available_on, reporting_date, disposed_on):
            base = depreciable if straight else cost - sum(charges, ZERO)
            left = depreciable - sum(charges, ZERO)
            charges.append(cents(min(base * rate * months / 12, left)))
    return cast(outputs.Depreciate, _result(cost, charges, disposed_on, disposal_proceeds))


def _result(
    cost: Decimal, charges: list[Decimal], disposed_on: Day | None, proceeds: Decimal
) -> dict[str, Any]:
    accumulated = sum(charges, ZERO)
    carrying = cost - accumulated
    result: dict[str, Any] = {
        "charge_for_last_year": money(charges[-1]),
        "accumulated_depreciation": money(accumulated),
        "charges_by_year": [money(charge) for charge in charges],
    }
    if disposed_on is None:
        return {**result, "carrying_amount": money(carrying)}
    gain = proceeds - carrying
    return {
        **result,
        "carrying_amount_at_disposal": money(carrying),
        "gain_or_loss_on_disposal": money(gain),
        "disposal_verdict": "loss on disposal" if gain < 0 else "gain on disposal",
    }


def _rate(
    method: Method,
    cost: Decimal,
    residual: Decimal,
    life: Decimal | None,
    given: Decimal | None,
) -> Decimal:
    if method == "diminishing_balance" and given is not None:
        return given
    if life is None:
        raise InvalidInput("useful_life_years", None, f"needed for {method}")
    if method == "straight_line":
        return 1 / life
    if residual == 0:
        raise InvalidInput("residual_value", "0", "above zero, or give diminishing_rate")
    return 1 - (residual / cost) ** (1 / life)


def _units_charge(depreciable: Decimal, total: Decimal | None, used: Decimal | None) -> Decimal:
    if total is None or used is None:
        raise InvalidInput("units_total", None, "units_total and units_used for this method")
    return cents(depreciable * min(used / total, Decimal(1)))


def _months_by_year(available_on: Day, reporting_date: Day, until: Day | None) -> Iterator[int]:
    """Months of use in each financial year; years end in the month of the reporting date."""
    month = available_on.year * 12 + available_on.month - 1
    last = reporting_date.year * 12 + reporting_date.month
    end = min(last, until.year * 12 + until.month - 1) if until else last
    if end <= month:
        yield 0
    while month < end:
        year_end = month + (last - month - 1) % 12 + 1
        stop = min(year_end, end)
        yield stop - month
        month = stop


@tool("accounting.impairment_test", light=True)
def impairment_test(
    carrying_amount: NonNegative,
    fair_value_less_costs: NonNegative,
    cash_flows_in_use: Annotated[list[Money], Field(min_length=1, max_length=60)],
    pre_tax_discount_rate: Rate,
    goodwill_in_unit: NonNegative = ZERO,
) -> outputs.ImpairmentTest:
    """Test an asset or a cash-generating unit for impairment.

    Recoverable amount is the higher of fair value less costs of disposal and value in use
    (IAS 36.6, 18, 30-57; yearly cash flows, in arrears). A unit's loss goes to its goodwill
    first, the rest to other assets (104). ``carrying_amount`` includes the goodwill.
    """
    if goodwill_in_unit > carrying_amount:
        raise InvalidInput("goodwill_in_unit", str(goodwill_in_unit), "part of carrying_amount")
    in_use = present_value(list(cash_flows_in_use), pre_tax_discount_rate, Decimal(1))
    recoverable = max(fair_value_less_costs, in_use)
    loss = max(carrying_amount - recoverable, ZERO)
    to_goodwill = min(loss, goodwill_in_unit)
    return {
        "value_in_use": money(in_use),
        "recoverable_amount": money(recoverable),
        "impairment_loss": money(loss),
        "loss_to_goodwill": money(to_goodwill),
        "loss_to_other_assets": money(loss - to_goodwill),
        "headroom": money(max(recoverable - carrying_amount, ZERO)),
        "impairment_verdict": "impaired" if loss > 0 else "not impaired",
    }
