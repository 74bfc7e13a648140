"""Statistics that are odd, extreme or impossible: a refusal by field, or a sound answer."""

from __future__ import annotations

import itertools
import json
import math
import random

import pytest

from config.errors import InvalidInput
from learning.analysis import analyse, plan
from learning.domain.statistics import group_sequential

KINDS = ("sequential", "fixed", "group_sequential", "bayesian", "bandit")


def given(control, treatment, metric="mean", *, arms=(), **experiment):
    rows = [("control", control), ("b", treatment), *arms]
    return {
        "experiment": {"metrics": [{"key": "m", "type": metric}], "planned_units": 1000,
                       "complete": True, **experiment},
        "arms": [{"key": key, "metrics": {"m": dict(row)}} for key, row in rows],
    }  # fmt: skip


def of(values):
    return {"n": len(values), "sum": math.fsum(values), "sum_squares": math.fsum(
        v * v for v in values)}  # fmt: skip


def around(middle, spread, n=400):
    rng = random.Random(n)
    return of([middle + spread * rng.gauss(0, 1) for _ in range(n)])


EDGES = {
    "nobody": {"n": 0, "successes": 0}, "one failed": {"n": 1, "successes": 0},
    "one worked": {"n": 1, "successes": 1}, "all failed": {"n": 500, "successes": 0},
    "all worked": {"n": 500, "successes": 500}, "some": {"n": 500, "successes": 260},
    "a million": {"n": 10**6, "successes": 500_000},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_pair_of_extreme_arms_gets_a_document_that_is_json(kind):
    for (one, control), (other, treatment) in itertools.product(EDGES.items(), repeat=2):
        found = analyse(given(control, treatment, "proportion", test=kind))
        json.dumps(found, allow_nan=False)
        if min(control["n"], treatment["n"]) < 2:
            assert found["verdict"] in ("inconclusive", "review"), (one, other)
        if found["verdict"] == "ship":
            rates = [row["successes"] / row["n"] for row in (control, treatment)]
            assert rates[1] > rates[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1e-25, 1e-9, 1.0, 1e9, 1e25])
def test_the_unit_of_a_value_changes_no_reading(kind, size):
    found = analyse(given(around(5 * size, 2 * size), around(6 * size, 2 * size, 401), test=kind,
                          days=20))  # fmt: skip
    assert found["verdict"] == "ship"
    assert found["metrics"][0]["comparisons"][0]["relative"]["estimate"] == pytest.approx(
        0.2, abs=0.1
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("direction", "verdict"), [("increase", "ship"), ("decrease", "rollback")])
def test_a_rise_from_below_zero_is_a_rise(kind, direction, verdict):
    """Over a negative mean the relative difference turns its sign; the verdict must not."""
    losses = given(around(-10, 2), around(-8, 2, 401), test=kind, days=20)
    losses["experiment"]["metrics"][0]["direction"] = direction
    found = analyse(losses)
    (comparison,) = found["metrics"][0]["comparisons"]
    assert found["verdict"] == verdict
    assert comparison["difference_type"] == "absolute" and "below zero" in comparison["note"]
    assert comparison["relative"]["estimate"] < 0 < comparison["absolute"]["estimate"]


@pytest.mark.parametrize(("change", "state"), [(1.0, "holds"), (-6.0, "breached")])
def test_a_guardrail_metric_below_zero_is_held_to_its_margin(change, state):
    document = given(around(5, 1), around(5.5, 1, 401), days=20, test="fixed")
    document["experiment"]["metrics"].append(
        {"key": "balance", "type": "mean", "role": "guardrail", "margin": 0.1}
    )
    for arm, middle in zip(document["arms"], (-10, -10 + change), strict=True):
        arm["metrics"]["balance"] = around(middle, 1, arm["metrics"]["m"]["n"])
    assert analyse(document)["metrics"][1]["comparisons"][0]["guardrail"] == state


def test_what_rounding_hides_is_not_called_harm():
    """Sums of squares of a billion hide a spread of one: a change of a tenth proves nothing."""
    steady = {"n": 100, "sum": 100e9, "sum_squares": 100e18}
    lower = {"n": 100, "sum": 100e9 - 10, "sum_squares": (100e9 - 10) ** 2 / 100}
    assert analyse(given(steady, lower))["verdict"] == "inconclusive"


