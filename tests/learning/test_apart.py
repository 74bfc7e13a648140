"""Who meets which experiment: layers, the holdout, warnings; incidents left out; A/A."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client as Browser
from django.utils import timezone

from agents.models import TrafficSplit
from agents.resolving import resolve
from config.access.models import Client
from learning import experiments
from learning.models import Experiment, Variant
from monitoring.models import Alert, AlertRule, Incident
from tests.learning.domain.analysis.test_documents import document
from tests.learning.ground import SLUG, make_agent, meet
from workflows import publishing

pytestmark = pytest.mark.django_db
OTHER = "tax-vat-002"
METRICS = [{"key": "success", "role": "primary"}]
PLAN = {"minimum_days": 0, "minimum_units": 100}
BOTH_AGENTS = f"""
name: both_agents
title: Asks both
access: {{start: [professional]}}
steps:
  first: {{agent: {SLUG}, with: {{n: 1}}}}
  second: {{needs: [first], agent: {OTHER}, with: {{n: 2}}}}
"""


@pytest.fixture
def two(firm):
    return make_agent(), make_agent(slug=OTHER)


def draft(api, agent=SLUG, versions=("1", "2"), **changes):
    body = {
        "agent": agent, "name": f"on {agent}", "metrics": METRICS, "plan": PLAN,
        "variants": [{"version": v, "key": f"arm{i}"} for i, v in enumerate(versions)], **changes,
    }  # fmt: skip
    return api("post", "experiments", body)


def start(api, **given):
    made = draft(api, **given)
    assert made.status_code == 201, made.content
    return api("post", f"experiments/{made.json()['id']}/start", {})


def test_who_finds_the_traffic_held_is_told_by_what(api, two):
    first = start(api).json()["id"]
    refused = start(api)
    assert refused.status_code == 409
    assert f"in the experiment 'on {SLUG}' ({first})" in refused.json()["detail"]
    refused = api("post", "rollouts", {"agent": SLUG, "version": "2"})
    assert refused.status_code == 409 and first in refused.json()["detail"]
    begun = api("post", "rollouts", {"agent": OTHER, "version": "2"}).json()["id"]
    for answer in (
        start(api, agent=OTHER),
        api("post", "rollouts", {"agent": OTHER, "version": "2"}),
    ):
        assert answer.status_code == 409 and begun in answer.json()["detail"]
    refused = api("post", "holdouts", {"share_ratio": 0.2})
    assert refused.status_code == 409
    assert first in refused.json()["detail"] and begun in refused.json()["detail"]


def agent_client():
    return Client.objects.get(is_firm=True)


def met(slug, units, kind="run"):
    """The units that are in the agent's comparison at all."""
    return {u for u in units if resolve(slug, {kind: u}).split_epoch is not None}


def test_two_experiments_of_a_layer_never_share_a_unit(api, two):
    assert api("post", "layers", {"name": "prompts"}).status_code == 201
    assert api("post", "layers", {"name": "prompts"}).status_code == 409
    first = start(api, layer="prompts", layer_share_ratio=0.5)
    assert first.status_code == 200, first.content
    assert start(api, agent=OTHER, layer="prompts", layer_share_ratio=0.5).status_code == 200
    units = [f"run-{n}" for n in range(800)]
    ones, others = met(SLUG, units), met(OTHER, units)
    assert not ones & others and ones | others == set(units)
    assert 300 < len(ones) < 500
    layer = api("get", "layers").json()["results"][0]
    assert layer["free_ratio"] == 0 and len(layer["experiments"]) == 2


def test_a_layer_without_room_refuses_until_one_ends(api, two):
    api("post", "layers", {"name": "prompts"})
    first = start(api, layer="prompts", layer_share_ratio=0.7).json()
    refused = start(api, agent=OTHER, layer="prompts", layer_share_ratio=0.4)
    assert refused.status_code == 409 and "30%" in refused.json()["detail"]
    assert Experiment.objects.get(agent_slug=OTHER).state == "draft"
    api("post", f"experiments/{first['id']}/stop", {"reason": "enough"})
    waiting = Experiment.objects.get(agent_slug=OTHER)
    assert api("post", f"experiments/{waiting.pk}/start", {}).status_code == 200
    assert draft(api, layer="prompts", unit="user").json()["field"] == "unit"
    assert draft(api, layer="nowhere").status_code == 404


