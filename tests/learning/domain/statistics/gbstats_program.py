"""Runs in an environment of its own: cases as JSON on stdin, gbstats' results as JSON on stdout."""

import json
import sys
from dataclasses import asdict

from gbstats.bayesian.tests import EffectBayesianABTest, EffectBayesianConfig
from gbstats.frequentist.tests import (
    FrequentistConfig,
    SequentialConfig,
    SequentialTwoSidedTTest,
    TwoSidedTTest,
)
from gbstats.models.statistics import RatioStatistic, SampleMeanStatistic

TESTS = {
    "fixed": (TwoSidedTTest, FrequentistConfig),
    "sequential": (SequentialTwoSidedTTest, SequentialConfig),
    "bayesian": (EffectBayesianABTest, EffectBayesianConfig),
}


def statistic(arm):
    if "numerator_sum" not in arm:
        return SampleMeanStatistic(**arm)
    parts = [
        SampleMeanStatistic(n=arm["n"], sum=arm[f"{part}_sum"],
                            sum_squares=arm[f"{part}_sum_squares"])
        for part in ("numerator", "denominator")
    ]  # fmt: skip
    product = arm["numerator_denominator_sum_product"]
    return RatioStatistic(n=arm["n"], m_statistic=parts[0], d_statistic=parts[1],
                          m_d_sum_of_products=product)  # fmt: skip


def result(case):
    test, config = TESTS[case["kind"]]
    told = config(difference_type=case["scale"], alpha=case["alpha"])
    found = asdict(test(statistic(case["control"]), statistic(case["treatment"]), told)
                   .compute_result())  # fmt: skip
    return {key: found.get(key) for key in ("expected", "ci", "p_value", "chance_to_win")}


json.dump([result(case) for case in json.load(sys.stdin)], sys.stdout, default=float)
