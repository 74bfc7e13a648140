"""Sufficient statistics of one arm for one metric, and the moments that tests read from them.

All of them add up over days, except quantiles. The unit of analysis is the unit of assignment:
``n`` counts assigned units. Where a unit is seen more than once, a Ratio of per-unit sums is its
cluster-robust mean. Sources: Deng et al., "Applying the Delta Method in Metric Analytics", KDD
2018 (Ratio, ClusteredQuantile); Deng et al., CUPED, WSDM 2013 (Adjusted). Definitions are those
of GrowthBook's statistics engine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

# Two-sided 95 %: the level at which a quantile's own bounds are given.
QUANTILE_Z = 1.959963984540054
# Rounding in sums of squares; a variance below this share of the mean square is none.
ROUNDING = 1e-12
# The note of an arm in which every unit has one value.
STEADY = "nothing varies"
# And of one in which nothing was measured: no score, no rating, no call.
UNMEASURED = "nothing was measured, the denominator is zero"
TOO_SELDOM = "measured in too few units to tell"


@dataclass(frozen=True, slots=True)
class Moments:
    """What every test reads: ``mean`` may be adjusted, ``raw_mean`` is as observed.

    ``variance`` is per unit: the mean's own variance is ``variance / n``. ``note`` says what
    bars a reading; empty if nothing does.
    """

    n: int
    mean: float
    raw_mean: float
    variance: float
    note: str = ""

    @property
    def readable(self) -> bool:
        """Whether a test may use it."""
        return not self.note and self.n > 1 and self.variance > 0


@dataclass(frozen=True, slots=True)
class Proportion:
    """``successes`` out of ``n`` units."""

    n: int
    successes: float

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.n:
            raise ValueError(f"need 0 <= successes <= n, got {self.successes} of {self.n}")

    @property
    def sum(self) -> float:
        return self.successes

    @property
    def mean(self) -> float:
        return self.successes / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        return self.mean * (1 - self.mean)


@dataclass(frozen=True, slots=True)
class Mean:
    """Sum and sum of squares of one value a unit."""

    n: int
    sum: float
    sum_squares: float

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError(f"need n >= 0, got {self.n}")
        if self.n == 0 and (self.sum or self.sum_squares):
            raise ValueError(f"need sums of 0 where n is 0, got {self.sum} and {self.sum_squares}")
        least = self.sum * self.sum / self.n if self.n else 0.0
        if self.sum_squares < least * (1 - 1e-9) - 1e-9:
            raise ValueError(
                f"need sum_squares >= sum**2 / n = {least:.6g}, got {self.sum_squares:.6g}"
            )

    @property
    def mean(self) -> float:
        return self.sum / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        if self.n <= 1:
            return 0.0
        spread = self.sum_squares - self.sum * self.sum / self.n
        return spread / (self.n - 1) if spread > ROUNDING * self.sum_squares else 0.0


@dataclass(frozen=True, slots=True)
class Ratio:
    """A sum over a sum, both per unit; the variance is the delta method's."""

    numerator: Mean | Proportion
    denominator: Mean | Proportion
    sum_products: float

    def __post_init__(self) -> None:
        if self.numerator.n != self.denominator.n:
            raise ValueError(
                f"need the same n above and below, got {self.numerator.n} and {self.denominator.n}"
            )

    @property
    def n(self) -> int:
        return self.numerator.n

    @property
    def mean(self) -> float:
        return self.numerator.sum / self.denominator.sum if self.denominator.sum else 0.0

    @property
    def measured_units(self) -> float:
        """How many units with equal denominators would say as much (Kish's effective size)."""
        below = self.denominator
        squares = below.sum if isinstance(below, Proportion) else below.sum_squares
        return below.sum**2 / squares if squares else 0.0

    @property
    def covariance(self) -> float:
        return _covariance(self.n, self.numerator.sum, self.denominator.sum, self.sum_products)

    @property
    def variance(self) -> float:
        below = self.denominator.mean
        if below == 0 or self.n <= 1:
            return 0.0
        above, times = self.numerator, self.numerator.mean / below
        spread = (
            above.variance - 2 * self.covariance * times + times * times * self.denominator.variance
        )
        # Every unit having the same ratio, the parts cancel but for their rounding.
        size = above.variance + above.mean**2 + times**2 * (self.denominator.variance + below**2)
        return spread / (below * below) if spread > ROUNDING * size else 0.0


