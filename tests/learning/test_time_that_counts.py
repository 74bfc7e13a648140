"""Which time and which units of an experiment count: pauses, young units, declared ends, looks."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F

from agents import services as agents
from agents.models import Invocation
from learning import tasks
from learning.models import Experiment, Feedback, Rollout
from tests.learning.ground import SLUG, make_agent, meet
from tests.rows import insert

pytestmark = pytest.mark.django_db
METRICS = [{"key": "success", "role": "primary"}]
DAY = timedelta(days=1)


@pytest.fixture
def ground(firm):
    return (firm, *make_agent())


def begun(api, **changes):
    """A started experiment's path, over HTTP."""
    body = {"agent": SLUG, "name": "better", "variants": [{"version": "1"}, {"version": "2"}],
            "metrics": METRICS, "plan": {"minimum_days": 0}, **changes}  # fmt: skip
    made = api("post", "experiments", body)
    assert made.status_code == 201, made.content
    path = f"experiments/{made.json()['id']}"
    assert api("post", f"{path}/start", {}).status_code == 200
    return path


def pass_time(by):
    """Everything that has happened lies so much further back."""
    for field in ("started_at", "ended_at", "paused_at", "read_until", "analysed_at"):
        Experiment.objects.exclude(**{field: None}).update(**{field: F(field) - by})
    Invocation.objects.update(started_at=F("started_at") - by)


def analysis(api, path):
    tasks.sweep_comparisons()
    return api("get", f"{path}/analysis").json()


def test_a_pause_is_no_time_of_the_experiment(api, ground):
    path = begun(api)
    pass_time(3 * DAY)
    assert api("post", f"{path}/pause", {"reason": "month end"}).status_code == 200
    pass_time(10 * DAY)
    assert analysis(api, path)["progress"]["days"] == pytest.approx(3, abs=0.01)
    assert api("post", f"{path}/resume", {}).json()["paused_seconds"] == pytest.approx(
        10 * 86_400, abs=60
    )
    pass_time(DAY)
    assert analysis(api, path)["progress"]["days"] == pytest.approx(4, abs=0.01)


def test_units_count_when_they_are_old_enough_and_days_with_them(api, ground):
    firm, agent, old, new = ground
    path = begun(api, maturity_hours=72, plan={"minimum_days": 2})
    meet(agent, firm, units=900, success={old.pk: 0.5, new.pk: 0.9})
    found = analysis(api, path)
    assert found["headline"].startswith("No unit is 3 d old yet")
    assert found["progress"]["days"] == 0
    pass_time(3 * DAY + timedelta(hours=1))
    found = analysis(api, path)
    assert sum(found["progress"]["units"].values()) == 900
    assert found["verdict"] == "inconclusive", "an hour of units is no two days"
    assert found["progress"]["days"] == pytest.approx(1 / 24, abs=0.01)
    pass_time(2 * DAY)
    assert analysis(api, path)["verdict"] == "ship"


def test_what_came_last_before_the_end_counts_once_it_is_old_enough(api, ground):
    firm, agent, old, new = ground
    path = begun(api, maturity_hours=72)
    meet(agent, firm, units=300, success={old.pk: 0.7, new.pk: 0.7})
    pass_time(3 * DAY + timedelta(hours=1))
    meet(agent, firm, units=200, success={old.pk: 0.7, new.pk: 0.7}, seed=2)
    assert sum(analysis(api, path)["progress"]["units"].values()) == 300
    assert api("post", f"{path}/stop", {"reason": "enough"}).status_code == 200
    pass_time(2 * DAY)
    found = analysis(api, path)
    assert sum(found["progress"]["units"].values()) == 300
    assert any("younger ones are not in these figures yet" in note for note in found["notes"])
    pass_time(DAY + timedelta(hours=1))
    assert sum(analysis(api, path)["progress"]["units"].values()) == 500
    assert api("get", path).json()["state"] == "stopped"


