"""Statistics documents in, verdict documents out; and refusals that name what is missing."""

from __future__ import annotations

import copy
import json

import jsonschema
import numpy as np
import pytest

from config.errors import InvalidInput
from learning.analysis import analyse, input_schema, plan

CONTROL = {"n": 2000, "successes": 1500}
BETTER = {"n": 2010, "successes": 1700}


def document(*, control=CONTROL, treatment=BETTER, metric=None, **experiment):
    return {
        "experiment": {
            "metrics": [{"key": "accuracy", "type": "proportion", **(metric or {})}],
            **experiment,
        },
        "arms": [
            {"key": "control", "metrics": {"accuracy": dict(control)}},
            {"key": "b", "metrics": {"accuracy": dict(treatment)}},
        ],
    }


def with_guard(successes, **guard):
    given = document()
    given["experiment"]["metrics"].append(
        {"key": "grounded", "type": "proportion", "role": "guardrail", **guard}
    )
    for arm, count in zip(given["arms"], (1800, successes), strict=True):
        arm["metrics"]["grounded"] = {"n": arm["metrics"]["accuracy"]["n"], "successes": count}
    return given


def test_a_clear_improvement_ships_in_words_first():
    found = analyse(document())
    assert found["verdict"] == "ship" and found["arm"] == "b"
    assert found["headline"].startswith("Ship b: accuracy +12.8 % on the control (")
    assert not found["sample_ratio"]["mismatch"]
    json.dumps(found, allow_nan=False)


def test_a_clear_loss_rolls_back():
    found = analyse(document(control=BETTER, treatment=CONTROL))
    assert found["verdict"] == "rollback" and found["stop_arms"] == ["b"]


def test_lower_is_better_where_the_metric_says_so():
    assert analyse(document(metric={"direction": "decrease"}))["verdict"] == "rollback"


def test_no_data_is_never_success():
    empty = {"n": 0, "successes": 0}
    found = analyse(document(control=empty, treatment=empty))
    assert found["verdict"] == "inconclusive" and "No data" in found["headline"]


def test_a_sample_ratio_mismatch_withholds_the_verdict():
    found = analyse(document(treatment={"n": 2400, "successes": 2100}))
    assert found["verdict"] == "review" and "don't read this" in found["headline"]


@pytest.mark.parametrize(
    ("successes", "margin", "verdict"),
    [(1810, 0.05, "ship"), (1740, 0.02, "inconclusive"), (1500, 0.05, "rollback"),
     (1500, None, "rollback"), (1790, None, "ship")],
)  # fmt: skip
def test_a_guardrail_metric_must_hold_within_its_margin(successes, margin, verdict):
    guard = {} if margin is None else {"margin": margin}
    assert analyse(with_guard(successes, **guard))["verdict"] == verdict


@pytest.mark.parametrize(
    ("settings", "verdict"),
    [
        ({}, "review"),  # nobody said when it ends
        ({"planned_units": 5000}, "inconclusive"),
        ({"planned_units": 2000}, "ship"),
        ({"complete": True}, "ship"),
    ],
)
@pytest.mark.parametrize("kind", ["fixed", "bayesian"])
def test_a_test_for_one_look_ships_only_at_its_declared_end(kind, settings, verdict):
    assert analyse(document(test=kind, **settings))["verdict"] == verdict


def test_harm_is_stopped_before_the_declared_end():
    found = analyse(document(control=BETTER, treatment=CONTROL, test="fixed", planned_units=50_000))
    assert found["verdict"] == "rollback"


def test_three_more_days_are_said_in_words():
    found = analyse(document(days=11))
    assert found["verdict"] == "inconclusive" and found["headline"].startswith("3 more days")


def days(*rows):
    return [
        {"date": f"2026-11-{i + 1:02}", "arms": [
            {"key": key, "metrics": {"accuracy": {"n": n, "successes": k}}}
            for key, n, k in day]}
        for i, day in enumerate(rows)
    ]  # fmt: skip


def test_stages_of_unequal_shares_are_never_pooled():
    given = {
        "experiment": document()["experiment"],
        "stages": [
            {"name": "5", "weights": {"control": 95, "b": 5},
             "days": days([("control", 9500, 8550), ("b", 500, 450)],
                          [("control", 9500, 8550), ("b", 500, 450)])},
            {"name": "50", "days": days([("control", 9000, 7200), ("b", 9000, 7200)])},
        ],
    }  # fmt: skip
    jsonschema.validate(given, input_schema())
    found = analyse(given)
    (comparison,) = found["metrics"][0]["comparisons"]
    assert comparison["estimate"] == pytest.approx(0, abs=1e-12)
    assert found["verdict"] == "inconclusive"
    assert [point["period"] for point in found["path"]] == [
        "2026-11-01", "2026-11-02", "2026-11-01",
    ]  # fmt: skip


