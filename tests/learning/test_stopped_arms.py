"""Of three arms one harms: it is taken out, and the others go on."""

from __future__ import annotations

import pytest
from django.test import Client as Browser

from agents import versions
from agents.domain import traffic
from agents.models import TrafficSplit
from learning import tasks
from learning.experiments import stopping
from learning.models import Experiment, Tombstone
from tests.learning.ground import SLUG, make_agent, meet

pytestmark = pytest.mark.django_db
ARMS = [{"version": "1", "key": "control"}, {"version": "2", "key": "b"},
        {"version": "3", "key": "c"}]  # fmt: skip


@pytest.fixture
def ground(firm):
    agent, old, new = make_agent()
    third, _ = versions.publish(agent=agent, content=versions.Content("Answer badly."))
    return firm, agent, old, new, third


def begun(api, **changes):
    body = {"agent": SLUG, "name": "three", "variants": ARMS,
            "metrics": [{"key": "success", "role": "primary"}],
            "plan": {"minimum_days": 0, "minimum_units": 50}, **changes}  # fmt: skip
    made = api("post", "experiments", body)
    assert made.status_code == 201, made.content
    path = f"experiments/{made.json()['id']}"
    assert api("post", f"{path}/start", {}).status_code == 200
    return path


def the_split(agent):
    return TrafficSplit.objects.filter(agent=agent, closed_at=None).first()


def test_a_harmful_arm_of_three_is_met_by_nobody_any_more(api, ground, person):
    firm, agent, old, new, third = ground
    path = begun(api)
    before = the_split(agent).arms
    meet(agent, firm, units=900, success={old.pk: 0.8, new.pk: 0.8, third.pk: 0.2})
    tasks.sweep_comparisons()
    assert api("get", path).json()["state"] == "running"
    after = the_split(agent).arms
    assert after == {key: ranges for key, ranges in before.items() if key != str(third.pk)}
    assert Tombstone.objects.get().version_id == third.pk
    assert "c: success got worse" in Tombstone.objects.get().reason
    epochs = TrafficSplit.objects.count()
    tasks.sweep_comparisons()
    assert TrafficSplit.objects.count() == epochs, "once"
    browser = Browser()
    browser.force_login(person("reviewer"))
    page = browser.get(f"/dashboard/{path}").content.decode()
    assert "Taken out" in page and "c was taken out for harm" in page
    row = Experiment.objects.get()
    smallest = min(n for arm, n in row.analysis["progress"]["units"].items() if arm != "c")
    assert f"<dt>Units, smallest arm</dt><dd>{smallest}" in page


def test_the_others_are_judged_over_both_stretches_and_may_ship(api, ground):
    firm, agent, old, new, third = ground
    rates = {old.pk: 0.6, new.pk: 0.75, third.pk: 0.1}
    path = begun(api, autoconclude=True, plan={"minimum_days": 0, "minimum_units": 100,
                                               "planned_units": 2000})  # fmt: skip
    meet(agent, firm, units=450, success={**rates, new.pk: 0.6})
    tasks.sweep_comparisons()
    assert Experiment.objects.get().batches[-1]["stopped"] == ["c"]
    row = Experiment.objects.get()
    for seed in range(2, 8):
        meet(agent, firm, units=900, success=rates, seed=seed)
        tasks.sweep_comparisons()
        row.refresh_from_db()
        if row.state != "running":
            break
    found = row.analysis
    assert (row.state, found["verdict"], found["arm"]) == ("concluded", "ship", "b")
    assert not found["sample_ratio"]["mismatch"]
    units = found["progress"]["units"]
    assert units["c"] < 250 < units["b"]
    assert {metric["key"] for metric in found["metrics"]} == {"success"}
    assert api("get", path).json()["verdict"] == "ship"


def test_a_unit_that_came_before_keeps_its_arm_and_is_counted_once(api, ground):
    firm, agent, old, new, third = ground
    begun(api)
    rates = {old.pk: 0.8, new.pk: 0.8, third.pk: 0.1}
    meet(agent, firm, units=600, success=rates)
    tasks.sweep_comparisons()
    split = the_split(agent)
    rows = meet(agent, firm, units=600, success=rates)  # the same units call again
    back = [row for row in rows if row.bucket is not None]
    assert all(traffic.arm_of(split.arms, row.bucket) == str(row.version_id) for row in back
               if row.version_id != old.pk)  # fmt: skip
    tasks.sweep_comparisons()
    found = Experiment.objects.get().analysis
    assert sum(found["progress"]["units"].values()) == 600


def test_when_all_treatments_harm_it_is_over(api, ground):
    firm, agent, old, new, third = ground
    path = begun(api)
    meet(agent, firm, units=900, success={old.pk: 0.9, new.pk: 0.9, third.pk: 0.2})
    tasks.sweep_comparisons()
    meet(agent, firm, units=1800, success={old.pk: 0.9, new.pk: 0.3, third.pk: 0.2}, seed=2)
    tasks.sweep_comparisons()
    found = api("get", path).json()
    assert (found["state"], found["verdict"]) == ("concluded", "rollback")
    assert the_split(agent) is None and Tombstone.objects.count() == 2


def test_two_arms_that_harm_at_once_leave_no_experiment_without_a_treatment(api, ground):
    firm, agent, old, new, third = ground
    path = begun(api)
    meet(agent, firm, units=1200, success={old.pk: 0.9, new.pk: 0.2, third.pk: 0.2})
    tasks.sweep_comparisons()
    assert api("get", path).json()["state"] == "concluded"
    assert Tombstone.objects.count() == 2
    row = Experiment.objects.get()
    assert not stopping.harms_all(row, {"stop_arms": []})
    assert stopping.harms_all(row, {"stop_arms": ["b", "c"]})
    row.batches = [{"began_at": "2026-11-01T00:00:00+00:00", "ranges": {}, "stopped": ["c"]}]
    assert stopping.harms_all(row, {"stop_arms": ["b"]})
