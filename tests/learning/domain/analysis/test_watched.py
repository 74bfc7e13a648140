"""What is looked at all the time, arms that were taken out, and statistics that say too little."""

from __future__ import annotations

import pytest

from config.errors import InvalidInput
from learning.analysis import analyse
from learning.domain.statistics import srm
from tests.learning.domain.analysis.test_hostile import given

METRIC = [{"key": "m", "type": "proportion"}]


def staged(*stages, kind="group_sequential", **experiment):
    """Days of (units, successes) an arm; a stage is a dict of arm → days."""
    return {
        "experiment": {"metrics": METRIC, "planned_units": 1000, "minimum_days": 0,
                       "control": "a", "test": {"kind": kind}, **experiment},
        "stages": [
            {"name": f"s{number}", "weights": dict.fromkeys(arms, 1), "days": [
                {"date": f"2026-11-{10 * number + place + 1:02d}", "arms": [
                    {"key": arm, "metrics": {"m": {"n": days[place][0],
                                                   "successes": days[place][1]}}}
                    for arm, days in arms.items()]}
                for place in range(len(next(iter(arms.values()))))]}
            for number, arms in enumerate(stages)
        ],
    }  # fmt: skip


EQUAL = [(200, 140)] * 2
GOOD = [(200, 180), (200, 190)]
BAD = [(200, 140), (200, 20)]


def test_a_day_that_is_not_over_is_no_look_but_shows_harm():
    open_day = {"watched": True, "open_date": "2026-11-02"}
    assert analyse(staged({"a": EQUAL, "b": GOOD}, watched=True))["verdict"] == "ship"
    found = analyse(staged({"a": EQUAL, "b": [(200, 140), GOOD[1]]}, **open_day))
    assert found["verdict"] == "inconclusive" and found["test"]["look_fractions"] == [0.2]
    assert analyse(staged({"a": EQUAL, "b": BAD}, **open_day))["verdict"] == "rollback"


def test_before_the_first_day_is_over_there_is_no_look():
    found = analyse(staged({"a": EQUAL[:1], "b": GOOD[:1]}, watched=True, open_date="2026-11-01"))
    (row,) = found["metrics"][0]["comparisons"]
    assert row["estimate"] is None and found["test"]["look_fractions"] == []
    assert row["note"] == "the first look is when a day is over"


def test_the_planned_size_is_reached_when_a_look_has_read_it():
    full = [(500, 350), (500, 352)]
    assert analyse(staged({"a": full, "b": full}, watched=True))["complete"]
    open_day = {"watched": True, "open_date": "2026-11-02"}
    assert not analyse(staged({"a": full, "b": full}, **open_day))["complete"]


def test_there_is_no_look_after_the_planned_size():
    full = [(600, 420), (410, 287)]
    before = analyse(staged({"a": full, "b": full}, watched=True))
    more = [*full, (900, 800)]
    after = analyse(staged({"a": [*full, (900, 600)], "b": more}, watched=True))
    assert before["complete"] and after["complete"]
    for key in ("estimate", "p_value"):
        assert (
            after["metrics"][0]["comparisons"][0][key]
            == (before["metrics"][0]["comparisons"][0][key])
        )


def test_a_day_in_two_stages_is_open_in_both():
    whole = staged({"a": EQUAL, "b": EQUAL, "c": BAD}, {"a": EQUAL, "b": GOOD}, watched=True,
                   open_date="2026-11-02", stopped_arms=["c"])  # fmt: skip
    whole["stages"][1]["days"][0]["date"] = "2026-11-02"
    whole["stages"][1]["days"] = whole["stages"][1]["days"][:1]
    assert analyse(whole)["test"]["look_fractions"] == [0.2]


def test_a_guard_that_never_varies_hides_no_harm_on_an_open_day():
    whole = staged({"a": EQUAL, "b": BAD}, watched=True, open_date="2026-11-02")
    guard = {"key": "errors", "type": "proportion", "role": "guardrail", "margin": 0.1,
             "direction": "decrease"}  # fmt: skip
    whole["experiment"]["metrics"] = [*METRIC, guard]
    for day in whole["stages"][0]["days"]:
        for arm in day["arms"]:
            arm["metrics"]["errors"] = {"n": arm["metrics"]["m"]["n"], "successes": 0}
    found = analyse(whole)
    assert found["verdict"] == "rollback"
    assert found["metrics"][1]["comparisons"][0]["guardrail"] == "holds"


