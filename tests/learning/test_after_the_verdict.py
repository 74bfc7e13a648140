"""What people do when an experiment was stopped or has a winner, and what a rollout was told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client as Browser
from django.utils import timezone

from agents.models import Invocation, TrafficSplit
from learning import improvements, tasks
from learning.models import Experiment, Improvement, Replay, Rollout, TrialPolicy
from tests.learning.ground import SLUG, make_agent, meet

pytestmark = pytest.mark.django_db
METRICS = [{"key": "success", "role": "primary"}]


@pytest.fixture
def ground(firm):
    return (firm, *make_agent())


@pytest.fixture
def change(ground, firm):
    row, _ = improvements.propose(
        client_id=firm.pk, agent_slug=SLUG, kind="prompt", title="Better", proposal={"a": 1},
        evidence={}, impact=2, confidence=0.5, risk="low", candidate_version_id=ground[3].pk,
    )  # fmt: skip
    return row


@pytest.fixture
def policy(ground):
    return TrialPolicy.objects.create(
        metrics=METRICS, effect=0.3, baseline=0.6, minimum_units=50, minimum_days=0,
        coverage_ratio=0.5, approves="low", most_approved_a_week=9,
    )  # fmt: skip


def replayed(change, old, new, firm):
    Replay.objects.create(
        agent_slug=SLUG, baseline_id=old.pk, candidate_id=new.pk, client_id=firm.pk, cap_usd=1,
        improvement_id=change.pk, verdict="better", state="done", ended_at=timezone.now(),
    )  # fmt: skip


def test_a_stopped_trial_waits_for_a_person_again_and_no_policy_tries_it(
    api, ground, change, policy, person
):
    firm, _, old, new = ground
    replayed(change, old, new, firm)
    tasks.sweep_comparisons()
    path = f"experiments/{Experiment.objects.get().pk}"
    refused = api("post", f"improvements/{change.pk}/reject", {"reason": "no"})
    assert refused.status_code == 409 and "its experiment stopped first" in refused.json()["detail"]
    assert api("post", f"{path}/stop", {"reason": "the client complained"}).status_code == 200
    change.refresh_from_db()
    assert change.state == Improvement.State.PROPOSED
    tasks.sweep_comparisons()
    change.refresh_from_db()
    assert change.state == Improvement.State.PROPOSED and Experiment.objects.count() == 1
    told = api("get", f"improvements/{change.pk}").json()
    assert "its experiment was stopped" in told["headline"]
    assert "the client complained" in told["headline"]
    assert {"approve", "reject"} <= set(told["actions"])
    answer = api("post", f"improvements/{change.pk}/reject", {"reason": "not worth it"})
    assert answer.status_code == 200, answer.content
    change.refresh_from_db()
    assert change.state == Improvement.State.REJECTED


def won(api, **changes):
    body = {"agent": SLUG, "name": "better", "variants": [{"version": "1"}, {"version": "2"}],
            "metrics": METRICS, "plan": {"minimum_days": 0}, **changes}  # fmt: skip
    made = api("post", "experiments", body)
    assert made.status_code == 201, made.content
    assert api("post", f"experiments/{made.json()['id']}/start", {}).status_code == 200
    return f"/dashboard/experiments/{made.json()['id']}"


def test_a_person_rolls_a_winner_out_on_its_page(api, ground, person):
    firm, agent, old, new = ground
    page = won(api)
    browser = Browser()
    browser.force_login(person("platform_engineer"))
    assert "Roll out" not in browser.get(page).content.decode()
    meet(agent, firm, units=1200, success={old.pk: 0.5, new.pk: 0.9})
    tasks.sweep_comparisons()
    assert "Roll out v2" in browser.get(page).content.decode()
    reader = Browser()
    reader.force_login(person("professional"))
    assert "Roll out v2" not in reader.get(page).content.decode()
    answer = browser.post(page, {"action": "roll_out", "strategy": "canary"}, follow=True)
    assert answer.status_code == 200
    row = Rollout.objects.get()
    assert (row.strategy, row.to_version_id, row.state) == ("canary", new.pk, "running")
    assert row.seed == Experiment.objects.get().seed
    assert Experiment.objects.get().state == "concluded"
    assert TrafficSplit.objects.filter(agent=agent, closed_at=None).count() == 1
    assert "Roll out v2" not in browser.get(page).content.decode()


def test_what_was_not_found_better_can_not_be_rolled_out_there(api, ground, person):
    page = won(api)
    browser = Browser()
    browser.force_login(person("platform_engineer"))
    answer = browser.post(page, {"action": "roll_out"})
    assert answer.status_code == 409 and not Rollout.objects.exists()


def test_the_plan_for_a_winner_is_given_with_the_experiment(api, ground):
    firm, agent, old, new = ground
    stages = [{"share": 0.2, "minimum_hours": 0, "minimum_units": 20}, {"share": 1}]
    bad = {"agent": SLUG, "name": "n", "variants": [{"version": "1"}, {"version": "2"}],
           "rollout_plan": {"strategy": "warp"}}  # fmt: skip
    assert api("post", "experiments", bad).status_code == 422
    won(api, autoconclude=True, rollout_plan={"strategy": "custom", "stages": stages})
    meet(agent, firm, units=1200, success={old.pk: 0.5, new.pk: 0.9})
    tasks.sweep_comparisons()
    row = Rollout.objects.get()
    assert [stage["share"] for stage in row.stages] == [0.2, 1]
    for seed in (2, 3):
        Rollout.objects.update(stage_started_at=timezone.now() - timedelta(hours=30))
        meet(agent, firm, units=3000, success={old.pk: 0.5, new.pk: 0.9}, seed=seed)
        tasks.sweep_comparisons()
    told = api("get", f"rollouts/{row.pk}").json()
    assert told["state"] == "done" and told["postcheck"]["agrees"] is True
    assert "as promised" in told["postcheck"]["words"]


@pytest.mark.parametrize(
    ("test", "plan"),
    [
        ({"kind": "fixed", "alpha": 0.1}, {"planned_units": 500}),
        ({"kind": "bayesian", "chance_to_win": 0.9}, {"planned_units": 500}),
    ],
)
def test_a_winner_s_rollout_is_not_taken_back_by_an_unlucky_look(api, ground, test, plan):
    firm, agent, old, new = ground
    stages = [{"share": 0.5, "minimum_hours": 9, "minimum_units": 20}, {"share": 1}]
    won(api, autoconclude=True, rollout_plan={"strategy": "custom", "stages": stages},
        test=test, plan={"minimum_days": 0, **plan})  # fmt: skip
    meet(agent, firm, units=1300, success={old.pk: 0.5, new.pk: 0.9})
    tasks.sweep_comparisons()
    row = Rollout.objects.get()
    # Worse in 7 of 100 by chance: one look at it would say so, and there is one a minute.
    rows = meet(agent, firm, units=600, success={old.pk: 1, new.pk: 1}, seed=2)
    for version, rate in ((old, 0.16), (new, 0.235)):
        met = [row.pk for row in rows if row.version_id == version.pk]
        failed = Invocation.objects.filter(pk__in=met[: round(rate * len(met))])
        failed.update(state="failed")
    tasks.sweep_comparisons()
    told = api("get", f"rollouts/{row.pk}").json()
    assert told["state"] == "running", told["headline"]
    assert told["analysis"]["test"]["kind"] == "sequential"
    assert told["analysis"]["sample_ratio"] is not None
    read = told["analysis"]["metrics"][0]["comparisons"][0]
    assert read["estimate"] / read["standard_error"] < -2
