"""Transfer pricing: the arm's-length range of comparables and the adjustment it asks for."""

from __future__ import annotations

from decimal import Decimal
from statistics import median
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.tools.amounts import Amount, Positive, cents
from agents.tools.registry import tool
from agents.tools.tax import outputs
from config.errors import InvalidInput

# Fewer results make an interquartile range meaningless.
MIN_COMPARABLES = 4

Margin = Annotated[Decimal, Field(ge=-100, le=1000, description="profit level in percent")]


class Comparable(BaseModel):
    """One independent company and its profit level; ``accepted`` false keeps it out."""

    model_config = ConfigDict(extra="forbid")
    company: str
    margin_percent: Margin
    accepted: bool = True


@tool("tax.transfer_pricing_range", light=True)
def transfer_pricing_range(
    comparables: Annotated[list[Comparable], Field(max_length=200)],
    tested_profit: Annotated[Amount, Field(description="operating profit of the tested party")],
    tested_base: Annotated[
        Positive, Field(description="its denominator: sales, or total costs for a mark-up")
    ],
    indicator: Annotated[
        Literal["operating_margin", "cost_plus_markup"], Field(description="profit level indicator")
    ] = "operating_margin",
    tax_rate_percent: Annotated[Decimal, Field(ge=0, le=60)] = Decimal(25),
) -> outputs.TransferPricingRange:
    """Interquartile range of accepted comparables, the tested margin's place, the adjustment.

    The 25th percentile is the lowest result with at least a quarter of results at or below it, or
    the mean of it and the next one where exactly a quarter are (the 75th likewise). Out of range
    is adjusted to the median. Source: Treas. Reg. 1.482-1(e)(2)(iii)(C), (e)(3); OECD Transfer
    Pricing Guidelines 2022, 3.55-3.62.
    """
    results = sorted(c.margin_percent for c in comparables if c.accepted)
    if len(results) < MIN_COMPARABLES:
        raise InvalidInput("comparables", len(results), f"at least {MIN_COMPARABLES} accepted ones")
    if tested_base == 0:
        raise InvalidInput("tested_base", 0, "must be more than zero")
    low, middle, high = _percentile(results, 25), median(results), _percentile(results, 75)
    tested = tested_profit / tested_base * 100
    inside = low <= tested <= high
    adjustment = Decimal(0) if inside else (middle - tested) / 100 * tested_base
    return {
        "indicator": indicator.replace("_", " "),
        "accepted_comparables": len(results),
        "rejected_comparables": len(comparables) - len(results),
        "tested_margin_percent": cents(tested),
        "lower_quartile_percent": cents(low),
        "median_percent": cents(middle),
        "upper_quartile_percent": cents(high),
        "range_width_points": cents(high - low),
        "profit_adjustment": cents(adjustment),
        "tax_at_stake": cents(abs(adjustment) * tax_rate_percent / 100),
        "conclusion": _conclusion(tested, low, high),
    }


def _percentile(results: list[Decimal], percent: int) -> Decimal:
    """Smallest result with ``percent`` at or below; averaged with the next on an exact hit."""
    position = len(results) * percent
    index, remainder = divmod(position, 100)
    if remainder:
        return results[index]
    return (results[index - 1] + results[index]) / 2


def _conclusion(tested: Decimal, low: Decimal, high: Decimal) -> str:
    if tested < low:
        return "below the arm's-length range: adjust up to the median"
    if tested > high:
        return "above the arm's-length range: adjust down to the median"
    return "within the arm's-length range: no adjustment"
