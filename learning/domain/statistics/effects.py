"""The difference between two arms, absolute or relative, and stages combined without pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from learning.domain.statistics.samples import STEADY, TOO_SELDOM, UNMEASURED, Moments

Scale = Literal["relative", "absolute"]
Alternative = Literal["two_sided", "greater", "less"]
Pair = tuple[Moments, Moments]


@dataclass(frozen=True, slots=True)
class Difference:
    """``estimate`` of treatment minus control (relative: a ratio of control's raw mean).

    ``variance`` is the estimate's own; ``dof`` are Welch's degrees of freedom.
    """

    estimate: float
    variance: float
    n: int
    dof: float
    control: Moments
    treatment: Moments

    @property
    def standard_error(self) -> float:
        return math.sqrt(self.variance)


@dataclass(frozen=True, slots=True)
class Result:
    """What a test says: the interval at ``1 - alpha`` (infinite ends if one-sided), the p-value.

    A Bayesian result has no p-value, but the chance to win and the risk of each choice.
    """

    estimate: float
    standard_error: float
    lower: float
    upper: float
    p_value: float | None
    chance_to_win: float | None = None
    risk: tuple[float, float] | None = None
    critical_z: float | None = None


def difference(control: Moments, treatment: Moments, scale: Scale) -> Difference:
    """Treatment against control; raises ValueError where it can't be told.

    Relative: the delta method for a ratio of independent means.
    """
    _readable(control, treatment)
    a, b = control.variance / control.n, treatment.variance / treatment.n
    estimate, variance = treatment.mean - control.mean, a + b
    if scale == "relative":
        base = control.raw_mean
        if base == 0 or control.mean == 0:
            raise ValueError("control's mean is zero, so there is no relative difference")
        estimate /= base
        times = treatment.raw_mean / base
        variance = b / base / base + a / base * times / base * times
    return _told(estimate, variance, control, treatment, _dof(control, treatment, a, b))


def beyond(control: Moments, treatment: Moments, share: float) -> Difference:
    """What treatment has above control and ``share`` of control's size; raises ValueError.

    The question whether a relative difference is ``share``, asked without dividing. The delta
    method divides by a mean that is not known: of few events its error is too small wherever
    treatment happens to be low, and harm is found by chance. Source: Fieller, JRSS B 16 (1954).
    """
    _readable(control, treatment)
    times = 1 + math.copysign(share, share * control.raw_mean)
    a, b = times * times * control.variance / control.n, treatment.variance / treatment.n
    estimate = treatment.mean - control.mean - share * abs(control.raw_mean)
    return _told(estimate, a + b, control, treatment, _dof(control, treatment, a, b))


def _told(
    estimate: float, variance: float, control: Moments, treatment: Moments, dof: float
) -> Difference:
    if not (math.isfinite(estimate) and 0 < variance < math.inf):
        raise ValueError("control's mean is too near to zero for a difference of this size")
    return Difference(estimate, variance, control.n + treatment.n, dof, control, treatment)


def _dof(control: Moments, treatment: Moments, a: float, b: float) -> float:
    """Welch's; as shares of the sum, so that tiny and huge variances have them too."""
    own, other = a / (a + b), b / (a + b)
    return 1 / (own * own / (control.n - 1) + other * other / (treatment.n - 1))


def _readable(control: Moments, treatment: Moments) -> None:
    barred = [pair for pair in (("control", control), ("treatment", treatment))
              if not pair[1].readable]  # fmt: skip
    # That an arm does not vary says less than what the other one lacks.
    for name, arm in sorted(barred, key=lambda pair: pair[1].note == STEADY):
        raise ValueError(f"{name}: {arm.note or 'too few units'}")


def combine(stages: Sequence[Pair]) -> Pair:
    """Both arms over all stages, each stage compared within itself.

    A stage weighs ``n_a n_b / (n_a + n_b)`` (Cochran, Mantel and Haenszel), which no outcome
    decides. Stages in which an arm has no units carry no comparison and are left out, as are those
    in which nothing was measured beside others in which something was; raises ValueError if none
    is left.
    """
    whole = measured([(a, b) for a, b in stages if a.n > 0 and b.n > 0])
    if not whole:
        raise ValueError("no stage has units in both arms")
    if len(whole) == 1:
        return whole[0]
    raw = [a.n * b.n / (a.n + b.n) for a, b in whole]
    weights = [weight / sum(raw) for weight in raw]
    return (
        _weighted([a for a, _ in whole], weights),
        _weighted([b for _, b in whole], weights),
    )


def measured(stages: Sequence[Pair]) -> list[Pair]:
    """The stages in which both arms were measured; all of them if there is none."""
    bars = (UNMEASURED, TOO_SELDOM)
    found = [pair for pair in stages if all(arm.note not in bars for arm in pair)]
    return found or list(stages)


def _weighted(parts: Sequence[Moments], weights: Sequence[float]) -> Moments:
    n = sum(part.n for part in parts)
    own = sum(w * w * p.variance / p.n for w, p in zip(weights, parts, strict=True))
    notes = {part.note for part in parts if part.note and part.note != STEADY}
    if own <= 0:
        notes.add(STEADY)
    return Moments(
        n,
        sum(w * p.mean for w, p in zip(weights, parts, strict=True)),
        sum(w * p.raw_mean for w, p in zip(weights, parts, strict=True)),
        own * n,
        "; ".join(sorted(notes)),
    )
