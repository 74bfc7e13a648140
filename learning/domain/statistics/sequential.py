"""Asymptotic confidence sequences: intervals and p-values that hold at every look at once.

Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and
asymptotic confidence sequences", arXiv 2103.06476v7: eq. 9 (interval), 155 (p-value), 161
(tuning), and the one-sided bound of its appendix B. Applied to the difference, as GrowthBook does.
"""

from __future__ import annotations

import math

from learning.domain.statistics.effects import Alternative, Difference, Result

# Total units at which the interval is narrowest, where nothing was planned. Fixed before start:
# choosing it with the data in sight would void the guarantee.
DEFAULT_TUNING = 5000.0


def rho(alpha: float, tuning: float) -> float:
    """The mixture's spread that makes the sequence narrowest at ``tuning`` units in total."""
    if tuning <= 0 or not 0 < alpha < 1:
        raise ValueError(f"need tuning > 0 and 0 < alpha < 1, got {tuning} and {alpha}")
    return math.sqrt((-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / tuning)


def critical_z(
    n: float, *, alpha: float, tuning: float, one_sided: bool = False, level: float | None = None
) -> float:
    """Half-width of the sequence at ``n`` units, in standard errors of that moment.

    ``level``: where the p-value of a sequence that is tuned for ``alpha`` falls below that.
    """
    error = alpha if level is None else level
    gained = n * rho(alpha, tuning) ** 2  # never as growth - 1: far below the tuning that is 0
    root = math.sqrt(gained + 1)
    tail = math.log(1 + root / (2 * error)) if one_sided else math.log(root / error)
    return math.sqrt(2 * (gained + 1) / gained * tail)


def compare(
    found: Difference,
    *,
    alpha: float = 0.05,
    tuning: float = DEFAULT_TUNING,
    alternative: Alternative = "two_sided",
    null: float = 0.0,
) -> Result:
    """The confidence sequence at this moment; its p-value may be looked at on any day."""
    error = found.standard_error
    one_sided = alternative != "two_sided"
    z = critical_z(found.n, alpha=alpha, tuning=tuning, one_sided=one_sided)
    score = (found.estimate - null) / error
    lower, upper = found.estimate - z * error, found.estimate + z * error
    if alternative == "greater":
        upper = math.inf
    elif alternative == "less":
        lower, score = -math.inf, -score
    growth = found.n * rho(alpha, tuning) ** 2 + 1
    if one_sided:
        p_value = _one_sided_p(score, growth)
    else:
        log_evidence = (growth - 1) / growth * score**2 / 2 - math.log(growth) / 2
        p_value = math.exp(-max(log_evidence, 0.0))
    return Result(found.estimate, error, lower, upper, p_value, critical_z=z)


def _one_sided_p(score: float, growth: float) -> float:
    """The level at which the one-sided bound meets ``score``; 1 where it points the other way."""
    if score <= 0:
        return 1.0
    power = min(score**2 * (growth - 1) / (2 * growth), 700.0)
    above = math.expm1(power)
    return min(1.0, math.sqrt(growth) / (2 * above)) if above > 0 else 1.0
