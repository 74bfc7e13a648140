"""Error rates by simulation, each with the tolerance that its number of runs allows."""

from __future__ import annotations

import numpy as np
import pytest

from learning.domain.statistics import bayesian, fixed, sequential
from learning.domain.statistics.effects import difference
from learning.domain.statistics.samples import Mean, Proportion, moments_of_pair

LOOKS = 10


def daily(rng, rates, per_day):
    """Cumulative proportions of both arms after each of LOOKS days."""
    counts = [rng.binomial(per_day, rate, LOOKS).cumsum() for rate in rates]
    return [
        moments_of_pair(*(Proportion(per_day * (day + 1), int(c[day])) for c in counts))
        for day in range(LOOKS)
    ]


def rates_of_error(runs, rates, per_day=200):
    rng = np.random.default_rng(20261120)
    rejected = dict.fromkeys(("sequential", "naive", "bayesian"), 0)
    covered = 0
    for _ in range(runs):
        found = [difference(*pair, "absolute") for pair in daily(rng, rates, per_day)]
        results = [sequential.compare(f) for f in found]
        covered += all(r.lower <= rates[1] - rates[0] <= r.upper for r in results)
        rejected["sequential"] += any(r.p_value < 0.05 for r in results)
        rejected["naive"] += any(fixed.compare(f, normal=True).p_value < 0.05 for f in found)
        chances = [bayesian.compare(f, scale="absolute").chance_to_win for f in found]
        rejected["bayesian"] += any(not 0.05 < c < 0.95 for c in chances)
    return {name: count / runs for name, count in rejected.items()}, covered / runs


def test_ten_looks_cost_the_default_test_nothing_and_the_naive_ones_much():
    rates, covered = rates_of_error(300, (0.5, 0.5))
    assert rates["sequential"] <= 0.03
    assert rates["naive"] > 0.1 and rates["bayesian"] > 0.2
    assert covered >= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("rates", [(0.5, 0.5), (0.9, 0.9), (0.3, 0.4)])
def test_false_positives_and_coverage_hold_over_many_runs(rates):
    found, covered = rates_of_error(4000, rates)
    assert covered >= 0.95
    if rates[0] == rates[1]:
        assert found["sequential"] <= 0.05
        assert found["naive"] == pytest.approx(0.193, abs=0.025)
        assert found["bayesian"] == pytest.approx(0.34, abs=0.05)


@pytest.mark.slow
def test_skewed_values_keep_the_default_tests_error():
    rng = np.random.default_rng(4)
    rejected = 0
    for _ in range(2000):
        draws = [rng.lognormal(0, 1.2, (LOOKS, 150)) for _ in range(2)]
        found = []
        for day in range(LOOKS):
            arms = [d[: day + 1].ravel() for d in draws]
            pair = moments_of_pair(
                *(Mean(len(a), float(a.sum()), float((a**2).sum())) for a in arms)
            )
            found.append(sequential.compare(difference(*pair, "relative")))
        rejected += any(r.p_value < 0.05 for r in found)
    assert rejected / 2000 <= 0.05