def test_a_bandit_is_read_by_its_own_test_also_relatively():
    """Shares that moved while the level fell: pooled days favour whoever got its units early."""
    days = [
        {"arms": [
            {"key": "control", "metrics": {"m": {"n": a, "successes": round(a * rate)}}},
            {"key": "b", "metrics": {"m": {"n": b, "successes": round(b * rate)}}},
        ]}
        for a, b, rate in [(900, 100, 0.9), (500, 500, 0.5), (100, 900, 0.1)]
    ]  # fmt: skip
    document = given({}, {}, "proportion", test="bandit")
    del document["arms"]
    found = analyse({**document, "stages": [{"days": days}]})
    (comparison,) = found["metrics"][0]["comparisons"]
    assert comparison["difference_type"] == "relative"
    assert comparison["estimate"] == pytest.approx(0, abs=1e-9) and comparison["p_value"] > 0.9
    assert found["verdict"] != "rollback"
    for end in ("lower", "upper"):
        sides = [comparison[scale][end] for scale in ("relative", "absolute")]
        assert math.copysign(1, sides[0]) == math.copysign(1, sides[1])


def test_looks_that_hardly_differ_are_one_look():
    fractions = [0.2, 0.4, 0.401, 0.402, 0.6, 0.601]
    assert group_sequential.thinned(fractions) == [0.2, 0.4, 0.601]
    assert group_sequential.thinned([0.5, 0.5001]) == [0.5001]
    published = (0.2, 0.4, 0.6, 0.8, 1.0)
    p_values = [
        group_sequential._repeated_p(z, published, 0.05, spending)
        for z, spending in ((2.0313, "obrien_fleming"), (2.3859, "pocock"))
    ]
    assert p_values == pytest.approx([0.05, 0.05], rel=2e-3)


CLUSTERS = {
    "n": 500, "value": 5.0, "lower": 4.0, "upper": 6.0, "n_star": 500, "n_clusters": 100,
    "below_sum": 250, "below_sum_squares": 800, "events_sum": 500, "events_sum_squares": 2_700,
    "sum_products": 1_350,
}  # fmt: skip
RATIO = {
    "n": 100, "numerator_sum": 300, "numerator_sum_squares": 1300, "denominator_sum": 200,
    "denominator_sum_squares": 500, "numerator_denominator_sum_product": 700,
}  # fmt: skip
PLAIN = {"n": 100, "sum": 300, "sum_squares": 1300}
CUPED = {**PLAIN, "covariate_sum": 200, "covariate_sum_squares": 500, "covariate_sum_product": 700}


@pytest.mark.parametrize(
    ("metric", "change", "field"),
    [
        ("mean", {"sum": float("nan")}, "sum"),
        ("mean", {"sum": float("inf")}, "sum"),
        ("mean", {"sum": 10**400}, "sum"),
        ("mean", {"sum": 1e200, "sum_squares": 1e300}, "sum"),
        ("mean", {"sum_squares": 1e-300}, "sum_squares"),
        ("mean", {"n": 10**18}, "n"),
        ("mean", {"n": -1}, "n"),
        ("mean", {"sum_squares": 5}, ""),
        ("proportion", {"successes": 10.5}, "successes"),
        ("proportion", {"successes": -1}, "successes"),
        ("ratio", {"numerator_denominator_sum_product": 900}, "numerator_denominator_sum_product"),
        ("cuped", {"covariate_sum_product": 900}, "covariate_sum_product"),
        ("quantile", {"lower": 5.5}, ""),
        ("quantile", {"below_sum": 501}, "below_sum"),
        ("quantile", {"sum_products": 5_000}, "numerator_denominator_sum_product"),
    ],
)
def test_figures_that_nothing_can_have_are_refused_by_field(metric, change, field):
    rows = {"mean": PLAIN, "proportion": {"n": 100, "successes": 50}, "ratio": RATIO,
            "cuped": CUPED, "quantile": CLUSTERS}  # fmt: skip
    kind = "mean" if metric == "cuped" else metric
    document = given(rows[metric], {**rows[metric], **change}, kind)
    document["experiment"]["metrics"][0]["quantile"] = 0.5
    with pytest.raises(InvalidInput) as refused:
        analyse(document)
    assert refused.value.field == f"arms[1].metrics.m{'.' if field else ''}{field}"
    json.dumps(refused.value.as_problem(), allow_nan=False)
    document["arms"][1] = {**document["arms"][0], "key": "b"}
    assert analyse(document)["verdict"] == "inconclusive"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"test": {"tuning": 1e300}}, "experiment.test.tuning"),
        ({"test": {"tuning": 1e-9}}, "experiment.test.tuning"),
        ({"test": {"kind": "bayesian", "prior": {"stddev": 1e-40}}},
         "experiment.test.prior.stddev"),
        ({"test": {"kind": "group_sequential", "look_fractions": [0.5, 0.5001]}},
         "experiment.test.look_fractions"),
        ({"complete": "yes"}, "experiment.complete"),
        ({"days": 1e30}, "experiment.days"),
        ({"weights": {"control": 1, "b": 1, "lost": 1}}, "experiment.weights"),
        ({"weights": [1, 1e-30]}, "experiment.weights"),
        ({"control": {"name": "b"}}, "experiment.control"),
        ({"name": "half \ud800"}, "experiment.name"),
    ],
)  # fmt: skip
def test_settings_that_would_be_misread_are_refused(change, field):
    with pytest.raises(InvalidInput) as refused:
        document = given(PLAIN, PLAIN)
        document["experiment"] |= change
        analyse(document)
    assert refused.value.field == field


