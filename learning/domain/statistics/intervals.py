"""Bounds of a rate that was counted."""

from __future__ import annotations

from learning.domain import numeric


def clopper_pearson(successes: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The exact two-sided interval of a proportion; (0, 1) where nothing was counted.

    Raises ValueError unless 0 <= successes <= n.
    Source: Clopper and Pearson, Biometrika 26, 1934.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"need 0 <= successes <= n, got {successes} of {n}")
    if n == 0:
        return 0.0, 1.0
    beta, tail = numeric.stats().beta, (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes, n - successes + 1))
    high = 1.0 if successes == n else float(beta.ppf(1 - tail, successes + 1, n - successes))
    return low, high
