"""Our numbers beside those of GrowthBook's engine, on samples drawn once and kept."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from learning.domain.statistics import bayesian, fixed, sequential, srm
from learning.domain.statistics.effects import Result, difference
from learning.domain.statistics.samples import (
    Adjusted,
    Clusters,
    Mean,
    Proportion,
    Quantile,
    Ratio,
    Sample,
    moments_of_pair,
)

REFERENCE = json.loads((Path(__file__).parent / "reference.json").read_text())
PRIORS = {
    "flat": (bayesian.Prior(), False),
    "proper": (bayesian.Prior(0.01, 0.09, True), False),
    "inverse": (bayesian.Prior(0, 0.25, True), True),
}


def part(given: dict[str, Any]) -> Proportion | Mean:
    return Proportion(**given) if "successes" in given else Mean(**given)


def sample(given: dict[str, Any]) -> Sample:
    if "numerator" in given:
        return Ratio(part(given["numerator"]), part(given["denominator"]), given["product"])
    if "outcome" in given:
        return Adjusted(part(given["outcome"]), part(given["covariate"]), given["product"])
    if "level" in given:
        clusters = given.get("clusters")
        return Quantile(**{**given, "clusters": Clusters(**clusters) if clusters else None})
    return part(given)


def ours(name: str, case: dict[str, Any]) -> Result:
    pair = moments_of_pair(sample(case["control"]), sample(case["treatment"]))
    found = difference(*pair, case["scale"])
    kind, _, rest = name.partition("_")
    if kind == "fixed":
        return fixed.compare(found, alpha=case["alpha"], alternative=rest)
    if kind == "sequential":
        return sequential.compare(found, alpha=case["alpha"], tuning=float(rest))
    prior, lower_is_better = PRIORS[rest]
    return bayesian.compare(
        found, scale=case["scale"], alpha=case["alpha"], prior=prior,
        lower_is_better=lower_is_better,
    )  # fmt: skip


@pytest.mark.parametrize("index", range(len(REFERENCE["cases"])))
def test_every_method_gives_growthbooks_numbers(index):
    case = REFERENCE["cases"][index]
    for name, wanted in case["results"].items():
        assert wanted["error"] is None
        got = ours(name, case)
        assert got.estimate == pytest.approx(wanted["expected"], rel=1e-9, abs=1e-12), name
        assert got.standard_error == pytest.approx(wanted["stddev"], rel=1e-9), name
        if name != "fixed_less":
            for end, theirs in zip((got.lower, got.upper), wanted["ci"], strict=True):
                assert (
                    math.isinf(end)
                    if theirs is None
                    else end == pytest.approx(theirs, rel=1e-9, abs=1e-12)
                )
        if "p_value" in wanted:
            assert got.p_value == pytest.approx(wanted["p_value"], rel=1e-7, abs=1e-12), name
        else:
            assert got.chance_to_win == pytest.approx(wanted["chance_to_win"], abs=1e-12), name
            assert list(got.risk) == pytest.approx(wanted["risk"], rel=1e-6, abs=1e-12), name


def test_a_one_sided_lesser_interval_holds_its_own_estimate():
    case = REFERENCE["cases"][0]
    got, theirs = ours("fixed_less", case), case["results"]["fixed_less"]
    assert got.lower == -math.inf and got.estimate < got.upper
    assert theirs["ci"][1] < theirs["expected"]  # the fault that we do not share
    assert got.upper - got.estimate == pytest.approx(theirs["expected"] - theirs["ci"][1])


@pytest.mark.parametrize("given", REFERENCE["srm"])
def test_chi_square_of_the_sample_ratio_is_growthbooks(given):
    found = srm.check([given["units"]], given["weights"])
    assert found.chi_square_p == pytest.approx(given["p"], rel=1e-9)


def test_an_arm_of_zero_weight_takes_no_degree_of_freedom():
    two, three = srm.check([[5000, 5300]], [1, 1]), srm.check([[5000, 0, 5300]], [1, 0, 1])
    assert three.chi_square_p == two.chi_square_p
