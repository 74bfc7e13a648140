"""Error rates by simulation, each with the tolerance that its number of runs allows."""

from __future__ import annotations

import numpy as np
import pytest

from learning.domain.replaying import Scored, Verdict, compare
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


def runs_of_calls(rng, runs, sizes, likeness):
    """Calls of ``runs`` as cases: both versions are right as often, but a run's calls are alike."""
    found = []
    for run in range(runs):
        size = int(rng.choice(sizes))
        spread = (1 - likeness) / likeness
        rates = rng.beta(0.7 * spread, 0.3 * spread, 2)
        right = [(rng.random(size) < rate).astype(float) for rate in rates]
        found += [Scored(b, c, f"run {run}") for b, c in zip(*right, strict=True)]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [[1], [4, 13], [1, 1, 1, 20]])
def test_calls_of_one_run_condemn_or_praise_an_equal_version_no_more_often(sizes):
    rng = np.random.default_rng(9)
    told, naive = [], []
    for _ in range(800):
        cases = runs_of_calls(rng, 20, sizes, 0.3)
        told.append(compare(cases, rng=rng).verdict)
        alone = [Scored(one.baseline, one.candidate) for one in cases]
        naive.append(compare(alone, rng=rng).verdict)
    for verdict in (Verdict.WORSE, Verdict.BETTER):
        assert told.count(verdict) / 800 <= 0.065  # of 0.025 promised by many runs
        if len(set(sizes)) > 1:
            assert naive.count(verdict) / 800 > 0.1