@pytest.mark.parametrize("kind", ["fixed", "bayesian"])
def test_a_declared_end_needs_both_minima_and_waits_for_no_stopped_arm(kind):
    few = staged({"a": [(60, 40)], "b": [(60, 45)]}, kind=kind, planned_days=14, days=14.2,
                 planned_units=None)  # fmt: skip
    assert analyse(few)["test"]["conclude"] == "ahead"
    parked = staged({"a": [(1000, 700)], "b": [(1000, 700)], "p": [(0, 0)]}, kind=kind, days=20)
    parked["stages"][0]["weights"]["p"] = 0
    assert analyse(parked)["test"]["conclude"] == "reached"
    days = [(100, 70)] * 12
    whole = staged({"a": EQUAL[:1], "b": EQUAL[:1], "c": BAD[1:]},
                   {"a": days, "b": [(100, 90)] * 12}, kind=kind, days=20,
                   stopped_arms=["c"])  # fmt: skip
    assert analyse(whole)["verdict"] == "ship"


def test_an_arm_that_was_taken_out_is_shown_and_decides_nothing():
    whole = staged({"a": EQUAL, "b": EQUAL, "c": BAD}, {"a": EQUAL, "b": EQUAL},
                   kind="sequential", planned_units=300)  # fmt: skip
    assert analyse(whole)["stop_arms"] == ["c"]
    whole["experiment"]["stopped_arms"] = ["c"]
    found = analyse(whole)
    assert found["stop_arms"] == [] and found["complete"], "200 units of c hold nobody up"
    assert {row["arm"] for row in found["metrics"][0]["comparisons"]} == {"b", "c"}
    assert any("c was taken out" in note for note in found["notes"])
    for wrong in (["b", "c"], ["a"], ["z"]):
        whole["experiment"]["stopped_arms"] = wrong
        with pytest.raises(InvalidInput, match="stopped_arms"):
            analyse(whole)


def test_what_is_looked_at_each_minute_calls_no_mismatch_by_a_test_for_one_look():
    # A walk that was the farthest out at one of its minutes, and came back.
    for units in ((132, 78), (560, 445)):
        found = srm.check([units], (1, 1))
        assert found.chi_square_p < srm.SINGLE_LOOK_LEVEL and found.mismatch
        assert not srm.check([units], (1, 1), watched=True).mismatch
    for units in ((190, 90), (600, 400)):
        assert srm.check([units], (1, 1), watched=True).mismatch


def test_each_of_several_stages_may_err_so_each_needs_more():
    odd = (158, 90)
    assert srm.check([odd], (1, 1), watched=True).mismatch
    assert not srm.check([odd], (1, 1), watched=True, readings=5).mismatch


def test_total_failure_is_seen_where_nobody_has_a_past():
    past = {"covariate_sum": 0, "covariate_sum_squares": 0, "covariate_sum_product": 0}
    whole = given({"n": 400, "successes": 380, **past}, {"n": 400, "successes": 0, **past},
                  "proportion", test="sequential")  # fmt: skip
    assert analyse(whole)["verdict"] == "rollback"


def test_a_ratio_that_is_the_same_for_every_unit_is_not_made_uncertain_by_rounding():
    def constant(rate, n=300):
        counts = [float(1 + k % 7) for k in range(n)]
        values = [rate * count for count in counts]
        return {
            "n": n, "numerator_sum": sum(values), "denominator_sum": sum(counts),
            "numerator_sum_squares": sum(v * v for v in values),
            "denominator_sum_squares": sum(c * c for c in counts),
            "numerator_denominator_sum_product": sum(
                v * c for v, c in zip(values, counts, strict=True)),
        }  # fmt: skip

    for rate in (0.1, 0.3, 0.7, 1 / 3, 123.456):
        found = analyse(given(constant(rate), constant(rate * 1.01), "ratio", test="sequential"))
        (row,) = found["metrics"][0]["comparisons"]
        assert row["p_value"] is None and found["verdict"] == "inconclusive", rate


@pytest.mark.parametrize(
    ("metric", "changes"),
    [
        ("mean", {"n": 0, "sum": 5, "sum_squares": 30}),
        ("quantile", {"n": 2000, "value": 2, "lower": 1, "upper": 3, "n_star": 0}),
    ],
)
def test_sums_of_nobody_and_bounds_of_nothing_are_refused(metric, changes):
    settings = {"metrics": [{"key": "m", "type": metric, "quantile": 0.5}]}
    fine = {"n": 2000, "sum": 1, "sum_squares": 1, "value": 2, "lower": 1, "upper": 3}
    with pytest.raises(InvalidInput):
        analyse(given(fine, changes, metric, **settings))


def test_many_values_of_one_unit_are_one_unit():
    events = {"n": 5000, "value": 2.0, "lower": 1.99, "upper": 2.01, "n_star": 5000,
              "n_clusters": 1, "below_sum": 2500, "below_sum_squares": 2500.0**2,
              "events_sum": 5000, "events_sum_squares": 5000.0**2,
              "sum_products": 2500.0 * 5000}  # fmt: skip
    other = {**events, "value": 3.0, "lower": 2.99, "upper": 3.01}
    found = analyse(given(events, other, "quantile",
                          metrics=[{"key": "m", "type": "quantile", "quantile": 0.5}]))  # fmt: skip
    (row,) = found["metrics"][0]["comparisons"]
    assert row["p_value"] is None and "too few" in row["note"]