@dataclass(frozen=True, slots=True)
class Adjusted:
    """An outcome with a covariate from before the experiment (CUPED)."""

    outcome: Mean | Proportion
    covariate: Mean | Proportion
    sum_products: float
    theta: float = 0.0

    def __post_init__(self) -> None:
        if self.outcome.n != self.covariate.n:
            raise ValueError(
                f"need one covariate a unit, got {self.covariate.n} for {self.outcome.n}"
            )

    @property
    def n(self) -> int:
        return self.outcome.n

    @property
    def mean(self) -> float:
        return self.outcome.mean - self.theta * self.covariate.mean

    @property
    def covariance(self) -> float:
        return _covariance(self.n, self.outcome.sum, self.covariate.sum, self.sum_products)

    @property
    def variance(self) -> float:
        if self.n <= 1:
            return 0.0
        return (
            self.outcome.variance
            + self.theta**2 * self.covariate.variance
            - 2 * self.theta * self.covariance
        )


@dataclass(frozen=True, slots=True)
class Clusters:
    """Per-unit counts for a quantile of events: how many lie below it, of how many."""

    n: int
    below_sum: float
    below_sum_squares: float
    events_sum: float
    events_sum_squares: float
    sum_products: float

    @property
    def variance(self) -> float:
        """Variance of the share below the quantile, units being independent, events not."""
        if self.n <= 1 or self.events_sum <= 0:
            return 0.0
        below, events = self.below_sum / self.n, self.events_sum / self.n
        scale = self.n / (self.n - 1)
        var_below = (self.below_sum_squares / self.n - below**2) * scale
        var_events = (self.events_sum_squares / self.n - events**2) * scale
        covariance = (self.sum_products / self.n - below * events) * scale
        spread = var_below - 2 * below * covariance / events + below**2 * var_events / events**2
        return spread / (self.n * events**2)


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile of ``n`` values with the bounds of its 95 % interval, read from order statistics.

    ``n_star`` is the sample size for which ``lower`` and ``upper`` were looked up.
    """

    n: int
    level: float
    value: float
    lower: float
    upper: float
    n_star: int
    clusters: Clusters | None = None

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError(f"need 0 < quantile < 1, got {self.level}")
        if not self.lower <= self.value <= self.upper:
            raise ValueError(
                f"need lower <= value <= upper, got {self.lower}, {self.value}, {self.upper}"
            )
        if self.n > 0 and self.n_star < 1:
            raise ValueError(f"need n_star >= 1 for bounds of {self.n} values, got {self.n_star}")

    @property
    def mean(self) -> float:
        return self.value

    @property
    def unfloored_variance(self) -> float:
        if self.n <= 1:
            return 0.0
        spread = (self.upper - self.lower) / (2 * QUANTILE_Z)
        independent = self.n_star / self.n * (self.n - 1) * spread**2
        if self.clusters is None:
            return independent
        return independent * self.clusters.variance * self.n / (self.level * (1 - self.level))

    @property
    def variance(self) -> float:
        # Many equal values have no spread between order statistics, yet are not certain.
        return self.unfloored_variance if self.n < 100 else max(self.unfloored_variance, 1e-5)

    @property
    def too_few(self) -> bool:
        """Whether the bounds would lie outside the sample, or nothing varies in a small one.

        However many values one unit gave, there is nothing to compare it with.
        """
        if self.clusters is not None and self.clusters.n < 2:
            return True
        odds = self.level / (1 - self.level)
        if self.n <= QUANTILE_Z**2 * max(odds, 1 / odds):
            return True
        return self.unfloored_variance <= 0 and self.n < 1000


Sample = Proportion | Mean | Ratio | Adjusted | Quantile


def moments(sample: Sample) -> Moments:
    """What tests read of ``sample``, with the reason if they can't."""
    raw = sample.outcome.mean if isinstance(sample, Adjusted) else sample.mean
    note = ""
    if sample.n == 0:
        note = "no units"
    elif isinstance(sample, Quantile) and sample.too_few:
        note = f"too few values ({sample.n}) for the {sample.level:g} quantile"
    elif isinstance(sample, Ratio) and sample.denominator.sum == 0:
        note = UNMEASURED
    elif sample.variance <= 0:
        note = STEADY
    return Moments(sample.n, sample.mean, raw, sample.variance, note)


