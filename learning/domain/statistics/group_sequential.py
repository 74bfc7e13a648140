"""A few planned looks with an error that is spent over them (Lan and DeMets, 1983).

Checked against the published bounds for five equal looks at 5 %: 4.877, 3.357, 2.680, 2.290,
2.031 (O'Brien-Fleming type) and 2.438, 2.427, 2.410, 2.397, 2.386 (Pocock type).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from learning.domain import numeric
from learning.domain.statistics import boundaries
from learning.domain.statistics.effects import Difference, Result

Spending = Literal["pocock", "obrien_fleming"]
# Information that a look must bring to be one of its own; so there are at most a hundred.
LEAST_STEP = 0.01
# Looks that a process keeps: 3 kB each.
KEPT = 8_192
# Levels between which a p-value is interpolated.
_LEVELS = (*(math.exp(k * 0.4) for k in range(-68, 0)), 0.999)


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
    looks = tuple(fractions)
    return [_look(looks[: k + 1], alpha, spending)[0] for k in range(len(looks))]


@lru_cache(maxsize=KEPT)
def _look(
    fractions: tuple[float, ...], alpha: float, spending: Spending
) -> tuple[float, boundaries.Density]:
    """The limit of the last look, and the mass that stays within it.

    Kept, because every look builds on the one before, and all arms and metrics share their looks.
    """
    *earlier, fraction = fractions
    density, before, used = boundaries.START, 0.0, 0.0
    if earlier:
        density, before = _look(tuple(earlier), alpha, spending)[1], earlier[-1]
        used = spent(before, alpha=alpha, spending=spending)
    root = math.sqrt(fraction)
    error = spent(fraction, alpha=alpha, spending=spending) - used
    limit = _limit(density, fraction - before, root, error)
    edge = limit * root
    return limit, boundaries.advance(density, fraction - before, (-edge, edge), 0.0)


def thinned(fractions: Sequence[float], *, least_step: float = LEAST_STEP) -> list[float]:
    """``fractions`` without looks that bring less than ``least_step``; the last one stays.

    Looks so near to another hardly differ from it, and the integration could not tell them apart.
    """
    kept: list[float] = []
    for fraction in fractions[:-1]:
        if fraction - (kept[-1] if kept else -1.0) >= least_step:
            kept.append(fraction)
    while kept and fractions[-1] - kept[-1] < least_step:
        kept.pop()
    return [*kept, *fractions[-1:]]


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
    with_p_value: bool = True,
) -> Result:
    """The repeated confidence interval and p-value at the last of ``fractions``.

    The p-value is the smallest level at which this look's bound would have been crossed, to a
    thousandth of itself; a path of many looks does without it.
    """
    error, score = found.standard_error, abs(found.estimate / found.standard_error)
    z = bounds(fractions, alpha=alpha, spending=spending)[-1]
    p_value = _repeated_p(score, tuple(fractions), alpha, spending) if with_p_value else None
    return Result(
        found.estimate,
        error,
        found.estimate - z * error,
        found.estimate + z * error,
        p_value,
        critical_z=z,
    )


def _repeated_p(
    score: float, fractions: tuple[float, ...], alpha: float, spending: Spending
) -> float:
    """Between two levels of a grid, log p is interpolated over z², over which it is nearly linear.

    ``alpha`` is on the grid, so that p is below it exactly where the interval leaves zero out.
    """
    levels = sorted({*_LEVELS, alpha}, reverse=True)

    def bound(place: int) -> float:
        return _look(fractions, levels[place], spending)[0]

    low, high = 0, len(levels) - 1
    if score <= bound(low):
        return 1.0
    if score >= bound(high):
        return levels[high]
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bound(middle) < score else (low, middle)
    under, over = bound(low) ** 2, bound(high) ** 2
    share = (score**2 - under) / (over - under)
    first, last = math.log(levels[low]), math.log(levels[high])
    return math.exp(first + share * (last - first))