def test_group_sequential_bounds_follow_the_units_of_each_day():
    given = {
        "experiment": {
            **document()["experiment"], "test": "group_sequential", "planned_units": 4000,
            "minimum_days": 0,
        },
        "stages": [{"days": days(*[[("control", 800, 600), ("b", 800, 610)]] * 3)}],
    }  # fmt: skip
    found = analyse(given)
    assert found["test"]["look_fractions"] == pytest.approx([0.2, 0.4, 0.6])
    comparison = found["metrics"][0]["comparisons"][0]
    assert comparison["critical_z"] == pytest.approx(2.6803, abs=1e-3)
    del given["experiment"]["planned_units"]
    with pytest.raises(InvalidInput, match="planned_units"):
        analyse(given)


def test_a_bandit_gives_shares_and_no_sample_ratio():
    given = {
        "experiment": {
            **document()["experiment"],
            "test": "bandit",
            "complete": True,
            "minimum_days": 0,
        },
        "stages": [{"days": days(*[[("control", 300, 150), ("b", 700, 420)]] * 5)}],
    }
    found = analyse(given)
    assert found["sample_ratio"] is None and found["verdict"] == "ship"
    assert found["bandit"]["chance_to_be_best"]["b"] > 0.99
    assert sum(found["bandit"]["next_shares"].values()) == pytest.approx(1)


def test_growthbooks_names_mean_the_same():
    ours = document(
        metric={"type": "ratio"},
        control={"n": 100, "numerator_sum": 300, "numerator_sum_squares": 1300,
                 "denominator_sum": 200, "denominator_sum_squares": 500,
                 "numerator_denominator_sum_product": 700},
        treatment={"n": 120, "numerator_sum": 400, "numerator_sum_squares": 1700,
                   "denominator_sum": 230, "denominator_sum_squares": 520,
                   "numerator_denominator_sum_product": 850},
    )  # fmt: skip
    theirs = copy.deepcopy(ours)
    names = {"n": "users", "numerator_sum": "main_sum", "numerator_sum_squares": "main_sum_squares",
             "numerator_denominator_sum_product": "main_denominator_sum_product"}  # fmt: skip
    for arm in theirs["arms"]:
        row = arm["metrics"]["accuracy"]
        arm["metrics"]["accuracy"] = {names.get(key, key): value for key, value in row.items()}
    assert analyse(theirs) == analyse(ours)


def test_one_metric_may_stand_in_the_arm_itself():
    given = document()
    for arm in given["arms"]:
        arm |= arm.pop("metrics")["accuracy"]
    assert analyse(given)["metrics"] == analyse(document())["metrics"]


def test_units_of_the_arm_stand_for_a_missing_n():
    given = document()
    for arm in given["arms"]:
        arm["units"] = arm["metrics"]["accuracy"].pop("n")
    assert analyse(given)["metrics"] == analyse(document())["metrics"]


def broken(change):
    given = with_guard(1800)
    change(given)
    return given


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        (lambda d: d["arms"][1]["metrics"]["accuracy"].pop("successes"),
         "arms[1].metrics.accuracy.successes", "missing"),
        (lambda d: d["arms"][1]["metrics"].pop("grounded"),
         "arms[1].metrics.grounded", "every metric"),
        (lambda d: d["arms"][0]["metrics"]["accuracy"].update(successes=9999),
         "arms[0].metrics.accuracy", "successes <= n"),
        (lambda d: d["arms"][0]["metrics"]["accuracy"].update(n=2.5),
         "arms[0].metrics.accuracy.n", "whole"),
        (lambda d: d["arms"][0]["metrics"]["accuracy"].update(n="many"),
         "arms[0].metrics.accuracy.n", "finite number"),
        (lambda d: d["experiment"].update(test={"kind": "sequential", "alhpa": 0.1}),
         "experiment.test.alhpa", "alpha"),
        (lambda d: d["experiment"].update(test={"alpha": 1.5}), "experiment.test.alpha", "below 1"),
        (lambda d: d["experiment"].update(test="tea_leaves"), "experiment.test.kind", "one of"),
        (lambda d: d["experiment"].update(control="z"), "experiment.control", "one of"),
        (lambda d: d["experiment"].update(weights=[0.5]), "experiment.weights", "2 weights"),
        (lambda d: d["experiment"].update(metrics=[]), "experiment.metrics", "at least 1"),
        (lambda d: d["experiment"]["metrics"][0].update(type="vibes"),
         "experiment.metrics[0].type", "one of"),
        (lambda d: d["experiment"]["metrics"][0].update(type="quantile"),
         "experiment.metrics[0].quantile", "missing"),
        (lambda d: d.pop("arms"), "arms", "stages"),
        (lambda d: d["arms"].pop(), "arms", "two arms"),
        (lambda d: d["arms"][1].update(key="control"), "arms[1].key", "different"),
    ],
)  # fmt: skip
def test_a_faulty_document_is_refused_by_field_and_limit(change, field, words):
    with pytest.raises(InvalidInput) as refused:
        analyse(broken(change))
    assert refused.value.field == field and words in str(refused.value)