def moments_of_pair(control: Sample, treatment: Sample) -> tuple[Moments, Moments]:
    """Both arms' moments, adjusted by one theta over both if they carry a covariate."""
    if isinstance(control, Adjusted) and isinstance(treatment, Adjusted):
        theta = common_theta(control, treatment)
        if theta == 0:  # nobody has a past that differs: as if no covariate were there
            return moments_of_pair(control.outcome, treatment.outcome)
        return moments(replace(control, theta=theta)), moments(replace(treatment, theta=theta))
    pair = moments(control), moments(treatment)
    if isinstance(control, Proportion) and isinstance(treatment, Proportion):
        return _smoothed(control, treatment, *pair)
    return _borrowed(*pair)


def common_theta(control: Adjusted, treatment: Adjusted) -> float:
    """Slope of outcome on covariate over both arms; 0 where one of them does not vary."""
    outcome = add(control.outcome, treatment.outcome)
    covariate = add(control.covariate, treatment.covariate)
    if outcome.variance == 0 or covariate.variance == 0:
        return 0.0
    products = control.sum_products + treatment.sum_products
    return Adjusted(outcome, covariate, products).covariance / covariate.variance


def add(one: Proportion | Mean, other: Proportion | Mean) -> Proportion | Mean:
    """Both together; raises ValueError for two different kinds."""
    if isinstance(one, Proportion) and isinstance(other, Proportion):
        return Proportion(one.n + other.n, one.successes + other.successes)
    if isinstance(one, Mean) and isinstance(other, Mean):
        return Mean(one.n + other.n, one.sum + other.sum, one.sum_squares + other.sum_squares)
    raise ValueError(f"can't add {type(one).__name__} and {type(other).__name__}")


def pooled(samples: Sequence[Sample]) -> Sample:
    """The sum of an arm's days within one stage; raises ValueError for quantiles or a mixture.

    Never pool over stages whose shares differ: combine those (``effects.combine``).
    """
    if not samples:
        raise ValueError("need at least one sample")
    total = samples[0]
    for sample in samples[1:]:
        total = _together(total, sample)
    return total


def _together(one: Sample, other: Sample) -> Sample:
    if isinstance(one, Ratio) and isinstance(other, Ratio):
        return Ratio(
            add(one.numerator, other.numerator),
            add(one.denominator, other.denominator),
            one.sum_products + other.sum_products,
        )
    if isinstance(one, Adjusted) and isinstance(other, Adjusted):
        return Adjusted(
            add(one.outcome, other.outcome),
            add(one.covariate, other.covariate),
            one.sum_products + other.sum_products,
        )
    if isinstance(one, Proportion | Mean) and isinstance(other, Proportion | Mean):
        return add(one, other)
    raise ValueError(f"{type(other).__name__} statistics of several days don't add up; give totals")


def _smoothed(
    control: Proportion, treatment: Proportion, first: Moments, second: Moments
) -> tuple[Moments, Moments]:
    """An arm where all or none succeeded gets the variance of (successes + 1) / (n + 2).

    Otherwise total failure could not be told from chance, and it is what must be stopped first.
    Source: Agresti and Caffo, The American Statistician 54 (2000).
    """
    if first.mean == second.mean or min(control.n, treatment.n) < 2:
        return first, second
    return _mended(control, first), _mended(treatment, second)


def _mended(sample: Proportion, found: Moments) -> Moments:
    if found.readable:
        return found
    share = (sample.successes + 1) / (sample.n + 2)
    return replace(found, variance=share * (1 - share), note="")


def _borrowed(first: Moments, second: Moments) -> tuple[Moments, Moments]:
    """An arm of equal values gets the other arm's variance, which is more than it shows.

    Otherwise an arm that always scores zero could not be told from chance.
    """
    if first.readable == second.readable or first.mean == second.mean:
        return first, second
    steady, other = (second, first) if first.readable else (first, second)
    if steady.n < 2 or steady.note != STEADY:
        return first, second
    mended = replace(steady, variance=other.variance, note="")
    return (first, mended) if first.readable else (mended, second)


def _covariance(n: int, first: float, second: float, products: float) -> float:
    return (products - first * second / n) / (n - 1) if n > 1 else 0.0


def upper_limit(values: Sequence[float], share: float) -> float:
    """The ``share`` quantile (nearest rank) of ``values``, those of all arms together.

    Raises ValueError unless 0.5 <= share < 1 and there are values.
    """
    if not 0.5 <= share < 1 or not values:
        raise ValueError(f"need values and 0.5 <= share < 1, got {len(values)} and {share}")
    return sorted(values)[math.ceil(share * len(values)) - 1]


def mean_of(values: Sequence[float]) -> Mean:
    """Sufficient statistics of one value a unit."""
    return Mean(len(values), math.fsum(values), math.fsum(v * v for v in values))
