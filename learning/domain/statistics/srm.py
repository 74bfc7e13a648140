"""Sample ratio mismatch: were units assigned in the shares that were meant?

Two readings: a Bayes factor that may be looked at daily (Lindon and Malek, "Anytime-valid
inference for multinomial count data", NeurIPS 2022), and chi-square for one look. Arms of zero
weight take no part in either, where GrowthBook's chi-square counts them in its degrees of freedom;
but a unit in such an arm can't be, so a single one is a mismatch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from learning.domain import numeric

# Concentrations of the Dirichlet alternatives: gross, middling and slight mismatches. Their
# average is a Bayes factor too.
CONCENTRATIONS = (100.0, 1_000.0, 10_000.0)
# A mismatch is called at these; together they call one falsely in under 2 % of 30 daily looks.
LEVEL = 0.01
SINGLE_LOOK_LEVEL = 0.001


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """``sequential_p`` is 1 over the Bayes factor of now; ``units`` as counted last.

    The bound on false alarms holds for the largest factor of all looks, so for that of now too, and
    a chance alarm heals as units come. ``lasts`` says that it stood at the look before as well.

    ``stray`` are units in arms of zero weight: no shares that were meant give even one. Where it
    is ``watched``, somebody looks at it all the time, and chi-square, which is for one look,
    decides nothing. ``readings`` is how many stages are read beside one another, each of which may
    err.
    """

    units: tuple[int, ...]
    expected: tuple[float, ...]
    chi_square_p: float
    bayes_factor: float
    sequential_p: float
    stray: int = 0
    watched: bool = False
    readings: int = 1
    before_p: float = 1.0

    @property
    def lasts(self) -> bool:
        """Whether it is no mismatch of this look alone."""
        return self.mismatch and (self.stray > 0 or self.before_p < LEVEL / self.readings)

    @property
    def mismatch(self) -> bool:
        """Whether nothing else of the experiment may be read."""
        if self.stray > 0 or self.sequential_p < LEVEL / self.readings:
            return True
        return not self.watched and self.chi_square_p < SINGLE_LOOK_LEVEL


def check(
    looks: Sequence[Sequence[int]],
    weights: Sequence[float],
    *,
    watched: bool = False,
    readings: int = 1,
) -> SampleRatio:
    """``looks`` are cumulative counts per arm in order of time; ``weights`` what was meant.

    Raises ValueError for weights that are negative or all zero, and for counts that shrink.
    """
    if any(weight < 0 for weight in weights) or sum(weights) <= 0:
        raise ValueError(f"need weights of 0 or more and one above, got {list(weights)}")
    live = [index for index, weight in enumerate(weights) if weight > 0]
    total = sum(weights[index] for index in live)
    shares = [weights[index] / total for index in live]
    counts = [tuple(int(look[index]) for index in live) for look in looks]
    stray = int(sum(looks[-1])) - sum(counts[-1]) if looks else 0
    for earlier, later in pairwise(counts):
        if any(b > a for b, a in zip(earlier, later, strict=True)):
            raise ValueError(f"cumulative counts shrink from {earlier} to {later}")
    last = counts[-1] if counts else tuple(0 for _ in live)
    # Of now and of the look before; no other one decides anything.
    before, now = [0.0, 0.0, *(log_bayes_factor(look, shares) for look in counts[-2:])][-2:]
    expected = tuple(sum(last) * share for share in shares)
    return SampleRatio(
        last,
        expected,
        chi_square_p(last, shares),
        math.exp(min(now, 700.0)),
        math.exp(-max(0.0, now)),
        stray,
        watched,
        readings,
        math.exp(-max(0.0, before)),
    )


def log_bayes_factor(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Log evidence for other shares against ``shares``, averaged over the concentrations."""
    if len(counts) < 2:
        return 0.0
    fitted = sum(n * math.log(share) for n, share in zip(counts, shares, strict=True))
    terms = [_log_dirichlet(counts, shares, c) - fitted for c in CONCENTRATIONS]
    top = max(terms)
    return top + math.log(sum(math.exp(term - top) for term in terms) / len(terms))


def _log_dirichlet(counts: Sequence[int], shares: Sequence[float], concentration: float) -> float:
    parts = sum(
        float(
            numeric.special().gammaln(concentration * share + n)
            - numeric.special().gammaln(concentration * share)
        )
        for n, share in zip(counts, shares, strict=True)
    )
    return parts + float(
        numeric.special().gammaln(concentration)
        - numeric.special().gammaln(concentration + sum(counts))
    )


def chi_square_p(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Pearson's goodness-of-fit p-value; 1 without units."""
    total = sum(counts)
    if not total or len(counts) < 2:
        return 1.0
    statistic = sum((n - total * s) ** 2 / (total * s) for n, s in zip(counts, shares, strict=True))
    return float(numeric.stats().chi2.sf(statistic, len(counts) - 1))