@pytest.mark.parametrize("value", [None, [], "x", 3, {"arms": 5}, {"experiment": []}])
def test_anything_but_a_document_is_refused(value):
    with pytest.raises(InvalidInput):
        analyse(value)


def test_a_year_of_days_and_ten_metrics_is_read_whole():
    metrics = [{"key": f"m{i}", "type": "mean"} for i in range(10)]
    row = {"n": 13_700, "sum": 27_000.0, "sum_squares": 80_000.0}
    arms = [{"key": k, "metrics": {m["key"]: row for m in metrics}} for k in ("control", "b")]
    given = {"experiment": {"metrics": metrics}, "stages": [{"days": [{"arms": arms}] * 365}]}
    found = analyse(given)
    assert sum(found["progress"]["units"].values()) > 10_000_000 - 1000
    assert len(found["metrics"]) == 10


def test_a_plan_uses_the_test_that_will_be_used():
    question = {
        "metric": {"type": "proportion", "baseline": 0.8}, "effect": 0.05,
        "effect_type": "absolute", "units_per_day": 200,
    }  # fmt: skip
    fixed = plan({**question, "test": "fixed"})
    sequential = plan(question)
    assert fixed["total_units"] == pytest.approx(1806, abs=2)
    assert 1.5 < sequential["against_fixed_horizon_ratio"] < 2
    assert sequential["days"] == -(-sequential["total_units"] // 200)
    halved = plan({**question, "metric": {"type": "mean", "baseline": 1, "stddev": 1,
                                          "correlation": 0.5**0.5}})  # fmt: skip
    whole = plan({**question, "metric": {"type": "mean", "baseline": 1, "stddev": 1}})
    assert whole["total_units"] == pytest.approx(2 * halved["total_units"], rel=0.01)


def found_as_planned(rng, planned, rate, changed, kind):
    sizes = planned["control_units"], planned["treatment_units"]
    arms = [{"n": n, "successes": int(rng.binomial(n, p))}
            for n, p in zip(sizes, (rate, changed), strict=True)]  # fmt: skip
    given = document(control=arms[0], treatment=arms[1], test={**planned["test"], "kind": kind},
                     complete=True)  # fmt: skip
    return analyse(given)["metrics"][0]["comparisons"][0]["reading"]


@pytest.mark.parametrize(
    ("rate", "effect"),
    [
        (0.02, 0.3),
        (0.9, -0.2),
        *(pytest.param(*more, marks=pytest.mark.slow) for more in ((0.02, 1.0), (0.3, 0.5))),
    ],
)
@pytest.mark.parametrize("kind", ["fixed", "sequential"])
def test_a_relative_change_is_found_as_often_as_was_planned(rate, effect, kind):
    question = {"metric": {"type": "proportion", "baseline": rate}, "effect": effect,
                "test": {"kind": kind, "looks": 1}}  # fmt: skip
    planned, rng = plan(question), np.random.default_rng(6)
    assert planned["test"]["difference_type"] == "relative"
    wanted = "better" if effect > 0 else "worse"
    told = [found_as_planned(rng, planned, rate, rate * (1 + effect), kind) for _ in range(250)]
    assert told.count(wanted) / 250 >= 0.74  # of 0.8, less two and a half standard errors


def test_a_plan_names_the_difference_that_will_be_shown():
    question = {"metric": {"type": "proportion", "baseline": 0.8}, "effect": 0.05,
                "effect_type": "absolute", "test": {"kind": "fixed"}}  # fmt: skip
    assert plan(question)["test"]["difference_type"] == "absolute"
    size = plan(question)["total_units"]
    question["test"]["difference_type"] = "relative"
    assert plan(question)["total_units"] == size  # readings ask the absolute difference


@pytest.mark.parametrize(
    ("change", "field"),
    [({"effect": 0}, "effect"), ({"effect": 3}, "metric"), ({"metric": {}}, "metric.type"),
     ({"power": 1}, "power"), ({"test": "bandit"}, "test.kind")],
)  # fmt: skip
def test_a_faulty_plan_is_refused_by_field(change, field):
    question = {"metric": {"type": "proportion", "baseline": 0.8}, "effect": 0.05}
    with pytest.raises(InvalidInput) as refused:
        plan({**question, **change})
    assert refused.value.field == field


def a_score(n, value, spread=0.0):
    """A ratio as scores are folded: one score a unit; ``spread`` of them are the other value."""
    total = n * (value * (1 - spread) + (1 - value) * spread)
    return {
        "n": n, "numerator_sum": total, "numerator_sum_squares": total, "denominator_sum": n,
        "denominator_sum_squares": n, "numerator_denominator_sum_product": total,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "control", "treatment", "verdict"),
    [
        ("proportion", {"n": 300, "successes": 300}, {"n": 300, "successes": 0}, "rollback"),
        ("proportion", {"n": 300, "successes": 0}, {"n": 300, "successes": 300}, "ship"),
        ("proportion", {"n": 300, "successes": 300}, {"n": 300, "successes": 300}, "inconclusive"),
        ("ratio", a_score(300, 1), a_score(300, 0), "rollback"),
        ("ratio", a_score(300, 1, 0.1), a_score(300, 0), "rollback"),
        ("ratio", a_score(300, 1), a_score(300, 1), "inconclusive"),
    ],
)
def test_total_failure_is_told_where_nothing_varies(kind, control, treatment, verdict):
    found = analyse(document(control=control, treatment=treatment, metric={"type": kind}, days=20))
    assert found["verdict"] == verdict