def test_a_paused_experiment_keeps_its_place_in_the_layer(api, two):
    api("post", "layers", {"name": "prompts"})
    first = start(api, layer="prompts", layer_share_ratio=0.7).json()
    units = [f"run-{n}" for n in range(300)]
    before = met(SLUG, units)
    api("post", f"experiments/{first['id']}/pause", {})
    assert start(api, agent=OTHER, layer="prompts", layer_share_ratio=0.4).status_code == 409
    api("post", f"experiments/{first['id']}/resume", {})
    assert met(SLUG, units) == before


def test_who_is_held_out_meets_no_experiment(api, two):
    held = api("post", "holdouts", {"share_ratio": 0.2, "reason": "what it all gains"})
    assert held.status_code == 201, held.content
    assert api("post", "holdouts", {"share_ratio": 0.1}).status_code == 409
    assert api("post", "holdouts", {"share_ratio": 0.9}).status_code == 422
    start(api, unit="user")
    start(api, agent=OTHER, unit="user")
    users = [f"user-{n}" for n in range(1000)]
    out = set(users) - met(SLUG, users, "user")
    assert 150 < len(out) < 250
    assert out == set(users) - met(OTHER, users, "user")
    path = f"holdouts/{held.json()['id']}/close"
    assert api("post", path).json()["closed_at"] and api("post", path).status_code == 409
    refused = api("post", "holdouts", {"share_ratio": 0.1})  # these have met somebody already
    assert refused.status_code == 409


def test_who_is_held_out_meets_no_stage_of_a_rollout(api, two):
    held = api("post", "holdouts", {"share_ratio": 0.2}).json()
    stages = [{"share": 0.5, "minimum_hours": 0, "minimum_units": 20}, {"share": 1}]
    given = {"agent": SLUG, "version": "2", "strategy": "custom", "stages": stages,
             "unit": "user"}  # fmt: skip
    path = f"rollouts/{api('post', 'rollouts', given).json()['id']}"
    users = [f"user-{n}" for n in range(1000)]
    out = set(users) - met(SLUG, users, "user")
    assert 150 < len(out) < 250
    # Closing the holdout does not change who is in what began before.
    assert api("post", f"holdouts/{held['id']}/close").status_code == 200
    assert api("post", f"{path}/advance", {}).json()["stage"] == 1
    assert out == set(users) - met(SLUG, users, "user")
    refused = api("post", "holdouts", {"share_ratio": 0.1})
    assert refused.status_code == 409 and "the rollout" in refused.json()["detail"]


def test_experiments_that_meet_the_same_work_warn_of_each_other(api, two, person):
    publishing.publish(BOTH_AGENTS)
    first = start(api).json()
    assert first["warnings"] == []
    second = start(api, agent=OTHER).json()
    (warning,) = second["warnings"]
    assert warning["experiment_id"] == first["id"]
    assert warning["shared"] == ["workflow:both_agents"]
    browser = Browser()
    browser.force_login(person("reviewer"))
    text = browser.get(f"/dashboard/experiments/{first['id']}").content.decode()
    assert "meets the same work (workflow:both_agents)" in text
    draft = {"agent": first["agent_slug"], "name": "a second", "variants": [
        {"key": "a", "version": "1"}, {"key": "b", "version": "1"}]}  # fmt: skip
    (warning, _) = sorted(api("post", "experiments", draft).json()["warnings"],
                          key=lambda one: one["shared"])  # fmt: skip
    assert "can't start before that has ended" in warning["words"]
    assert "layer" not in warning["words"]
    api("post", f"experiments/{second['id']}/stop", {"reason": "x"})
    assert api("get", f"experiments/{first['id']}").json()["warnings"] == []


def test_within_one_layer_there_is_nothing_to_warn_of(api, two):
    publishing.publish(BOTH_AGENTS)
    api("post", "layers", {"name": "vat"})
    start(api, layer="vat", layer_share_ratio=0.5)
    second = start(api, agent=OTHER, layer="vat", layer_share_ratio=0.5).json()
    assert second["warnings"] == []


