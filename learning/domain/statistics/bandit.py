"""Best-arm bandit: shares by Thompson sampling in batches, and the analysis that fits them.

Ordinary tests are wrong for data whose shares followed the outcomes. Within a batch shares are
fixed, so each batch is compared in itself and the batches' z-scores are added. Source: Zhang,
Janson and Murphy, "Inference for Batched Bandits", NeurIPS 2020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from learning.domain import numeric
from learning.domain.statistics.effects import Pair, Result, combine
from learning.domain.statistics.samples import Moments

# Points of the grid on which the chance to be the best is integrated.
GRID = 2001


def chance_to_be_best(arms: Sequence[Moments], *, lower_is_better: bool = False) -> list[float]:
    """Probability that each arm's mean is the best, under flat priors; sums to 1.

    Raises ValueError for an arm that can't be read yet.
    """
    for index, arm in enumerate(arms):
        if not arm.readable:
            raise ValueError(f"arm {index}: {arm.note or 'too few units'}")
    sign = -1.0 if lower_is_better else 1.0
    means = np.array([sign * arm.mean for arm in arms])
    errors = np.array([math.sqrt(arm.variance / arm.n) for arm in arms])
    # Each arm on its own grid: errors of different size need different steps.
    scores = np.linspace(-8, 8, GRID)
    found = np.empty(len(arms))
    for index in range(len(arms)):
        places = means[index] + errors[index] * scores
        others = [j for j in range(len(arms)) if j != index]
        beats = np.prod(
            [numeric.stats().norm.cdf(places, means[j], errors[j]) for j in others], axis=0
        )
        found[index] = np.trapezoid(beats * numeric.stats().norm.pdf(scores), scores)
    return [float(value) for value in found / found.sum()]


def next_shares(chances: Sequence[float], *, floor: float = 0.05) -> list[float]:
    """Shares of the next batch: the chances, with no arm under ``floor``.

    The floor keeps every batch readable. Raises ValueError if the floors exceed the whole.
    """
    if floor * len(chances) > 1:
        raise ValueError(f"need floor * arms <= 1, got {floor} * {len(chances)}")
    return [floor + (1 - floor * len(chances)) * chance for chance in chances]


def compare(batches: Sequence[Pair], *, alpha: float = 0.05) -> Result:
    """Treatment against control over batches; valid although shares followed the outcomes.

    The estimate combines batches as stages; the p-value is that of the summed batch z-scores,
    Student's t within a batch turned into z. Batches in which an arm can't be read are left out;
    raises ValueError if none is left.
    """
    whole = [(a, b) for a, b in batches if a.readable and b.readable]
    if not whole:
        raise ValueError("no batch can be read in both arms")
    gaps = [treatment.mean - control.mean for control, treatment in whole]
    errors = [_pooled_error(control, treatment) for control, treatment in whole]
    root = math.sqrt(len(whole))
    scores = [
        _as_normal(gap / error, a.n + b.n - 2)
        for gap, error, (a, b) in zip(gaps, errors, whole, strict=True)
    ]
    score = sum(scores) / root
    # The interval inverts the same statistic: sum of (d_t - d) / s_t over the root of batches.
    precision = sum(1 / error for error in errors) / root
    centre = sum(gap / error for gap, error in zip(gaps, errors, strict=True)) / root / precision
    width = float(numeric.stats().norm.ppf(1 - alpha / 2)) / precision
    control, treatment = combine(whole)
    return Result(
        treatment.mean - control.mean,
        1 / precision,
        centre - width,
        centre + width,
        float(2 * numeric.stats().norm.sf(abs(score))),
    )


def over(found: Result, base: float) -> Result:
    """An absolute result as a share of control's mean ``base``, which is taken as known.

    So the interval holds zero exactly where the test does not reject.
    """
    ends = sorted((found.lower / base, found.upper / base))
    error = found.standard_error / abs(base)
    return Result(found.estimate / base, error, ends[0], ends[1], found.p_value)


def _pooled_error(control: Moments, treatment: Moments) -> float:
    """One variance for both arms: an arm of few units would otherwise look surer when it is low."""
    spread = (control.n - 1) * control.variance + (treatment.n - 1) * treatment.variance
    pooled = spread / (control.n + treatment.n - 2)
    return math.sqrt(pooled * (1 / control.n + 1 / treatment.n))


def _as_normal(score: float, dof: int) -> float:
    tail = float(numeric.stats().t.sf(abs(score), dof))
    return math.copysign(float(numeric.stats().norm.isf(max(tail, 1e-300))), score)
