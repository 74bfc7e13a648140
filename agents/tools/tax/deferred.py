"""Deferred tax under IAS 12 and the reconciliation of the effective rate."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.tools.amounts import Amount, Positive, Ratio, cents, percent, share
from agents.tools.registry import tool
from agents.tools.tax import outputs


class Balance(BaseModel):
    """A balance sheet item with its tax base, both as positive amounts."""

    model_config = ConfigDict(extra="forbid")
    item: str
    side: Literal["asset", "liability"]
    carrying_amount: Positive
    tax_base: Positive
    recognised_in: Literal["profit", "oci", "equity"] = "profit"
    initial_recognition_exempt: Annotated[bool, Field(description="IAS 12.15(b), 24")] = False


class PermanentDifference(BaseModel):
    """An item that never reverses: positive is added to taxable profit."""

    model_config = ConfigDict(extra="forbid")
    item: str
    amount: Amount


@dataclass(frozen=True, slots=True)
class Difference:
    """Temporary difference of one item: positive is taxable, negative deductible."""

    amount: Decimal
    recognised: bool


@tool("tax.deferred_tax", light=True)
def deferred_tax(
    tax_balances: Annotated[list[Balance], Field(max_length=300)],
    enacted_rate: Annotated[Ratio, Field(description="rate enacted for the reversal, IAS 12.47")],
    unused_losses: Positive = Decimal(0),
    probable_future_profit: Annotated[
        Positive, Field(description="taxable profit probable beyond reversals, IAS 12.36")
    ] = Decimal(0),
    opening_net_liability: Annotated[Amount, Field(description="asset as negative")] = Decimal(0),
) -> outputs.DeferredTax:
    """Deferred tax assets and liabilities, the movement and where it is recognised.

    Taxable: carrying above tax base of an asset, below it for a liability. Assets are recognised
    as far as taxable differences and probable profit reach. Source: IAS 12.5, 15, 24, 28-29, 34,
    36, 47, 58, 61A.
    """
    sums = {"profit": Decimal(0), "oci": Decimal(0), "equity": Decimal(0)}
    taxable, deductible = Decimal(0), Decimal(0)
    rows: list[dict[str, object]] = []
    for balance in tax_balances:
        found = _difference(balance)
        if found.recognised:
            sums[balance.recognised_in] += found.amount
            taxable += max(found.amount, Decimal(0))
            deductible += max(-found.amount, Decimal(0))
        rows.append(
            {
                "item": balance.item,
                "temporary_difference": cents(found.amount),
                "nature": _nature(found),
                "deferred_tax": cents(found.amount * enacted_rate * found.recognised),
            }
        )
    available = deductible + unused_losses
    recognisable = min(available, taxable + probable_future_profit)
    closing = (taxable - recognisable) * enacted_rate
    oci_and_equity = (sums["oci"] + sums["equity"]) * enacted_rate
    return {
        "temporary_differences": rows,
        "deferred_tax_liability": cents(taxable * enacted_rate),
        "deferred_tax_asset": cents(recognisable * enacted_rate),
        "unrecognised_asset": cents((available - recognisable) * enacted_rate),
        "closing_net_liability": cents(closing),
        "movement_in_profit_or_loss": cents(closing - opening_net_liability - oci_and_equity),
        "movement_outside_profit": cents(oci_and_equity),
        "asset_test": "asset recognised in full"
        if available == recognisable
        else "part of the asset is not recognised: future profit is too small",
    }


def _difference(balance: Balance) -> Difference:
    gap = balance.carrying_amount - balance.tax_base
    amount = gap if balance.side == "asset" else -gap
    return Difference(amount, not balance.initial_recognition_exempt)


def _nature(found: Difference) -> str:
    if not found.recognised:
        return "exempt on initial recognition"
    if found.amount == 0:
        return "none"
    return "taxable" if found.amount > 0 else "deductible"


@tool("tax.effective_rate_reconciliation", light=True)
def effective_rate_reconciliation(
    profit_before_tax: Annotated[Amount, Field(description="accounting profit")],
    enacted_rate: Annotated[Ratio, Field(description="applicable rate, IAS 12.81(c)")],
    permanent_differences: Annotated[list[PermanentDifference], Field(max_length=100)],
    prior_year_adjustment: Amount = Decimal(0),
) -> outputs.EffectiveRateReconciliation:
    """From accounting profit times the applicable rate to the tax charge. Source: IAS 12.81(c)."""
    expected = profit_before_tax * enacted_rate
    effects = [(d.item, d.amount * enacted_rate) for d in permanent_differences]
    charge = expected + sum((effect for _, effect in effects), Decimal(0)) + prior_year_adjustment
    effective = share(charge, profit_before_tax)
    return {
        "expected_tax": cents(expected),
        "reconciling_items": [
            {"item": item, "tax_effect": cents(effect)} for item, effect in effects
        ],
        "total_tax_charge": cents(charge),
        "effective_tax_rate_percent": percent(effective),
        "rate_gap_points": percent(effective - enacted_rate) if profit_before_tax else 0.0,
    }
