"""How many units an experiment needs, by the test it will actually use.

One engine: a test is its critical z at each look, and the chance to cross is integrated exactly
(``boundaries``). So a sequential plan pays for its looks, and a fixed one for its single one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from learning.domain import numeric
from learning.domain.statistics import boundaries, group_sequential, sequential

Kind = Literal["sequential", "fixed", "group_sequential", "bayesian"]
# Beyond this many units in total a plan is refused: nobody waits for it.
MOST_UNITS = 1e10
# Of a size: a millionth of itself.
_PRECISION = 1e-6


@dataclass(frozen=True, slots=True)
class Design:
    """The test that will be used. ``tuning`` None: tuned to the planned size itself."""

    kind: Kind = "sequential"
    alpha: float = 0.05
    looks: int = 14
    tuning: float | None = None
    spending: group_sequential.Spending = "obrien_fleming"

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1 or not 1 <= self.looks <= 366:
            raise ValueError(f"need 0 < alpha < 1 and 1 to 366 looks, got {self}")

    def limits(self, total: float) -> tuple[list[float], list[float]]:
        """Information fractions and two-sided critical z of each look, at ``total`` units."""
        if self.kind == "fixed":
            return [1.0], [float(numeric.stats().norm.ppf(1 - self.alpha / 2))]
        if self.kind == "bayesian":  # a flat prior: chance to win above 1 - alpha
            return [1.0], [float(numeric.stats().norm.ppf(1 - self.alpha))]
        fractions = [(k + 1) / self.looks for k in range(self.looks)]
        if self.kind == "group_sequential":
            fractions = group_sequential.thinned(fractions)  # as they will be read
            return fractions, group_sequential.bounds(
                fractions, alpha=self.alpha, spending=self.spending
            )
        tuning = self.tuning or total
        return fractions, [
            sequential.critical_z(total * f, alpha=self.alpha, tuning=tuning) for f in fractions
        ]


@dataclass(frozen=True, slots=True)
class Question:
    """The effect (absolute) to be found, and each arm's variance per unit."""

    effect: float
    control_variance: float
    treatment_variance: float

    def __post_init__(self) -> None:
        if self.effect == 0 or min(self.control_variance, self.treatment_variance) <= 0:
            raise ValueError(f"need an effect and variances above 0, got {self}")


def proportion(baseline: float, effect: float) -> Question:
    """A change of ``effect`` in a success rate; raises ValueError outside 0 to 1."""
    if not 0 < baseline < 1 or not 0 < baseline + effect < 1:
        raise ValueError(f"need rates within (0, 1), got {baseline} and {baseline + effect:g}")
    changed = baseline + effect
    return Question(effect, baseline * (1 - baseline), changed * (1 - changed))


def power(design: Design, question: Question, total: float, share: float = 0.5) -> float:
    """Chance to find the effect, in its own direction, by ``total`` units.

    ``share`` of them are treated.
    """
    if not 0 < share < 1:
        raise ValueError(f"need a treated share within (0, 1), got {share}")
    fractions, limits = design.limits(total)
    upper = [up for up, _ in boundaries.crossing(fractions, limits, _drift(question, total, share))]
    return min(1.0, sum(upper))


def expected_units(design: Design, question: Question, total: float, share: float = 0.5) -> float:
    """Mean units until the test stops or reaches ``total``."""
    fractions, limits = design.limits(total)
    drift = _drift(question, total, share)
    stops = [up + low for up, low in boundaries.crossing(fractions, limits, drift)]
    early = sum(total * f * p for f, p in zip(fractions, stops, strict=True))
    return early + total * max(0.0, 1 - sum(stops))


def units_needed(
    design: Design, question: Question, *, wanted: float = 0.8, share: float = 0.5
) -> int:
    """Smallest total at which ``power`` reaches ``wanted``; raises ValueError beyond reason."""
    if not 0 < wanted < 1:
        raise ValueError(f"need a power within (0, 1), got {wanted}")
    fixed = _fixed_size(design.alpha, question, wanted, share)

    def missing(log_total: float) -> float:
        return wanted - power(design, question, math.exp(log_total), share)

    low, high = max(2.0, fixed / 2), max(4.0, fixed * 2)
    while high <= MOST_UNITS and missing(math.log(high)) > 0:
        low, high = high, high * 2
    if high > MOST_UNITS:
        raise ValueError(f"more than {MOST_UNITS:g} units for an effect of {question.effect:g}")
    while low > 2 and missing(math.log(low)) < 0:
        low, high = max(2.0, low / 4), low
    if missing(math.log(low)) < 0:
        return 2
    ends = math.log(low), math.log(high)
    return math.ceil(math.exp(numeric.optimize().brentq(missing, *ends, xtol=_PRECISION)))


def smallest_effect(
    design: Design,
    asked: Callable[[float], Question],
    total: float,
    *,
    most: float,
    wanted: float = 0.8,
    share: float = 0.5,
) -> float | None:
    """The size of the smallest effect that ``total`` units find with ``wanted`` power.

    ``asked`` gives the question for a size above 0 and below ``most``; None if none is found.
    """

    def missing(log_size: float) -> float:
        return wanted - power(design, asked(math.exp(log_size)), total, share)

    most *= 1 - 1e-9
    tiny = asked(min(most, 1.0) * 1e-9)
    guess = abs(tiny.effect) * math.sqrt(_fixed_size(design.alpha, tiny, wanted, share) / total)
    high = low = min(most, guess)
    while missing(math.log(high)) > 0:
        if high == most:
            return None
        low, high = high, min(most, 2 * high)
    while missing(math.log(low)) <= 0:
        low, high = low / 2, low
        if low < guess * _PRECISION:  # no more is wanted than the test finds of nothing
            return low
    ends = math.log(low), math.log(high)
    return math.exp(numeric.optimize().brentq(missing, *ends, xtol=_PRECISION))


def _fixed_size(alpha: float, question: Question, wanted: float, share: float) -> float:
    """What one look at the end needs, nearly: to begin to look from."""
    reach = float(numeric.special().ndtri(1 - alpha / 2) + numeric.special().ndtri(wanted))
    return (reach / _drift(question, 1.0, share)) ** 2


def _drift(question: Question, total: float, share: float) -> float:
    variance = question.control_variance / (1 - share) + question.treatment_variance / share
    return abs(question.effect) * math.sqrt(total / variance)
