"""The statistics of one metric in one arm, under our names or GrowthBook's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from config.errors import InvalidInput
from learning.domain.analysis import values
from learning.domain.analysis.study import Metric
from learning.domain.analysis.values import join
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
        products = values.number(given, COVARIATE_PRODUCT, path)
        _check_products(outcome, covariate, products, join(path, COVARIATE_PRODUCT[0]))
        return Adjusted(outcome, covariate, products)
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
        return Proportion(n, values.count(given, sums, path))
    return Mean(n, values.number(given, sums, path), values.number(given, squares, path, least=0))


def _ratio(metric: Metric, given: Mapping[str, Any], path: str) -> Ratio:
    n = values.count(given, N, path)
    above = _part(metric.numerator, n, NUMERATOR_SUM, NUMERATOR_SQUARES, given, path)
    below = _part(metric.denominator, n, DENOMINATOR_SUM, DENOMINATOR_SQUARES, given, path)
    products = values.number(given, RATIO_PRODUCT, path)
    _check_products(above, below, products, join(path, RATIO_PRODUCT[0]))
    return Ratio(above, below, products)


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
        _check_clusters(clusters, path)
    return Quantile(
        n,
        metric.quantile or 0.5,
        values.number(given, QUANTILE_VALUE, path),
        values.number(given, QUANTILE_LOWER, path),
        values.number(given, QUANTILE_UPPER, path),
        values.count(given, QUANTILE_N_STAR, path, default=n),
        clusters,
    )


def _check_products(
    one: Proportion | Mean, other: Proportion | Mean, products: float, field: str
) -> None:
    """Refuse a sum of products that no values with these sums can have (Cauchy and Schwarz).

    It would make up a correlation, and with it any variance.
    """
    if one.n < 2:
        return
    middle = one.sum * other.sum / one.n
    reach = math.sqrt(_spread(one)) * math.sqrt(_spread(other))
    # What rounding of the sums may have added.
    slack = 1e-6 * reach + 1e-9 * math.sqrt(_squares(one)) * math.sqrt(_squares(other))
    if abs(products - middle) > reach + slack:
        raise InvalidInput(
            field, products, f"from {middle - reach:.6g} to {middle + reach:.6g} for these sums"
        )


def _squares(part: Proportion | Mean) -> float:
    return part.sum if isinstance(part, Proportion) else part.sum_squares


def _spread(part: Proportion | Mean) -> float:
    """The sum of squared differences from the mean."""
    return max(_squares(part) - part.sum * part.sum / part.n, 0.0)


def _check_clusters(found: Clusters, path: str) -> None:
    """Refuse counts that no clusters can have."""
    if not 0 <= found.below_sum <= found.events_sum:
        raise InvalidInput(
            join(path, "below_sum"), found.below_sum, f"from 0 to events_sum, {found.events_sum:g}"
        )
    below = Mean(found.n, found.below_sum, found.below_sum_squares)
    events = Mean(found.n, found.events_sum, found.events_sum_squares)
    _check_products(below, events, found.sum_products, join(path, RATIO_PRODUCT[0]))


def _brief(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in list(given.items())[:6])