def test_feedback_that_comes_while_it_rests_is_in_the_figures(api, ground):
    firm, agent, old, new = ground
    path = begun(api, metrics=[{"key": "complaint", "role": "primary"}])
    calls = meet(agent, firm, units=300, success={old.pk: 1, new.pk: 1})
    assert api("post", f"{path}/pause", {"reason": "month end"}).status_code == 200
    said = {"subject_kind": "invocation", "subject_id": str(calls[0].pk), "kind": "complaint",
            "text": "wrong"}  # fmt: skip
    assert api("post", "feedback", said).status_code == 201
    arms = analysis(api, path)["metrics"][0]["arms"]
    assert sum(round(arm["mean"] * arm["n"]) for arm in arms) == 1
    assert api("get", path).json()["state"] == "paused"


@pytest.mark.parametrize("kind", ["fixed", "bayesian"])
def test_a_test_for_one_look_reads_what_came_before_its_declared_end(api, ground, kind):
    firm, agent, old, new = ground
    path = begun(api, test={"kind": kind}, plan={"minimum_days": 0, "planned_units": 50})
    meet(agent, firm, units=100, success={old.pk: 1, new.pk: 1}, seed=9)
    assert analysis(api, path)["test"]["conclude"] == "ahead", "under its minimum of 100 an arm"
    meet(agent, firm, units=300, success={old.pk: 1, new.pk: 1})
    found = analysis(api, path)
    assert (found["complete"], found["test"]["conclude"]) == (True, "reached")
    pass_time(timedelta(minutes=1))
    meet(agent, firm, units=900, success={old.pk: 0.2, new.pk: 0.9}, seed=2)
    found = analysis(api, path)
    assert sum(found["progress"]["units"].values()) == 400 and found["complete"]
    assert any("the declared end was reached" in note for note in found["notes"])
    told = api("get", path).json()
    assert (told["state"], told["state_by"]) == ("paused", "system:learning"), "nobody meets it"
    assert "its declared end was reached" in told["state_reason"]
    refused = api("post", f"{path}/resume", {})
    assert refused.status_code == 409 and "at its declared end" in refused.json()["detail"]


@pytest.mark.parametrize("kind", ["fixed", "bayesian"])
def test_a_test_for_one_look_without_a_declared_end_ends_where_it_may_at_the_earliest(
    api, ground, kind
):
    firm, agent, old, new = ground
    path = begun(api, test={"kind": kind}, plan={"minimum_days": 3})
    assert api("get", path).json()["plan"] == {
        "minimum_days": 3, "minimum_units": 100, "planned_days": 3,
    }  # fmt: skip
    meet(agent, firm, units=400, success={old.pk: 0.2, new.pk: 0.9})
    assert analysis(api, path)["test"]["conclude"] == "ahead"
    pass_time(3 * DAY)
    found = analysis(api, path)
    assert (found["verdict"], found["test"]["conclude"]) == ("ship", "reached")


def test_an_end_at_which_nothing_can_be_read_is_no_look(api, ground):
    firm, agent, old, new = ground
    path = begun(api, test={"kind": "fixed"}, metrics=[{"key": "rating", "role": "primary"}],
                 plan={"minimum_days": 0, "planned_units": 100})  # fmt: skip
    calls = meet(agent, firm, units=300, success={old.pk: 1, new.pk: 1})
    found = analysis(api, path)
    assert "can't be read yet" in found["headline"] and not found["complete"]
    assert api("get", path).json()["state"] == "running"
    said = {"subject_kind": "invocation", "subject_id": str(calls[0].pk), "kind": "rating",
            "rating": 3}  # fmt: skip
    assert api("post", "feedback", said).status_code == 201
    like = Feedback.objects.values("kind", "source", "author_key", "client_id", "agent_slug",
                                   "subject_kind", "split_epoch").get()  # fmt: skip
    insert(
        Feedback(subject_id=call.pk, unit=call.unit, version_id=call.version_id,
                 rating=3 + number % 2 + (call.version_id == new.pk), **like)
        for number, call in enumerate(calls) if number
    )  # fmt: skip
    assert analysis(api, path)["verdict"] == "ship"


def test_what_is_said_after_the_one_look_is_no_other_look(api, ground):
    firm, agent, old, new = ground
    path = begun(api, test={"kind": "fixed"}, metrics=[{"key": "complaint", "role": "primary"}],
                 plan={"minimum_days": 0, "planned_units": 100})  # fmt: skip
    calls = meet(agent, firm, units=300, success={old.pk: 1, new.pk: 1})
    before = analysis(api, path)
    assert before["complete"]
    for call in [one for one in calls if one.version_id == new.pk][:30]:
        said = {"subject_kind": "invocation", "subject_id": str(call.pk), "kind": "complaint",
                "text": "wrong"}  # fmt: skip
        assert api("post", "feedback", said).status_code == 201
    after = analysis(api, path)
    assert (after["verdict"], after["metrics"]) == (before["verdict"], before["metrics"])


