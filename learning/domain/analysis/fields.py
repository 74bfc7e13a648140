"""The statistics of one metric in one arm, under our names or GrowthBook's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from config.errors import InvalidInput
from learning.domain.analysis import values
from learning.domain.analysis.study import Metric
from learning.domain.statistics.samples import (
    Adjusted,
    Clusters,
    Mean,
    Proportion,
    Quantile,
    Ratio,
    Sample,
)

# The first name is ours, which errors use; the others are accepted too.
N = ("n", "users", "units", "count", "trials")
SUCCESSES = ("successes", "sum", "main_sum", "conversions")
SUM = ("sum", "main_sum")
SUM_SQUARES = ("sum_squares", "main_sum_squares", "sum_of_squares")
NUMERATOR_SUM = ("numerator_sum", "main_sum", "sum")
NUMERATOR_SQUARES = ("numerator_sum_squares", "main_sum_squares", "sum_squares")
DENOMINATOR_SUM = ("denominator_sum",)
DENOMINATOR_SQUARES = ("denominator_sum_squares",)
RATIO_PRODUCT = (
    "numerator_denominator_sum_product",
    "main_denominator_sum_product",
    "m_d_sum_of_products",
    "sum_products",
)
COVARIATE_SUM = ("covariate_sum", "pre_sum")
COVARIATE_SQUARES = ("covariate_sum_squares", "pre_sum_squares")
COVARIATE_PRODUCT = (
    "covariate_sum_product",
    "main_covariate_sum_product",
    "post_pre_sum_of_products",
    "outcome_covariate_sum_product",
)
COVARIATE = (*COVARIATE_SUM, *COVARIATE_SQUARES, *COVARIATE_PRODUCT)
QUANTILE_N = ("n", "quantile_n")
QUANTILE_N_STAR = ("n_star", "quantile_nstar")
QUANTILE_VALUE = ("value", "quantile", "quantile_hat")
QUANTILE_LOWER = ("lower", "quantile_lower")
QUANTILE_UPPER = ("upper", "quantile_upper")
CLUSTERS_N = ("n_clusters", "clusters", "users")


def read(metric: Metric, given: Mapping[str, Any], path: str) -> Sample:
    """The sample; raises InvalidInput naming what is missing or impossible."""
    try:
        if metric.type == "ratio":
            return _ratio(metric, given, path)
        if metric.type == "quantile":
            return _quantile(metric, given, path)
        outcome = _outcome(metric, given, path)
        if values.find(given, COVARIATE) is values.MISSING:
            return outcome
        covariate = _part(
            metric.covariate, outcome.n, COVARIATE_SUM, COVARIATE_SQUARES, given, path
        )
        return Adjusted(outcome, covariate, values.number(given, COVARIATE_PRODUCT, path))
    except ValueError as error:
        raise InvalidInput(path, _brief(given), str(error)) from error


def units(metric: Metric, sample: Sample) -> int:
    """Assigned units behind a sample; 0 if a quantile of events does not say."""
    if isinstance(sample, Quantile):
        return sample.clusters.n if sample.clusters else sample.n
    return sample.n


def _outcome(metric: Metric, given: Mapping[str, Any], path: str) -> Proportion | Mean:
    n = values.count(given, N, path)
    if metric.type == "proportion":
        return _part("proportion", n, SUCCESSES, SUM_SQUARES, given, path)
    if metric.type == "count" and values.find(given, SUM_SQUARES) is values.MISSING:
        # Without squares a count is taken for Poisson: its variance is its mean.
        total = values.number(given, SUM, path, least=0)
        return Mean(n, total, total * total / n + total * (n - 1) / n if n else 0.0)
    return _part("mean", n, SUM, SUM_SQUARES, given, path)


def _part(
    kind: Literal["mean", "proportion"],
    n: int,
    sums: tuple[str, ...],
    squares: tuple[str, ...],
    given: Mapping[str, Any],
    path: str,
) -> Proportion | Mean:
    if kind == "proportion":
        return Proportion(n, values.number(given, sums, path, least=0))
    return Mean(n, values.number(given, sums, path), values.number(given, squares, path, least=0))


def _ratio(metric: Metric, given: Mapping[str, Any], path: str) -> Ratio:
    n = values.count(given, N, path)
    above = _part(metric.numerator, n, NUMERATOR_SUM, NUMERATOR_SQUARES, given, path)
    below = _part(metric.denominator, n, DENOMINATOR_SUM, DENOMINATOR_SQUARES, given, path)
    return Ratio(above, below, values.number(given, RATIO_PRODUCT, path))


def _quantile(metric: Metric, given: Mapping[str, Any], path: str) -> Quantile:
    n = values.count(given, QUANTILE_N, path)
    clusters = None
    if values.find(given, RATIO_PRODUCT) is not values.MISSING:
        clusters = Clusters(
            values.count(given, CLUSTERS_N, path),
            values.number(given, ("below_sum", *SUM), path),
            values.number(given, ("below_sum_squares", *SUM_SQUARES), path),
            values.number(given, ("events_sum", *DENOMINATOR_SUM), path),
            values.number(given, ("events_sum_squares", *DENOMINATOR_SQUARES), path),
            values.number(given, RATIO_PRODUCT, path),
        )
    return Quantile(
        n,
        metric.quantile or 0.5,
        values.number(given, QUANTILE_VALUE, path),
        values.number(given, QUANTILE_LOWER, path),
        values.number(given, QUANTILE_UPPER, path),
        values.count(given, QUANTILE_N_STAR, path, default=n),
        clusters,
    )


def _brief(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in list(given.items())[:6])
