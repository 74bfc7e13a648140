"""Amounts as the audit tools report them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

PENNY = Decimal("0.01")


def rounded(amount: Decimal, unit: Decimal = PENNY) -> float:
    """``amount`` rounded half up to ``unit``, as the number that JSON carries."""
    return float(amount.quantize(unit, ROUND_HALF_UP))


def percent(part: Decimal, whole: Decimal) -> float:
    """``part`` of ``whole`` in percent with two decimals; 0 if ``whole`` is 0."""
    return rounded(part / whole * 100) if whole else 0.0