def an_incident(began, ended=None, key=SLUG, scope="agent", severity="high"):
    rule = AlertRule.objects.create(
        slug=f"rule-{AlertRule.objects.count()}", title="Errors", kind="threshold",
        metric="errors", scope=scope, statistic="ratio", limit=0.1,
    )  # fmt: skip
    incident = Incident.objects.create(
        cause=key, title="provider down", severity=severity, opened_at=began + timedelta(minutes=1),
        resolved_at=ended, state="resolved" if ended else "open",
    )  # fmt: skip
    Alert.objects.create(rule=rule, incident=incident, scope=scope, key=key, severity=severity,
                         state="resolved" if ended else "firing", pending_since=began)  # fmt: skip
    return incident


def running(api, days=4, **given):
    made = start(api, **given)
    assert made.status_code == 200, made.content
    began = timezone.now() - timedelta(days=days)
    Experiment.objects.filter(pk=made.json()["id"]).update(started_at=began)
    return made.json()["id"], began


def test_what_came_in_an_incident_is_left_out_and_said(api, two):
    (agent, old, new), _ = two
    uid, began = running(api, autoconclude=True)
    firm = agent_client()
    meet(agent, firm, units=600, success={old.pk: 0.6, new.pk: 0.9}, started=began)
    outage = began + timedelta(days=2)
    meet(agent, firm, units=200, success={old.pk: 0.0, new.pk: 0.0}, seed=2, started=outage)
    incident = an_incident(outage - timedelta(minutes=1))
    assert experiments.sweep() == 0  # nothing is concluded while it lasts
    frozen = api("get", f"experiments/{uid}/analysis").json()
    assert frozen["is_frozen"] and frozen["headline"].startswith("Frozen while an incident lasts")
    incident.resolved_at, incident.state = outage + timedelta(hours=1), "resolved"
    incident.save()
    experiments.refresh(Experiment.objects.get(pk=uid))
    found = api("get", f"experiments/{uid}/analysis").json()
    assert found["verdict"] == "ship" and sum(found["progress"]["units"].values()) == 600
    assert "Left out: 200 units that came during “provider down”." in found["headline"]
    assert found["incidents"][0]["title"] == "provider down"
    assert experiments.sweep() == 1


def test_what_was_ended_in_an_incident_is_not_called_frozen(api, two, person):
    (agent, old, new), _ = two
    uid, began = running(api)
    meet(agent, agent_client(), units=40, success={old.pk: 0.7, new.pk: 0.7}, started=began)
    an_incident(began - timedelta(minutes=1))
    experiments.sweep()
    browser = Browser()
    browser.force_login(person("platform_engineer"))
    pages = ("/dashboard/learning", f"/dashboard/experiments/{uid}")
    assert all("Frozen while an incident" in browser.get(p).content.decode() for p in pages)
    assert api("post", f"experiments/{uid}/stop", {"reason": "enough"}).status_code == 200
    for path in pages:
        page = browser.get(path).content.decode()
        assert "Frozen" not in page and "Left out" in page


def test_incidents_of_others_and_hints_leave_nothing_out(api, two):
    (agent, old, new), _ = two
    uid, began = running(api)
    meet(agent, agent_client(), units=300, success={old.pk: 0.7, new.pk: 0.7}, started=began)
    an_incident(began - timedelta(hours=1), key="acc-other-001")
    an_incident(began - timedelta(hours=1), severity="low")
    an_incident(began - timedelta(hours=1), scope="queue", key="analysis")  # carries no call
    an_incident(began - timedelta(hours=1), scope="all", key="queue analysis")
    experiments.sweep()
    found = api("get", f"experiments/{uid}/analysis").json()
    assert found["left_out_units"] == 0 and found["incidents"] == []


def test_an_incident_of_a_queue_that_carries_calls_is_everybodys(api, two):
    (agent, old, new), _ = two
    uid, began = running(api)
    meet(agent, agent_client(), units=300, success={old.pk: 0.7, new.pk: 0.7}, started=began)
    an_incident(began - timedelta(hours=1), scope="queue", key="default")
    experiments.sweep()
    assert api("get", f"experiments/{uid}/analysis").json()["left_out_units"] == 300


