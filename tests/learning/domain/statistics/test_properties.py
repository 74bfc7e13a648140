"""Random inputs through the analysis, beside SciPy and statsmodels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from learning.analysis import analyse
from learning.domain.statistics import multiplicity, paired, srm
from learning.domain.statistics.intervals import clopper_pearson

RARE = settings(max_examples=25, deadline=None, derandomize=True)


@dataclass(frozen=True)
class Drawn:
    """Two arms of raw values, and how they are compared."""

    control: np.ndarray
    treatment: np.ndarray
    alpha: float


@st.composite
def drawn(draw: Any) -> Drawn:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = draw(st.tuples(st.integers(5, 400), st.integers(5, 400)))
    level, spread, shift = (
        draw(st.floats(0.5, 50)), draw(st.floats(0.1, 5)), draw(st.floats(-0.5, 0.5))
    )  # fmt: skip
    skew = draw(st.booleans())
    arms = [
        rng.lognormal(math.log(level), 0.8, n) if skew else rng.normal(level, spread, n)
        for n in sizes
    ]
    return Drawn(arms[0], arms[1] * (1 + shift), draw(st.sampled_from([0.01, 0.05, 0.1])))


def sums(values: np.ndarray) -> dict[str, float]:
    return {"n": len(values), "sum": float(values.sum()), "sum_squares": float((values**2).sum())}


def compared(kind: str, control: Any, treatment: Any, metric: str = "mean", **test: Any) -> Any:
    """The primary comparison of the verdict document, through the door that users have."""
    found = analyse(
        {
            "experiment": {
                "metrics": [{"key": "m", "type": metric}], "test": {"kind": kind, **test},
                "complete": True,
            },
            "arms": [{"key": "control", "metrics": {"m": control}},
                     {"key": "b", "metrics": {"m": treatment}}],
        }
    )  # fmt: skip
    return found["metrics"][0]["comparisons"][0]


@RARE
@given(drawn())
def test_a_test_for_one_look_is_scipys_welch_test(case):
    theirs = stats.ttest_ind(case.treatment, case.control, equal_var=False)
    interval = theirs.confidence_interval(1 - case.alpha)
    ours = compared("fixed", sums(case.control), sums(case.treatment),
                    alpha=case.alpha, difference_type="absolute")  # fmt: skip
    assert ours["p_value"] == pytest.approx(theirs.pvalue, rel=1e-5, abs=1e-12)
    assert (ours["lower"], ours["upper"]) == pytest.approx((interval.low, interval.high), rel=1e-5)


@RARE
@given(drawn(), st.sampled_from(["greater", "less"]))
def test_one_sided_tests_are_scipys(case, side):
    theirs = stats.ttest_ind(case.treatment, case.control, equal_var=False, alternative=side)
    ours = compared("fixed", sums(case.control), sums(case.treatment), alternative=side,
                    difference_type="absolute")  # fmt: skip
    assert ours["p_value"] == pytest.approx(theirs.pvalue, rel=1e-5, abs=1e-12)
    interval = theirs.confidence_interval(0.95)
    bound, wanted = (
        (ours["lower"], interval.low) if side == "greater" else (ours["upper"], interval.high)
    )
    assert bound == pytest.approx(wanted, rel=1e-5)


@RARE
@given(drawn())
def test_the_normal_test_is_that_of_statsmodels(case):
    means = CompareMeans(DescrStatsW(case.treatment), DescrStatsW(case.control))
    _, p_value = means.ztest_ind(usevar="unequal")
    interval = means.zconfint_diff(alpha=case.alpha, usevar="unequal")
    ours = compared("fixed", sums(case.control), sums(case.treatment), alpha=case.alpha,
                    difference_type="absolute", normal=True)  # fmt: skip
    assert ours["p_value"] == pytest.approx(p_value, rel=1e-5, abs=1e-12)
    assert (ours["lower"], ours["upper"]) == pytest.approx(interval, rel=1e-5)


@RARE
@given(st.integers(0, 2**32 - 1), st.integers(8, 120))
def test_a_ratio_over_units_has_the_cluster_robust_error_of_a_regression(seed, units):
    """Mean of events, units with several events each: statsmodels clusters on the unit."""
    rng = np.random.default_rng(seed)
    rows, arms = [], []
    for arm in (0, 1):
        own = rng.normal(3 + arm / 3, 1, units)
        counts = rng.integers(1, 8, units)
        events = [rng.normal(own[i], 0.7, counts[i]) for i in range(units)]
        above, below = np.array([e.sum() for e in events]), counts.astype(float)
        arms.append({
            "n": units, "numerator_sum": float(above.sum()),
            "numerator_sum_squares": float((above**2).sum()),
            "denominator_sum": float(below.sum()),
            "denominator_sum_squares": float((below**2).sum()),
            "numerator_denominator_sum_product": float((above * below).sum()),
        })  # fmt: skip
        rows.append((np.concatenate(events), np.repeat(np.arange(units), counts)))
    variances, means = [], []
    for values, groups in rows:
        fit = OLS(values, np.ones(len(values))).fit(
            cov_type="cluster", cov_kwds={"groups": groups, "use_correction": True}
        )
        means.append(float(fit.params[0]))
        variances.append(float(fit.bse[0] ** 2))
    ours = compared("fixed", arms[0], arms[1], "ratio", difference_type="absolute")
    assert ours["estimate"] == pytest.approx(means[1] - means[0], rel=1e-9, abs=1e-12)
    assert ours["standard_error"] == pytest.approx(math.sqrt(sum(variances)), rel=1e-6)


@RARE
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_corrections_are_those_of_statsmodels(p_values):
    for ours, name in ((multiplicity.holm, "holm"), (multiplicity.benjamini_hochberg, "fdr_bh")):
        theirs = multipletests(p_values, method=name)[1]
        assert ours(p_values) == pytest.approx(list(theirs), abs=1e-12)


@RARE
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_counted_rates_have_the_exact_bounds_of_statsmodels(counted):
    assert clopper_pearson(*counted) == pytest.approx(
        proportion_confint(*counted, method="beta"), abs=1e-9
    )


@RARE
@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from([0, 1, 2, 5])), min_size=2,
                max_size=6).filter(lambda arms: sum(w > 0 for _, w in arms) > 1))  # fmt: skip
def test_the_sample_ratio_is_scipys_chi_square_and_a_stray_unit_always_a_mismatch(arms):
    units, weights = zip(*arms, strict=True)
    found = srm.check([units], weights)
    live = [(n, w) for n, w in arms if w > 0]
    total, share = sum(n for n, _ in live), sum(w for _, w in live)
    if total:
        theirs = stats.chisquare([n for n, _ in live], [total * w / share for _, w in live])
        assert found.chi_square_p == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-300)
    assert found.stray == sum(n for n, w in arms if w == 0)
    if found.stray:
        assert found.mismatch


@RARE
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=200))
def test_pairs_are_compared_as_by_statsmodels(pairs):
    gained = sum(after and not before for before, after in pairs)
    lost = sum(before and not after for before, after in pairs)
    table = [
        [sum(b and a for b, a in pairs), lost],
        [gained, sum(not b and not a for b, a in pairs)],
    ]
    assert paired.mcnemar(gained, lost) == pytest.approx(mcnemar(table, exact=True).pvalue)