def test_a_day_that_is_there_twice_and_units_below_a_metrics_own_are_refused():
    document = given(PLAIN, PLAIN)
    days = [{"date": "2026-11-01", "arms": document["arms"]}] * 2
    with pytest.raises(InvalidInput, match="each date once"):
        analyse({"experiment": document["experiment"], "stages": [{"days": days}]})
    document["arms"][1]["units"] = 50
    with pytest.raises(InvalidInput, match="100 units of m"):
        analyse(document)


def test_a_relative_prior_over_a_mean_of_zero_says_why_there_is_no_figure():
    nothing, some = {"n": 200, "sum": 0, "sum_squares": 400}, {**PLAIN, "n": 200}
    test = {"kind": "bayesian", "prior": {"mean": 0, "stddev": 0.1}}
    found = analyse(given(nothing, some, test=test))
    assert "control's mean is zero" in found["metrics"][0]["comparisons"][0]["note"]


def test_a_bandit_of_batches_that_cannot_be_read_says_so():
    arms = [{"key": key, "metrics": {"m": {"n": 1, "sum": k, "sum_squares": k * k}}}
            for key, k in (("control", 1), ("b", 2))]  # fmt: skip
    document = {"experiment": given({}, {}, test="bandit")["experiment"],
                "stages": [{"days": [{"arms": arms}] * 3}]}  # fmt: skip
    found = analyse(document)
    assert found["metrics"][0]["comparisons"][0]["reading"] == "unreadable"


def test_ten_arms_of_one_truth_ship_nothing_and_the_better_one_is_found():
    same = [(f"c{i}", {"n": 1000, "successes": 500 + (i % 5) * 6}) for i in range(8)]
    base = {"n": 1000, "successes": 500}
    quiet = analyse(given(base, base, "proportion", arms=same, days=20, test="fixed"))
    assert quiet["verdict"] == "inconclusive"
    better = analyse(given(base, {"n": 1000, "successes": 600}, "proportion", arms=same, days=20,
                           test="fixed"))  # fmt: skip
    assert (better["verdict"], better["arm"]) == ("ship", "b")
    p_values = [c["p_value_adjusted"] for c in better["metrics"][0]["comparisons"]]
    assert len(p_values) == 9 and all(0 <= p <= 1 for p in p_values)


@pytest.mark.parametrize(
    ("change", "field"),
    [({"treatments": 10**18}, "treatments"), ({"effect": 1e-50}, "effect"),
     ({"metric": {"type": "mean", "baseline": 1, "stddev": 1e200}}, "metric.stddev"),
     ({"test": {"tuning": 1e300}}, "test.tuning"), ({"alpha": 1e-300}, "alpha")],
)  # fmt: skip
def test_a_plan_beyond_reason_is_refused(change, field):
    question = {"metric": {"type": "proportion", "baseline": 0.8}, "effect": 0.05, "test": "fixed"}
    with pytest.raises(InvalidInput) as refused:
        plan({**question, **change})
    assert refused.value.field == field