NOTHING = dict.fromkeys(a_score(0, 0), 0)


@pytest.mark.parametrize(
    ("role", "control", "treatment", "verdict"),
    [
        ("guardrail", {**NOTHING, "n": 2000}, {**NOTHING, "n": 2010}, "inconclusive"),
        ("guardrail", a_score(2000, 1), {**NOTHING, "n": 2010}, "inconclusive"),
        ("guardrail", a_score(2000, 1), a_score(2010, 1), "ship"),
        ("primary", a_score(2000, 1), {**NOTHING, "n": 2010}, "inconclusive"),
    ],
)
def test_what_nobody_measured_neither_holds_nor_harms(role, control, treatment, verdict):
    metric = {"key": "safety", "type": "ratio", "role": role}
    given = document()
    if role == "guardrail":
        given["experiment"]["metrics"].append({**metric, "margin": 0.05})
    else:
        given["experiment"]["metrics"] = [metric]
    for arm, sums in zip(given["arms"], (control, treatment), strict=True):
        arm["metrics"]["safety"] = sums
    found = analyse(given)
    assert found["verdict"] == verdict
    if verdict != "ship":
        assert "nothing was measured" in json.dumps(found["metrics"])


@pytest.mark.parametrize(
    ("control", "treatment"),
    [(a_score(300, 1, 0.1), a_score(300, 1, 0.5)), (a_score(300, 1), a_score(300, 0))],
)
def test_a_stage_that_nobody_measured_hides_no_other_one(control, treatment):
    nothing = {**NOTHING, "n": 300}
    stages = []
    for one, other in ((nothing, nothing), (control, treatment)):
        arms = [{"key": "control", "metrics": {"safety": one}}]
        arms.append({"key": "b", "metrics": {"safety": other}})
        stages.append({"days": [{"date": "2026-11-01", "arms": arms}]})
    metrics = [{"key": "safety", "type": "ratio"}]
    given = {"experiment": {"metrics": metrics, "minimum_days": 0}, "stages": stages}
    assert analyse(given)["verdict"] == "rollback"


@pytest.mark.parametrize(
    ("planned", "aa", "words"),
    [
        (None, False, "Keep waiting: no difference is shown so far."),
        (300, False, "No difference was shown at the planned size: keep the control."),
        (300, True, "A/A: no difference was shown at the planned size, as it should be."),
    ],
)
def test_arms_in_which_every_unit_is_alike_come_to_an_end(planned, aa, words):
    always = {"n": 300, "successes": 300}
    plan = {} if planned is None else {"planned_units": planned}
    found = analyse(document(control=always, treatment=always, days=20, aa=aa, **plan))
    assert (found["headline"], found["complete"]) == (words, planned is not None)
    [row] = found["metrics"][0]["comparisons"]
    assert row["note"] == "every unit of both arms has the same value"
