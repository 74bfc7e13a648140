"""Amounts as tools take and give them: Decimal inside, rounded half up at the edge."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated

from pydantic import Field

# Beyond this an amount is a typing error, not a ledger figure.
LARGEST = 10**15

Amount = Annotated[
    Decimal, Field(ge=-LARGEST, le=LARGEST, description="amount in the document's currency")
]
Positive = Annotated[
    Decimal, Field(ge=0, le=LARGEST, description="amount, zero or more, in the document's currency")
]
Ratio = Annotated[Decimal, Field(ge=0, le=1, description="share between 0 and 1")]


def cents(value: Decimal) -> float:
    """``value`` rounded half up to two decimals, as JSON carries it."""
    return float(value.quantize(Decimal("0.01"), ROUND_HALF_UP))


def percent(ratio: Decimal, places: int = 2) -> float:
    """A ratio as a percentage: 0.15825 gives 15.83."""
    return float((ratio * 100).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))


def share(part: Decimal, whole: Decimal) -> Decimal:
    """``part`` of ``whole``; 0 of nothing is 0."""
    return part / whole if whole else Decimal(0)
