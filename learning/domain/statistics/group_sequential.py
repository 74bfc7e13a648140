"""A few planned looks with an error that is spent over them (Lan and DeMets, 1983).

Checked against the published bounds for five equal looks at 5 %: 4.877, 3.357, 2.680, 2.290,
2.031 (O'Brien-Fleming type) and 2.438, 2.427, 2.410, 2.397, 2.386 (Pocock type).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from learning.domain import numeric
from learning.domain.statistics import boundaries
from learning.domain.statistics.effects import Difference, Result

Spending = Literal["pocock", "obrien_fleming"]


def spent(fraction: float, *, alpha: float, spending: Spending) -> float:
    """Two-sided error that may be used up by ``fraction`` of the information."""
    fraction = min(fraction, 1.0)
    if spending == "pocock":
        return alpha * math.log(1 + (math.e - 1) * fraction)
    return float(
        4 * numeric.special().ndtr(numeric.special().ndtri(alpha / 4) / math.sqrt(fraction))
    )


def bounds(fractions: Sequence[float], *, alpha: float, spending: Spending) -> list[float]:
    """Two-sided critical z at each look; only looks up to the present one need be given."""
    boundaries.check_fractions(fractions)
    density, before, used, found = boundaries.START, 0.0, 0.0, []
    for fraction in fractions:
        now = spent(fraction, alpha=alpha, spending=spending)
        root = math.sqrt(fraction)
        limit = _limit(density, fraction - before, root, now - used)
        found.append(limit)
        density = boundaries.advance(density, fraction - before, limit * root, 0.0)
        before, used = fraction, now
    return found


def _limit(density: boundaries.Density, step: float, root: float, error: float) -> float:
    def excess(limit: float) -> float:
        return sum(boundaries.tails(density, step, limit * root, 0.0)) - error

    if excess(boundaries.NEVER) > 0:
        return boundaries.NEVER
    return float(numeric.optimize().brentq(excess, 0.0, boundaries.NEVER, xtol=1e-7))


def compare(
    found: Difference,
    fractions: Sequence[float],
    *,
    alpha: float = 0.05,
    spending: Spending = "obrien_fleming",
) -> Result:
    """The repeated confidence interval and p-value at the last of ``fractions``.

    The p-value is the smallest level at which this look's bound would have been crossed.
    """
    error, score = found.standard_error, abs(found.estimate / found.standard_error)
    z = bounds(fractions, alpha=alpha, spending=spending)[-1]
    p_value = _repeated_p(score, fractions, spending)
    return Result(
        found.estimate,
        error,
        found.estimate - z * error,
        found.estimate + z * error,
        p_value,
        critical_z=z,
    )


def _repeated_p(score: float, fractions: Sequence[float], spending: Spending) -> float:
    def gap(level: float) -> float:
        return bounds(fractions, alpha=level, spending=spending)[-1] - score

    low, high = 1e-12, 0.999
    if gap(high) > 0:
        return 1.0
    if gap(low) <= 0:
        return low
    return float(
        numeric.optimize().brentq(
            lambda log: gap(math.exp(log)), math.log(low), math.log(high), xtol=1e-4
        )
    )
