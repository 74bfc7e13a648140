"""Normal posterior of the difference, with GrowthBook's prior, chance to win and risk.

Not protected against repeated looks: stopping at a chance to win of 95 % on any of ten days
finds an effect in a third of the A/A comparisons. Offered with a declared end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from learning.domain import numeric
from learning.domain.statistics.effects import Difference, Result, Scale


@dataclass(frozen=True, slots=True)
class Prior:
    """Belief about the difference before the data; without ``proper`` it is flat.

    ``scale`` says in which terms mean and variance are given; they are converted with the
    control's mean where the comparison uses the other.
    """

    mean: float = 0.0
    variance: float = 1.0
    proper: bool = False
    scale: Scale = "relative"

    def __post_init__(self) -> None:
        if self.variance <= 0:
            raise ValueError(f"need a prior variance above 0, got {self.variance}")


def compare(
    found: Difference,
    *,
    scale: Scale,
    alpha: float = 0.05,
    prior: Prior | None = None,
    lower_is_better: bool = False,
) -> Result:
    """Posterior mean and credible interval, the chance that treatment is better, and the risk.

    ``risk`` is the expected loss of keeping control, then of choosing treatment, when that is
    the wrong choice.
    """
    mean, error = posterior(found, prior or Prior(), scale)
    lower, upper = numeric.stats().norm.ppf([alpha / 2, 1 - alpha / 2], mean, error)
    above = float(numeric.stats().norm.sf(0, mean, error))
    gain, loss = expected_gain_and_loss(mean, error)
    return Result(
        mean,
        error,
        float(lower),
        float(upper),
        None,
        chance_to_win=1 - above if lower_is_better else above,
        risk=(loss, gain) if lower_is_better else (gain, loss),
    )


def posterior(found: Difference, prior: Prior, scale: Scale) -> tuple[float, float]:
    """Mean and standard deviation of the difference, given the data and ``prior``."""
    if not prior.proper:
        return found.estimate, found.standard_error
    factor = 1.0
    if scale != prior.scale:
        base = abs(found.control.raw_mean)
        if base == 0:
            raise ValueError("control's mean is zero, so a relative prior can't be converted")
        factor = base if scale == "absolute" else 1 / base
    prior_mean, prior_variance = prior.mean * factor, prior.variance * factor**2
    precision = 1 / found.variance + 1 / prior_variance
    mean = (found.estimate / found.variance + prior_mean / prior_variance) / precision
    return mean, math.sqrt(1 / precision)


def expected_gain_and_loss(mean: float, error: float) -> tuple[float, float]:
    """E[max(d, 0)] and E[max(-d, 0)] of a normal difference d."""
    score = mean / error
    density = float(numeric.stats().norm.pdf(score)) * error
    gain = mean * float(numeric.stats().norm.cdf(score)) + density
    loss = -mean * float(numeric.stats().norm.cdf(-score)) + density
    return max(gain, 0.0), max(loss, 0.0)