def test_a_group_sequential_test_looks_when_a_day_is_over(api, ground):
    firm, agent, old, new = ground
    path = begun(api, test={"kind": "group_sequential", "spending": "pocock"},
                 plan={"minimum_days": 0, "planned_units": 1000})  # fmt: skip
    meet(agent, firm, units=1200, success={old.pk: 0.5, new.pk: 0.9})
    found = analysis(api, path)
    assert found["verdict"] == "inconclusive" and not found["complete"]
    (row,) = found["metrics"][0]["comparisons"]
    assert row["estimate"] is None and "when a day is over" in row["note"]
    pass_time(DAY)
    found = analysis(api, path)
    assert found["verdict"] == "ship"
    looks = found["test"]["look_fractions"]
    meet(agent, firm, units=400, success={old.pk: 0.9, new.pk: 0.5}, seed=2)
    again = analysis(api, path)
    assert (
        again["metrics"][0]["comparisons"][0]["p_value"]
        == (found["metrics"][0]["comparisons"][0]["p_value"])
    )
    assert again["test"]["look_fractions"] == looks


def test_harm_need_not_wait_for_a_group_sequential_look(api, ground):
    firm, agent, old, new = ground
    path = begun(api, test={"kind": "group_sequential"},
                 plan={"minimum_days": 0, "planned_units": 1000})  # fmt: skip
    meet(agent, firm, units=600, success={old.pk: 0.9, new.pk: 0.1})
    assert analysis(api, path)["verdict"] == "rollback"
    assert api("get", path).json()["state"] == "concluded"


def test_looks_of_a_live_test_can_not_be_stated(api, ground):
    looks = {"kind": "group_sequential", "look_fractions": [0.5, 1.0]}
    body = {"agent": SLUG, "name": "n", "variants": [{"version": "1"}, {"version": "2"}],
            "metrics": METRICS, "test": looks, "plan": {"planned_units": 500}}  # fmt: skip
    refused = api("post", "experiments", body)
    assert (refused.status_code, refused.json()["field"]) == (422, "test.look_fractions")


def test_rest_after_the_declared_end_takes_no_days_off(api, ground):
    firm, agent, old, new = ground
    path = begun(api, test={"kind": "fixed"},
                 plan={"minimum_days": 0, "planned_units": 100, "planned_days": 14})  # fmt: skip
    meet(agent, firm, units=400, success={old.pk: 0.5, new.pk: 0.9})
    pass_time(14.2 * DAY)
    assert analysis(api, path)["verdict"] == "ship"
    assert api("get", path).json()["state"] == "paused"
    pass_time(10 * DAY)
    assert api("post", f"{path}/stop", {"reason": "enough"}).status_code == 200
    found = analysis(api, path)
    assert found["verdict"] == "ship", found["headline"]
    assert found["progress"]["days"] == pytest.approx(14.2, abs=0.01)


@pytest.mark.parametrize("kind", ["fixed", "bayesian"])
def test_an_end_that_is_declared_early_waits_for_no_usual_fortnight(api, ground, kind):
    firm, agent, old, new = ground
    path = begun(api, test={"kind": kind}, autoconclude=True, plan={"planned_days": 5})
    meet(agent, firm, units=400, success={old.pk: 0.5, new.pk: 0.9})
    pass_time(4.5 * DAY)
    tasks.sweep_comparisons()
    assert api("get", path).json()["state"] == "running"
    pass_time(DAY)
    tasks.sweep_comparisons()
    told = api("get", path).json()
    assert (told["state"], told["verdict"]) == ("concluded", "ship"), told["headline"]


def test_a_winner_that_can_not_be_rolled_out_ends_its_experiment_all_the_same(api, ground):
    firm, agent, old, new = ground
    path = begun(api, test={"kind": "fixed"}, autoconclude=True,
                 plan={"minimum_days": 0, "planned_units": 100})  # fmt: skip
    meet(agent, firm, units=400, success={old.pk: 0.5, new.pk: 0.9})
    agents.promote(SLUG, new.pk, by="a person")
    tasks.sweep_comparisons()
    told = api("get", path).json()
    assert told["state"] == "concluded"
    assert "It waits for a person" in told["state_reason"]
    assert "in production" in told["state_reason"]


