"""Two versions that answered the same recorded cases: McNemar's test and a paired bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Paired:
    """Candidate minus baseline over ``n`` cases, with its interval and two-sided p-value."""

    n: int
    estimate: float
    lower: float
    upper: float
    p_value: float


def mcnemar(gained: int, lost: int) -> float:
    """Exact two-sided p-value: ``gained`` cases only the candidate got right, ``lost`` only the
    baseline did. Source: McNemar, Psychometrika 12 (1947); exact binomial form.
    """
    if gained < 0 or lost < 0:
        raise ValueError(f"need counts of 0 or more, got {gained} and {lost}")
    return mcnemar_of_clusters([1] * gained + [-1] * lost)


def mcnemar_of_clusters(nets: Sequence[int]) -> float:
    """Exact two-sided p-value of McNemar's test where cases of one cluster hang together.

    ``nets`` holds cases gained minus cases lost of each cluster. Without a difference between the
    versions they could be exchanged in any cluster as a whole, so all signs are as likely. With
    clusters of one case this is McNemar's exact test; its variance is that of Obuchowski, Stat.
    Med. 17 (1998), whose normal approximation needs many clusters. Source of the exchange: Fisher,
    The Design of Experiments (1935), section 21.
    """
    chances = sign_flips(nets)
    reach = len(chances) // 2
    away = np.abs(np.arange(-reach, reach + 1))
    return float(min(1.0, chances[away >= abs(sum(nets))].sum()))


def sign_flips(nets: Sequence[int]) -> np.ndarray:
    """How likely each sum of ``nets`` with random signs is, from minus their total to plus."""
    found = np.ones(1)
    for size in (abs(net) for net in nets if net):
        steps = np.zeros(2 * size + 1)
        steps[0] = steps[-1] = 0.5
        found = np.convolve(found, steps)
    return found


def bootstrap(
    baseline: Sequence[float],
    candidate: Sequence[float],
    *,
    rng: np.random.Generator,
    alpha: float = 0.05,
    draws: int = 4000,
    clusters: Sequence[str] | None = None,
) -> Paired:
    """Percentile interval of the mean difference, cases (or whole ``clusters``) resampled.

    The p-value is twice the smaller share of draws on one side of zero, never under 1 / draws.
    Raises ValueError without cases or for sequences of different length.
    """
    if len(baseline) != len(candidate) or not baseline:
        raise ValueError(f"need as many cases in both, got {len(baseline)} and {len(candidate)}")
    gaps = np.asarray(candidate, float) - np.asarray(baseline, float)
    names = clusters if clusters is not None else [str(i) for i in range(len(gaps))]
    _, place = np.unique(np.asarray(names), return_inverse=True)
    sums, counts = np.bincount(place, weights=gaps), np.bincount(place)
    picks = rng.integers(0, len(sums), size=(draws, len(sums)))
    means = sums[picks].sum(axis=1) / counts[picks].sum(axis=1)
    lower, upper = np.quantile(means, [alpha / 2, 1 - alpha / 2])
    share = min(float((means <= 0).mean()), float((means >= 0).mean()))
    p_value = min(1.0, max(2 * share, 1 / draws))
    return Paired(len(gaps), float(gaps.mean()), float(lower), float(upper), p_value)
