"""Runs in an environment of its own: cases as JSON on stdin, gbstats' results as JSON on stdout."""

import json
import sys
from dataclasses import asdict

from gbstats.bayesian.tests import EffectBayesianABTest, EffectBayesianConfig, GaussianPrior
from gbstats.frequentist.tests import (
    FrequentistConfig,
    OneSidedTreatmentGreaterTTest,
    OneSidedTreatmentLesserTTest,
    SequentialConfig,
    SequentialTwoSidedTTest,
    TwoSidedTTest,
)
from gbstats.models.statistics import (
    ProportionStatistic,
    QuantileClusteredStatistic,
    QuantileStatistic,
    RatioStatistic,
    RegressionAdjustedStatistic,
    SampleMeanStatistic,
)
from gbstats.utils import check_srm

FIXED = {"two_sided": TwoSidedTTest, "greater": OneSidedTreatmentGreaterTTest,
         "less": OneSidedTreatmentLesserTTest}  # fmt: skip


def part(arm, name=""):
    """A mean, or a proportion where there are no squares."""
    total = arm["successes"] if not name and "successes" in arm else arm[f"{name}sum"]
    if f"{name}sum_squares" in arm:
        return SampleMeanStatistic(n=arm["n"], sum=total, sum_squares=arm[f"{name}sum_squares"])
    return ProportionStatistic(n=arm["n"], sum=total)


def statistic(arm, level):
    if "value" in arm:
        values = {"n": arm["n"], "n_star": arm["n_star"], "nu": level, "quantile_hat": arm["value"],
                  "quantile_lower": arm["lower"], "quantile_upper": arm["upper"]}  # fmt: skip
        if "n_clusters" not in arm:
            return QuantileStatistic(**values)
        return QuantileClusteredStatistic(
            **values, n_clusters=arm["n_clusters"], main_sum=arm["below_sum"],
            main_sum_squares=arm["below_sum_squares"], denominator_sum=arm["events_sum"],
            denominator_sum_squares=arm["events_sum_squares"],
            main_denominator_sum_product=arm["sum_products"],
        )  # fmt: skip
    if "numerator_sum" in arm:
        parts = {"m_statistic": part(arm, "numerator_"), "d_statistic": part(arm, "denominator_")}
        products = arm["numerator_denominator_sum_product"]
        return RatioStatistic(n=arm["n"], m_d_sum_of_products=products, **parts)
    if "covariate_sum" in arm:
        return RegressionAdjustedStatistic(
            n=arm["n"], post_statistic=part(arm), pre_statistic=part(arm, "covariate_"),
            post_pre_sum_of_products=arm["covariate_sum_product"], theta=0,
        )  # fmt: skip
    return part(arm)


def result(case):
    if "units" in case:
        return {"p_value": check_srm(case["units"], case["weights"])}
    told = {"difference_type": case["scale"], "alpha": case["alpha"]}
    if case["kind"] == "bayesian":
        prior = case["prior"]
        config = EffectBayesianConfig(
            **told, inverse=case["inverse"], prior_type=prior["type"],
            prior_effect=GaussianPrior(prior["mean"], prior["variance"], prior["proper"]),
        )  # fmt: skip
        test = EffectBayesianABTest
    elif case["kind"] == "sequential":
        config = SequentialConfig(**told, sequential_tuning_parameter=case["tuning"])
        test = SequentialTwoSidedTTest
    else:
        config, test = FrequentistConfig(**told), FIXED[case["alternative"]]
    arms = [statistic(case[name], case.get("quantile")) for name in ("control", "treatment")]
    found = asdict(test(*arms, config).compute_result())
    kept = ("expected", "ci", "p_value", "chance_to_win", "risk", "error_message")
    return {key: found.get(key) for key in kept} | {"stddev": found["uplift"]["stddev"]}


json.dump([result(case) for case in json.load(sys.stdin)], sys.stdout, default=float)
