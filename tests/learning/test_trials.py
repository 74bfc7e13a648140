"""Approved changes start by themselves, and incidents hold or take back what is on trial."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module

import pytest
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone

from agents.models import Agent, TrafficSplit
from config.access.models import User
from config.errors import InvalidInput
from learning import experiments, improvements, rollouts, tasks, trials
from learning.domain.postcheck import postcheck
from learning.models import Experiment, Improvement, Replay, Rollout, TrialPolicy
from monitoring.models import Action, Incident
from tests.learning.ground import SLUG, make_agent, meet, replayed

pytestmark = pytest.mark.django_db
METRICS = [{"key": "success", "role": "primary"}]
STAGES = [{"share": s, "minimum_hours": 0, "minimum_units": 20} for s in (0.1, 0.5, 1)]


@pytest.fixture
def ground(firm):
    return (firm, *make_agent())


@pytest.fixture
def policy(ground):
    return TrialPolicy.objects.create(
        metrics=METRICS, effect=0.3, baseline=0.6, minimum_units=50, minimum_days=0,
        coverage_ratio=0.5, strategy="custom", stages=STAGES,
    )  # fmt: skip


def proposed(firm, new, risk="low", verdict="not_worse"):
    row, _ = improvements.propose(
        client_id=firm.pk, agent_slug=SLUG, kind="prompt", title="Better", proposal={"a": 1},
        evidence={}, impact=2, confidence=0.5, risk=risk, candidate_version_id=new.pk,
    )  # fmt: skip
    if verdict:
        replayed(row, verdict)
    return row


def the_split(agent):
    return TrafficSplit.objects.filter(agent=agent, closed_at=None).first()


def test_an_approved_change_is_tried_shipped_and_refused_by_the_sweep_alone(
    engineer, ground, policy
):
    firm, agent, old, new = ground
    row = proposed(firm, new)
    tasks.sweep_comparisons()
    assert not Experiment.objects.exists()
    improvements.approve(caller=engineer, improvement_id=row.pk)
    tasks.sweep_comparisons()
    experiment = Experiment.objects.get()
    assert (experiment.state, experiment.autoconclude) == ("running", True)
    # Planned with the test that is used, and tuned to that size before the start.
    assert experiment.test["tuning"] == 2 * experiment.plan["planned_units"]
    meet(agent, firm, units=900, success={old.pk: 0.6, new.pk: 0.95})
    tasks.sweep_comparisons()
    rollout = Rollout.objects.get()
    assert (rollout.strategy, len(rollout.stages)) == ("custom", 3)
    for seed in (2, 3, 4):
        meet(agent, firm, units=900, success={old.pk: 0.6, new.pk: 0.95}, seed=seed)
        tasks.sweep_comparisons()
    row.refresh_from_db()
    rollout.refresh_from_db()
    assert (row.state, rollout.state) == ("shipped", "done")
    assert rollout.postcheck["agrees"] is True and "as promised" in rollout.postcheck["words"]


def test_a_change_that_shows_nothing_at_its_planned_size_is_refused(engineer, ground, policy):
    firm, agent, old, new = ground
    row = proposed(firm, new)
    improvements.approve(caller=engineer, improvement_id=row.pk)
    trials.sweep()
    meet(agent, firm, units=900, success={old.pk: 0.6, new.pk: 0.6})
    experiments.sweep()
    row.refresh_from_db()
    experiment = Experiment.objects.get()
    assert (row.state, experiment.state) == ("refused", "concluded")
    assert the_split(agent) is None and "planned size" in experiment.headline


def test_a_policy_approves_only_what_was_replayed_well_and_only_so_many(ground, policy):
    firm, _, _, new = ground
    row = proposed(firm, new, verdict="")
    TrialPolicy.objects.update(approves="low", most_approved_a_week=1)
    assert trials.approve_by_policy() == 0
    replayed(row)
    replayed(row, "worse")
    assert trials.approve_by_policy() == 0, "the latest one counts"
    Replay.objects.filter(verdict="worse").delete()
    Improvement.objects.filter(pk=row.pk).update(risk="medium")
    assert trials.approve_by_policy() == 0
    Improvement.objects.filter(pk=row.pk).update(risk="low")
    assert trials.approve_by_policy() == 1
    row.refresh_from_db()
    assert row.state == "approved" and "policy" in row.decision_reason
    Improvement.objects.filter(pk=row.pk).update(state="proposed")
    assert trials.approve_by_policy() == 0, "one a week"


def test_a_policy_under_which_nothing_could_start_is_refused(policy):
    policy.metrics = []
    with pytest.raises(InvalidInput):
        trials.check_policy(policy)


def test_a_policy_of_an_agent_that_is_not_there_is_refused_on_its_page(policy):
    browser = Browser()
    browser.force_login(User.objects.create_superuser("root", password="x"))
    page = "/admin/learning/trialpolicy/add/"
    form = browser.get(page).context["adminform"].form
    given = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    refused = browser.post(page, {**given, "agent_slug": "nobody"}).content.decode()
    assert "an agent, or empty for all others" in refused
    assert not TrialPolicy.objects.filter(agent_slug="nobody").exists()
    other = Agent.objects.create(slug="other-001", name="O", domain="audit", purpose="Tests.")
    assert browser.post(page, {**given, "agent_slug": other.slug}).status_code == 302
    # Its agent is retired since: the policy can still be turned off.
    Agent.objects.filter(pk=other.pk).update(state=Agent.State.RETIRED)
    kept = TrialPolicy.objects.get(agent_slug=other.slug)
    off = {**given, "agent_slug": other.slug}
    off.pop("is_enabled", None)
    shown = browser.post(f"/admin/learning/trialpolicy/{kept.pk}/change/", off)
    kept.refresh_from_db()
    assert (shown.status_code, kept.is_enabled) == (302, False)


def ask(kind, target=SLUG):
    incident = Incident.objects.create(
        title="Errors", cause=f"cause {Incident.objects.count()}", severity="critical"
    )
    return Action.objects.create(incident=incident, kind=kind, target=target)


def test_an_incident_takes_a_rollout_back(ground):
    firm, agent, _, new = ground
    row = rollouts.begin(
        client_id=firm.pk, agent_slug=SLUG, to_version=new.pk, strategy="custom", stages=STAGES,
        metrics=METRICS,
    )  # fmt: skip
    action = ask("roll_back_rollout")
    tasks.sweep_comparisons()
    row.refresh_from_db()
    action.refresh_from_db()
    assert (row.state, row.state_by) == ("rolled_back", "incident policy")
    assert the_split(agent) is None and action.state == "done"
    late = ask("roll_back_rollout")
    tasks.sweep_comparisons()
    late.refresh_from_db()
    assert late.state == "failed" and "open rollout" in late.result["said"]


def test_an_incident_freezes_an_experiment_and_lets_it_go_but_overrules_no_person(
    engineer, ground, policy
):
    firm, agent, _, new = ground
    row = proposed(firm, new)
    improvements.approve(caller=engineer, improvement_id=row.pk)
    trials.sweep()
    before = the_split(agent)
    ask("pause_rollout")
    tasks.sweep_comparisons()
    assert Experiment.objects.get().state == "paused" and the_split(agent) is None
    ask("resume_rollout")
    tasks.sweep_comparisons()
    assert Experiment.objects.get().state == "running"
    assert (the_split(agent).seed, the_split(agent).arms) == (before.seed, before.arms)
    experiments.pause(caller=engineer, experiment_id=Experiment.objects.get().pk)
    ask("resume_rollout")
    tasks.sweep_comparisons()
    assert Experiment.objects.get().state == "paused"


def test_what_falls_short_of_its_forecast_waits_for_a_person(engineer, ground, policy):
    firm, agent, old, new = ground
    row = proposed(firm, new)
    improvements.approve(caller=engineer, improvement_id=row.pk)
    trials.sweep()
    meet(agent, firm, units=2000, success={old.pk: 0.5, new.pk: 0.98})
    experiments.sweep()
    for seed in (2, 3, 4):
        meet(agent, firm, units=3000, success={old.pk: 0.9, new.pk: 0.9}, seed=seed)
        rollouts.sweep()
    rollout = Rollout.objects.get()
    assert (rollout.state, rollout.stage) == ("paused", 2)
    assert "less than was promised" in rollout.state_reason


def test_a_document_without_numbers_can_neither_agree_nor_disagree():
    assert postcheck({}, {"metrics": []})["agrees"] is None


def test_a_forecast_is_said_in_the_units_of_its_effect():
    def document(scale, kind, **effect):
        row = {"arm": "b", "difference_type": scale, "estimate": 0.334, "lower": 0.194,
               "upper": 0.475, **effect}  # fmt: skip
        return {"metrics": [{"key": "m", "role": "primary", "type": kind, "comparisons": [row]}]}

    points, open_ = document("absolute", "proportion"), document("relative", "mean", lower=None)
    assert "Forecast +33.4 points (+19.4 to +47.5)" in postcheck(points, points)["words"]
    assert "measured +33.4 % on the control (−∞ to +47.5)" in postcheck(points, open_)["words"]
    assert "Nothing was measured" in postcheck(points, {"metrics": []})["words"]


def test_days_are_an_argument_of_every_sweep(engineer, ground, policy):
    firm, agent, old, new = ground
    TrialPolicy.objects.update(minimum_days=5)
    row = proposed(firm, new)
    improvements.approve(caller=engineer, improvement_id=row.pk)
    start = timezone.now() - timedelta(days=10)
    trials.sweep(start)
    assert Experiment.objects.get().started_at == start
    meet(agent, firm, units=900, success={old.pk: 0.6, new.pk: 0.95}, started=start)
    experiments.sweep(start + timedelta(days=4))
    assert Experiment.objects.get().state == "running"
    experiments.sweep(start + timedelta(days=5))
    assert Rollout.objects.get().stage_started_at == start + timedelta(days=5)


def test_a_trial_waits_for_late_words_and_is_sized_for_its_own_test(engineer, ground, policy):
    firm, _, _, new = ground
    sequential = trials.sizes(policy)[0]["planned_units"]
    for kind in ("fixed", "group_sequential", "bandit"):
        policy.test = {"kind": kind}
        trials.check_policy(policy)
        assert trials.sizes(policy)[0]["planned_units"] <= sequential
    policy.test, policy.maturity_hours = {"kind": "fixed"}, 48
    policy.save()
    row = proposed(firm, new)
    improvements.approve(caller=engineer, improvement_id=row.pk)
    trials.sweep()
    made = Experiment.objects.get()
    assert (made.maturity_hours, made.test["kind"]) == (48, "fixed")
    assert made.plan["planned_units"] == trials.sizes(policy)[0]["planned_units"] < sequential


def test_what_was_kept_beside_a_shipped_strategy_keeps_no_trial_from_starting(policy):
    policy.strategy, policy.stages = "gradual", STAGES
    policy.save()
    custom = TrialPolicy.objects.create(
        agent_slug="other", strategy="custom", stages=STAGES, metrics=policy.metrics
    )
    with pytest.raises(InvalidInput):
        trials.check_policy(policy)
    migration = import_module("learning.migrations.0030_stages_of_custom_rollouts_only")
    with connection.cursor() as cursor:
        cursor.execute(migration.POLICIES)
        cursor.execute(migration.PLANS)
    policy.refresh_from_db()
    trials.check_policy(policy)
    assert policy.stages == []
    custom.refresh_from_db()
    assert custom.stages == STAGES
