"""Adjusted p-values for many comparisons; the order of the input is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Correction = Literal["holm", "benjamini_hochberg", "none"]


def adjusted(p_values: Sequence[float], correction: Correction) -> list[float]:
    """p-values to compare with the level of the whole family."""
    if correction == "holm":
        return holm(p_values)
    if correction == "benjamini_hochberg":
        return benjamini_hochberg(p_values)
    return list(p_values)


def holm(p_values: Sequence[float]) -> list[float]:
    """Family-wise error, under any dependence. Source: Holm, Scand. J. Statist. 6 (1979)."""
    count, highest = len(p_values), 0.0
    found = [0.0] * count
    for rank, index in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (count - rank) * p_values[index]))
        found[index] = highest
    return found


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """False discovery rate. Source: Benjamini and Hochberg, JRSS B 57 (1995)."""
    count, lowest = len(p_values), 1.0
    found = [0.0] * count
    order = sorted(range(count), key=lambda i: p_values[i], reverse=True)
    for position, index in enumerate(order):
        lowest = min(lowest, p_values[index] * count / (count - position))
        found[index] = lowest
    return found