def test_harm_does_not_hide_behind_the_incident_that_it_caused(api, two):
    (agent, old, new), _ = two
    uid, began = running(api)
    meet(agent, agent_client(), units=1000, success={old.pk: 0.9, new.pk: 0.3}, started=began)
    an_incident(began - timedelta(hours=1))
    assert experiments.sweep() == 1
    row = Experiment.objects.get(pk=uid)
    assert (row.verdict, row.state) == ("rollback", "concluded")
    assert not TrafficSplit.objects.filter(closed_at=None).exists()


def test_an_incident_that_lasts_longer_moves_units_out_of_the_figures(api, two):
    (agent, old, new), _ = two
    uid, began = running(api)
    meet(agent, agent_client(), units=300, success={old.pk: 0.7, new.pk: 0.7}, started=began)
    row = Experiment.objects.get(pk=uid)
    assert experiments.refresh(row)["left_out_units"] == 0
    an_incident(began - timedelta(hours=1), began + timedelta(hours=1))
    found = experiments.refresh(row)
    assert found["left_out_units"] == 300 and sum(found["progress"]["units"].values()) == 0


def test_an_aa_test_judges_the_set_up_and_ships_nothing(api, two):
    (agent, old, _), _ = two
    assert draft(api, mode="aa").json()["field"] == "variants"
    assert draft(api, versions=("1", "1"), mode="ab").status_code == 422
    uid, began = running(api, versions=("1", "1"), mode="aa", autoconclude=True)
    assert api("get", f"experiments/{uid}").json()["is_aa"]
    rows = meet(agent, agent_client(), units=800, success={old.pk: 0.7}, started=began)
    experiments.sweep()
    found = api("get", f"experiments/{uid}/analysis").json()
    assert found["headline"].startswith("A/A: ") and found["verdict"] == "inconclusive"
    control = Variant.objects.get(experiment=uid, is_control=True).ranges
    for row in rows:  # one arm's failures are logged as successes
        if not any(a <= row.bucket < b for a, b in control):
            type(row).objects.filter(pk=row.pk).update(state="succeeded")
    assert experiments.sweep() == 0
    found = api("get", f"experiments/{uid}/analysis").json()
    assert found["verdict"] == "review" and "Don't trust this set-up" in found["headline"]


@pytest.mark.parametrize("door", ["api", "command", "live"])
def test_a_unit_in_an_arm_of_weight_zero_withholds_the_verdict(api, two, tmp_path, door):
    given = document()
    given["experiment"]["weights"] = {"control": 1, "b": 1, "parked": 0}
    given["arms"].append({"key": "parked", "metrics": {"accuracy": {"n": 3, "successes": 2}}})
    if door == "api":
        found = api("post", "experiments/analysis", given).json()
    elif door == "command":
        path, out = tmp_path / "stats.json", StringIO()
        path.write_text(json.dumps(given))
        call_command("analyse_experiment", str(path), stdout=out)
        found = json.loads(out.getvalue())
    else:
        found = a_live_stray(api, two)
    assert found["verdict"] == "review" and "don't read this" in found["headline"]
    assert found["sample_ratio"]["mismatch"] and found["sample_ratio"]["stray_units"] == 3


def a_live_stray(api, two):
    (agent, old, new), _ = two
    made = start(api, variants=[{"version": "1", "key": "a"}, {"version": "1", "key": "b"},
                                {"version": "2", "key": "parked", "weight": 0}])  # fmt: skip
    rows = meet(agent, agent_client(), units=400, success={old.pk: 0.7, new.pk: 0.7})
    for row in rows[:3]:  # somebody let three units meet it all the same, past every range
        type(row).objects.filter(pk=row.pk).update(version_id=new.pk, bucket=10_000)
    experiments.sweep()
    return api("get", f"experiments/{made.json()['id']}/analysis").json()


def test_an_arm_of_weight_zero_that_nobody_met_changes_nothing(api, firm):
    given = document()
    given["experiment"]["weights"] = {"control": 1, "b": 1, "parked": 0}
    given["arms"].append({"key": "parked", "metrics": {"accuracy": {"n": 0, "successes": 0}}})
    found = api("post", "experiments/analysis", given).json()
    assert not found["sample_ratio"]["mismatch"] and found["verdict"] == "ship"
