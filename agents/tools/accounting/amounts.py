"""Amounts as accountants report them: decimal, rounded half up, never binary floats.

Money leaves a tool as a string with two decimals, a rate or a ratio as a number.
"""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from config.errors import InvalidInput

CENT = Decimal("0.01")
ZERO = Decimal(0)

# Above any balance sheet in any currency, and small enough for exact decimal arithmetic.
LARGEST = 10**15

Money = Annotated[Decimal, Field(ge=-LARGEST, le=LARGEST)]
NonNegative = Annotated[Decimal, Field(ge=0, le=LARGEST)]
Positive = Annotated[Decimal, Field(gt=0, le=LARGEST)]
Ratio = Annotated[Decimal, Field(ge=0, le=1, description="A share from 0 to 1")]
Rate = Annotated[Decimal, Field(gt=-1, le=10, description="A rate a year; 0.05 is 5 %")]

# Dates of business; sums of months and days from here stay within what a date can hold.
Day = Annotated[date, Field(ge=date(1800, 1, 1), le=date(2200, 12, 31))]


class Row(BaseModel):
    """One line of a table that a caller hands over; unknown columns are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def cents(value: Decimal) -> Decimal:
    """``value`` rounded half up to 0.01; never minus zero."""
    return _rounded(value, CENT)


def money(value: Decimal) -> str:
    """``value`` as reported: "1234.50"."""
    return format(cents(value), "f")


def number(value: Decimal, places: int = 4) -> float:
    """``value`` rounded half up to ``places`` decimals, for rates, factors and quantities."""
    return float(_rounded(value, Decimal(1).scaleb(-places)))


def _rounded(value: Decimal, step: Decimal) -> Decimal:
    """Raises InvalidInput where the result outgrows the 28 digits of exact arithmetic."""
    try:
        return value.quantize(step, rounding=ROUND_HALF_UP) + ZERO
    except InvalidOperation:
        raise InvalidInput(
            "result", f"{value:.3e}", "amounts that can be computed exactly"
        ) from None


def percent(part: Decimal, whole: Decimal) -> float | None:
    """100 x part / whole with two decimals; None where ``whole`` is zero."""
    return None if whole == 0 else number(100 * part / whole, 2)


def quotient(part: Decimal, whole: Decimal, places: int = 2) -> float | None:
    """part / whole; None where ``whole`` is zero, because no ratio is then defined."""
    return None if whole == 0 else number(part / whole, places)


def by_sign(value: Decimal, above: str, below: str, zero: str) -> str:
    """The phrase for a value above, below or at zero."""
    return above if value > 0 else below if value < 0 else zero


def present_value(cash_flows: list[Decimal], rate: Decimal, first_after: Decimal) -> Decimal:
    """Value today of equally spaced ``cash_flows``, one a period, at ``rate`` a period.

    ``first_after`` is the number of periods until the first one: 1 in arrears, 0 in advance,
    0.5 at mid-period.
    """
    return sum(
        (flow / (1 + rate) ** (first_after + index) for index, flow in enumerate(cash_flows)),
        ZERO,
    )


def split_exactly(total: Decimal, weights: list[Decimal]) -> list[Decimal]:
    """``total`` in cents shared by ``weights``; the parts add to the total to the cent.

    Largest remainders get the cents that rounding down leaves; the earlier part on a tie.
    """
    whole = sum(weights, ZERO)
    exact = [total * weight / whole for weight in weights]
    parts = [(value // CENT) * CENT for value in exact]
    left = int((cents(total) - sum(parts, ZERO)) / CENT)
    by_remainder = sorted(range(len(parts)), key=lambda i: parts[i] - exact[i])
    step = CENT if left >= 0 else -CENT
    for index in by_remainder[: abs(left)]:
        parts[index] += step
    return [cents(part) for part in parts]