def test_one_whose_end_comes_while_a_person_paused_it_is_concluded(api, ground):
    firm, agent, old, new = ground
    path = begun(api, test={"kind": "fixed"}, autoconclude=True, maturity_hours=72,
                 plan={"minimum_days": 0, "planned_units": 100})  # fmt: skip
    meet(agent, firm, units=400, success={old.pk: 0.5, new.pk: 0.9})
    assert api("post", f"{path}/pause", {"reason": "month end"}).status_code == 200
    pass_time(4 * DAY)
    tasks.sweep_comparisons()
    told = api("get", path).json()
    assert told["state"] == "concluded"
    assert "It waits for a person: it was paused" in told["state_reason"]
    assert not Rollout.objects.exists(), "a machine does not go on with what a person paused"


def test_a_guardrail_next_to_nothing_is_read_though_it_has_no_relative_figure(api):
    def arm(key, total, squares):
        errors = {"n": 1000, "sum": total, "sum_squares": squares}
        success = {"n": 1000, "successes": 800}
        return {"key": key, "units": 1000, "metrics": {"success": success, "errors": errors}}

    document = {
        "experiment": {"name": "n", "control": "a", "minimum_days": 0, "metrics": [
            {"key": "success", "type": "proportion", "role": "primary"},
            {"key": "errors", "type": "mean", "role": "guardrail", "margin": 0.2,
             "direction": "decrease"}]},
        "stages": [{"name": "all", "weights": {"a": 1, "b": 1}, "days": [
            {"date": "2026-01-01", "arms": [arm("a", 1e-60, 1e59), arm("b", 1e31, 2e59)]}]}],
    }  # fmt: skip
    answer = api("post", "experiments/analysis", document)
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert found["metrics"][1]["comparisons"][0]["guardrail"] == "breached"
    assert found["verdict"] == "rollback"


def test_a_sample_ratio_mismatch_that_lasts_is_met_by_nobody_until_a_person_looked(api, ground):
    firm, agent, old, new = ground
    path = begun(api)
    # Whoever paused it before for another reason has not answered for this one.
    for action in ("pause", "resume"):
        assert api("post", f"{path}/{action}", {}).status_code == 200
    for day in (1, 2):
        rows = meet(agent, firm, units=900, success={old.pk: 0.8, new.pk: 0.5}, seed=day)
        lost = [row.pk for row in rows if row.version_id == new.pk]
        Invocation.objects.filter(pk__in=lost[::2]).delete()
        assert analysis(api, path)["sample_ratio"]["mismatch"]
        told = api("get", path).json()
        assert told["state"] == ("running" if day == 1 else "paused")
        pass_time(DAY)
    assert "a sample ratio mismatch lasts" in told["state_reason"]
    # A person who goes on with it is not overruled.
    assert api("post", f"{path}/resume", {}).json()["state"] == "running"
    assert analysis(api, path)["sample_ratio"]["lasts"]
    assert api("get", path).json()["state"] == "running"


def test_a_mismatch_by_chance_heals_as_sound_units_come(api):
    def day(date, control, treated):
        arms = [{"key": key, "units": n, "metrics": {"success": {"n": n, "successes": n // 2}}}
                for key, n in (("a", control), ("b", treated))]  # fmt: skip
        return {"date": date, "arms": arms}

    days = [day("2026-01-01", 700, 1000), day("2026-01-02", 59_300, 59_300)]
    document = {
        "experiment": {"name": "n", "control": "a", "minimum_days": 0,
                       "metrics": [{"key": "success", "type": "proportion"}]},
        "stages": [{"name": "all", "weights": {"a": 1, "b": 1}, "days": days[:1]}],
    }  # fmt: skip
    assert api("post", "experiments/analysis", document).json()["sample_ratio"]["mismatch"]
    document["stages"][0]["days"] = days
    found = api("post", "experiments/analysis", document).json()
    assert found["sample_ratio"]["mismatch"] is False and found["verdict"] == "inconclusive"
