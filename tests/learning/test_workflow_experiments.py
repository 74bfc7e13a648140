"""Experiments on a whole workflow: its versions, or the agents in it, run by run, over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from threading import Barrier, BrokenBarrierError

import pytest
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone

from agents import versions
from agents.domain import traffic
from agents.invoke import invoke
from agents.models import Agent, Invocation, TrafficSplit
from config.access.models import Client
from learning import experiments, tasks
from learning.experiments import adopting, shipping
from learning.models import Experiment, Rollout, Tombstone, Variant
from monitoring.models import AuditEntry
from tests.agents.conftest import SLUG, ground, model, offline, publish
from tests.workflows.conftest import Broker, broker
from workflows import publishing
from workflows.models import Run, WorkflowVersion

__all__ = ["broker", "ground", "model", "offline"]
pytestmark = pytest.mark.django_db(transaction=True)
METRICS = [{"key": "success", "role": "primary"}]
SOUND = """
name: filing
title: Filing
access: {start: [professional, platform_engineer]}
steps:
  check: {tool: core.echo, with: {value: 1}}
outputs: {value: "${ steps.check.output.value }"}
"""
BROKEN = SOUND.replace("{tool: core.echo, with: {value: 1}}",
                       "{tool: core.fail, with: {times: 9}, retry: {max_attempts: 1}}").replace(
    'outputs: {value: "${ steps.check.output.value }"}', 'outputs: {n: "${ steps.check.output.attempt }"}')  # fmt: skip  # noqa: E501
ASKS = f"""
name: asks
title: Asks an agent
access: {{start: [professional, platform_engineer]}}
inputs: {{type: object}}
steps:
  ask: {{agent: {SLUG}, with: {{n: "${{ inputs.n }}"}}}}
"""


def draft(api, workflow, variants, **changes):
    body = {
        "workflow": workflow, "name": f"on {workflow}", "metrics": METRICS, "variants": variants,
        "plan": {"minimum_days": 0, "minimum_units": 4},
        # Tuned to what a test can run, so that chance decides nothing here.
        "test": {"kind": "sequential", "difference_type": "absolute", "tuning": 30}, **changes,
    }  # fmt: skip
    return api("post", "experiments", body)


def started(api, *given, **changes):
    made = draft(api, *given, **changes)
    assert made.status_code == 201, made.content
    uid = made.json()["id"]
    answer = api("post", f"experiments/{uid}/start", {})
    assert answer.status_code == 200, answer.content
    return uid


def runs_of(api, broker: Broker, workflow, count, **inputs):
    ids = []
    for number in range(count):
        made = api("post", "runs", {"workflow": workflow, "inputs": {"n": number, **inputs}})
        assert made.status_code in (201, 202), made.content
        ids.append(made.json()["id"])
    broker.drain()
    return Run.objects.in_bulk(ids)


@pytest.fixture
def filing(firm):
    """Two versions, the first of them current."""
    publishing.publish(SOUND)
    publishing.publish(BROKEN)
    publishing.make_current("filing", 1)


TWO = [{"version": "1", "key": "today", "is_control": True}, {"version": "2", "key": "new"}]


def test_runs_meet_the_version_of_their_arm_and_harm_ends_it(api, filing, broker):
    uid = started(api, "filing", TWO)
    row = Experiment.objects.get(pk=uid)
    arms = {v.version_number: v.ranges for v in Variant.objects.filter(experiment=uid)}
    runs = runs_of(api, broker, "filing", 30)
    for run in runs.values():
        bucket = traffic.bucket_of(row.seed, str(run.pk))
        (number,) = [n for n, r in arms.items() if any(a <= bucket < b for a, b in r)]
        assert (run.version.number, run.split_epoch, run.bucket) == (number, 1, bucket)
        assert run.state == ("succeeded" if number == 1 else "failed")
    assert experiments.sweep() == 1
    found = api("get", f"experiments/{uid}/analysis").json()
    assert found["verdict"] == "rollback" and sum(found["progress"]["units"].values()) == 30
    assert any("demonstrations" in note and "stay outside" in note for note in found["notes"])
    assert api("get", "experiments?workflow=filing&state=concluded").json()["results"]
    after = runs_of(api, broker, "filing", 5)
    assert {(r.version.number, r.split_epoch) for r in after.values()} == {(1, None)}


def test_a_winner_that_nobody_has_to_decide_about_is_made_current_by_the_sweep(
    api, filing, broker, firm
):
    publishing.make_current("filing", 2)
    broken_first = [{**TWO[1], "is_control": True}, {**TWO[0], "is_control": False}]
    uid = started(api, "filing", broken_first, autoconclude=True)
    runs_of(api, broker, "filing", 60)
    tasks.sweep_comparisons()  # what beat sends each minute
    found = api("get", f"experiments/{uid}").json()
    assert (found["state"], found["verdict"]) == ("concluded", "ship"), found["headline"]
    after = runs_of(api, broker, "filing", 3)
    assert {(r.version.number, r.split_epoch) for r in after.values()} == {(1, None)}
    assert AuditEntry.objects.filter(action="workflows.version.made_current",
                                     actor="system:learning").exists()  # fmt: skip


def test_a_winner_without_the_approval_of_today_waits_for_a_person(api, filing, broker):
    sign = "  sign: {approval: {role: reviewer}, needs: [check]}"
    approved = BROKEN.replace("outputs:", f"{sign}\noutputs:")
    publishing.publish(approved)  # the third, and current
    given = [{"version": "3", "key": "today", "is_control": True}, {"version": "1", "key": "new"}]
    uid = started(api, "filing", given, autoconclude=True)
    runs_of(api, broker, "filing", 60)
    tasks.sweep_comparisons()
    found = api("get", f"experiments/{uid}").json()
    assert (found["state"], found["verdict"]) == ("concluded", "ship"), found["headline"]
    assert found["state_reason"].endswith("It waits for a person: its approvals are others.")
    assert {r.version.number for r in runs_of(api, broker, "filing", 2).values()} == {3}


def test_a_run_on_a_named_version_and_a_demonstration_stay_outside(api, filing, broker):
    started(api, "filing", TWO)
    made = api("post", "runs", {"workflow": "filing", "inputs": {}, "version": "1"})
    assert Run.objects.get(pk=made.json()["id"]).split_epoch is None


def test_by_client_all_runs_of_one_client_have_one_arm(api, filing, broker, firm):
    uid = started(api, "filing", TWO, unit="client")
    runs = runs_of(api, broker, "filing", 6)
    assert len({run.version_id for run in runs.values()}) == 1
    experiments.sweep()
    found = api("get", f"experiments/{uid}/analysis").json()
    assert sum(found["progress"]["units"].values()) == 1  # one client is one unit


def test_an_aa_test_on_a_workflow_has_one_version_in_two_arms(api, filing, broker):
    same = [{"version": "1", "key": "a"}, {"version": "1", "key": "b"}]
    uid = started(api, "filing", same, mode="aa")
    runs_of(api, broker, "filing", 40)
    experiments.sweep()
    found = api("get", f"experiments/{uid}/analysis").json()
    assert found["is_aa"] and min(found["progress"]["units"].values()) > 1


@pytest.mark.parametrize(
    ("variants", "changes", "status", "field"),
    [
        (TWO, {"unit": "user"}, 422, "unit"),
        (TWO, {"agent": "tax-vat-001"}, 422, "agent"),
        (TWO, {"metrics": [{"key": "tokens", "role": "primary"}]}, 422, "metrics[0].key"),
        ([TWO[0], {"version": "9"}], {}, 404, None),
        ([TWO[0], {"agents": {"tax-vat-001": "1"}, "key": "x"}], {}, 422,
         "variants[1].agents.tax-vat-001"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_on_a_workflow_is_refused(
    api, filing, variants, changes, status, field
):
    answer = draft(api, "filing", variants, **changes)
    assert answer.status_code == status and answer.json().get("field") == field
    assert not Experiment.objects.exists()


def test_arms_may_be_versions_of_the_agents_in_the_runs(api, ground, broker, firm):
    publish(SLUG)
    agent = Agent.objects.get(slug=SLUG)
    production = agent.labels.get(name="production").version
    content = versions.content_of(production)
    content = replace(content, prompt=content.prompt + "\nBe brief.")
    new, _ = versions.publish(agent=agent, content=content)
    publishing.publish(ASKS)
    uid = started(api, "asks", [
        {"key": "today", "is_control": True, "agents": {SLUG: str(production.number)}},
        {"key": "brief", "agents": {SLUG: str(new.number)}},
    ])  # fmt: skip
    row = Experiment.objects.get(pk=uid)
    arms = {v.agent_versions[SLUG]: v.ranges for v in row.variants.all()}
    runs = runs_of(api, broker, "asks", 24)
    calls = Invocation.objects.filter(run_id__in=list(runs))
    assert calls.count() == 24
    for call in calls:
        bucket = traffic.bucket_of(row.seed, str(call.run_id))
        assert traffic.arm_of(arms, bucket) == str(call.version_id)
        assert call.bucket == bucket == runs[call.run_id].bucket
    assert {str(c.version_id) for c in calls} == set(arms)  # of so many runs both arms met some

    outside = invoke(_call(firm))  # the agent's other work is not part of it
    assert outside.version_id == production.pk
    busy = {"agent": SLUG, "name": "x", "variants": [{"version": "1"}, {"version": "2"}]}
    made = api("post", "experiments", busy).json()["id"]
    assert api("post", f"experiments/{made}/start", {}).status_code == 409
    assert api("post", "rollouts", {"agent": SLUG, "version": str(new.number)}).status_code == 409

    api("post", f"experiments/{uid}/stop", {"reason": "enough"})
    later = runs_of(api, broker, "asks", 4)
    met = Invocation.objects.filter(run_id__in=list(later)).values_list("version_id", flat=True)
    assert set(met) == {production.pk}
    assert api("post", f"experiments/{made}/start", {}).status_code == 200


@pytest.fixture
def two_versions(ground, firm):
    """An agent of low risk in a workflow, with a version that is not in production."""
    publish(SLUG)
    Agent.objects.filter(slug=SLUG).update(risk="low")
    agent = Agent.objects.get(slug=SLUG)
    production = agent.labels.get(name="production").version
    content = versions.content_of(production)
    new, _ = versions.publish(agent=agent, content=replace(content, prompt=f"{content.prompt} Ok."))
    publishing.publish(ASKS)
    return production, new


def rated(api, broker, production, new, meanwhile=lambda: None):
    """An experiment on the workflow in whose runs people like the new version far better."""
    uid = started(api, "asks", [
        {"key": "today", "is_control": True, "agents": {SLUG: str(production.number)}},
        {"key": "better", "agents": {SLUG: str(new.number)}},
    ], metrics=[{"key": "rating", "role": "primary"}], autoconclude=True)  # fmt: skip
    rate(api, broker, production, new)
    meanwhile()
    tasks.sweep_comparisons()  # what beat sends each minute
    return api("get", f"experiments/{uid}").json()


def rate(api, broker, production, new):
    runs = runs_of(api, broker, "asks", 84)  # twenty ratings of each arm, at any draw
    likes = {new.pk: (5, 4), production.pk: (1, 2)}
    for number, call in enumerate(Invocation.objects.filter(run_id__in=list(runs))):
        said = {"subject_kind": "run", "subject_id": str(call.run_id), "kind": "rating",
                "rating": likes[call.version_id][number % 2]}  # fmt: skip
        assert api("post", "feedback", said).status_code == 201


def test_a_winner_that_names_agents_versions_rolls_them_out_in_stages(
    api, two_versions, broker, firm
):
    production, new = two_versions
    found = rated(api, broker, production, new)
    assert (found["state"], found["verdict"]) == ("concluded", "ship"), found["headline"]
    (row,) = api("get", f"rollouts?agent={SLUG}").json()["results"]
    assert (row["state"], row["stage"], row["experiment"]) == ("running", 0, found["id"])
    assert row["to_version_id"] == str(new.pk) and row["stages"][0]["share"] == 0.1
    # It also answers outside of the workflow now: in its stage's share, beside an equal control.
    split = TrafficSplit.objects.get(agent__slug=SLUG, closed_at=None)
    assert split.audience == [] and split.reason == f"rollout {row['id']} stage 0"
    buckets = [traffic.bucket_of(split.seed, f"u{n}") for n in range(400)]
    inside = next(f"u{n}" for n, b in enumerate(buckets)
                  if traffic.arm_of(split.arms, b) == str(new.pk))  # fmt: skip
    told = api("post", f"agents/{SLUG}/invocations", {"inputs": {"n": 1}, "unit": inside})
    assert told.status_code == 200, told.content
    assert Invocation.objects.get(unit=inside).version_id == new.pk
    assert AuditEntry.objects.filter(action="learning.rollout.begun").exists()


@pytest.mark.slow
def test_a_winner_whose_agents_version_is_barred_changes_nothing_and_says_why(
    api, two_versions, broker, firm
):
    production, new = two_versions

    def bar():
        Tombstone.objects.create(client_id=firm.pk, agent_slug=SLUG, version_id=new.pk,
                                 digest=new.digest, reason="was worse")  # fmt: skip

    found = rated(api, broker, production, new, bar)
    assert (found["state"], found["verdict"]) == ("concluded", "ship"), found["headline"]
    assert "It waits for a person" in found["state_reason"]
    assert api("get", f"rollouts?agent={SLUG}").json()["results"] == []
    assert not TrafficSplit.objects.filter(closed_at=None).exists()


def _call(firm: Client):
    from agents.calls import Call

    return Call(agent=SLUG, inputs={"n": 1}, client_id=firm.pk)


def test_what_people_say_of_runs_is_counted_in_their_arms(api, filing, broker):
    same = [{"version": "1", "key": "a"}, {"version": "1", "key": "b"}]
    metrics = [{"key": "rating", "role": "primary"}]
    uid = started(api, "filing", same, metrics=metrics)
    runs = runs_of(api, broker, "filing", 6)
    for run_id in runs:
        said = {"subject_kind": "run", "subject_id": str(run_id), "kind": "rating", "rating": 4}
        assert api("post", "feedback", said).status_code == 201
    experiments.sweep()
    found = api("get", f"experiments/{uid}/analysis").json()
    arms = found["metrics"][0]["arms"]
    assert sum(arm["n"] for arm in arms) == 6 and {arm["mean"] for arm in arms} <= {4.0, None}
    assert not Tombstone.objects.exists()


def test_steps_are_assigned_by_the_unit_that_an_agents_split_asks_for(api, ground, broker, firm):
    publish(SLUG)
    agent = Agent.objects.get(slug=SLUG)
    content = versions.content_of(agent.labels.get(name="production").version)
    new, _ = versions.publish(agent=agent, content=replace(content, prompt=f"{content.prompt} Ok."))
    publishing.publish(ASKS)
    for unit in ("client", "user", "conversation"):
        made = api("post", "experiments", {
            "agent": SLUG, "name": unit, "unit": unit, "metrics": METRICS,
            "variants": [{"version": "production"}, {"version": str(new.number)}],
        }).json()["id"]  # fmt: skip
        api("post", f"experiments/{made}/start", {})
        runs = runs_of(api, broker, "asks", 2)
        calls = Invocation.objects.filter(run_id__in=list(runs))
        wanted = {"client": {str(firm.pk)}, "conversation": {""},
                  "user": {str(run.started_by_id) for run in runs.values()}}[unit]  # fmt: skip
        assert set(calls.values_list("unit", flat=True)) == wanted
        api("post", f"experiments/{made}/stop", {"reason": "x"})


@pytest.mark.parametrize(("maturity", "counted"), [(1.0, 12), (0.0, 6)])
def test_runs_that_hang_count_as_failed_once_they_are_old_enough(
    api, filing, broker, maturity, counted
):
    both = [{"version": "1", "key": "a"}, {"version": "1", "key": "b"}]
    metrics = [{"key": "success", "role": "primary"}, {"key": "seconds"}]
    uid = started(api, "filing", both, maturity_hours=maturity, metrics=metrics)
    ended = runs_of(api, broker, "filing", 6)
    hanging = [api("post", "runs", {"workflow": "filing", "inputs": {}}) for _ in range(6)]
    assert {made.status_code for made in hanging} <= {201, 202}
    experiments.sweep(timezone.now() + timedelta(hours=2))
    found = api("get", f"experiments/{uid}/analysis").json()
    arms = found["metrics"][0]["arms"]
    assert sum(arm["n"] for arm in arms) == counted
    assert round(sum((arm["mean"] or 0) * arm["n"] for arm in arms)) == len(ended)
    if maturity:  # each took the hour after which it counts, at any look
        for hours in (3, 9):
            experiments.sweep(timezone.now() + timedelta(hours=hours))
            arms = api("get", f"experiments/{uid}/analysis").json()["metrics"][1]["arms"]
            seconds = sum((arm["mean"] or 0) * arm["n"] for arm in arms)
            assert 6 * 3600 <= seconds < 6 * 3600 + 60, seconds
    broker.drain()
    experiments.sweep(timezone.now() + timedelta(hours=2))
    arms = api("get", f"experiments/{uid}/analysis").json()["metrics"][0]["arms"]
    assert [(sum(arm["n"] for arm in arms), {arm["mean"] for arm in arms})] == [(12, {1.0})]


def test_a_winner_that_waits_is_rolled_out_by_a_person(api, two_versions, broker, person):
    """It waited for good: neither the page nor the API had a way to go on with it."""
    production, new = two_versions
    Agent.objects.filter(slug=SLUG).update(risk="high")
    found = rated(api, broker, production, new)
    assert "not of low risk" in found["state_reason"] and found["rollouts"] == []
    path = f"experiments/{found['id']}"
    browser = Browser()
    browser.force_login(person("platform_engineer"))
    page = browser.get(f"/dashboard/{path}").content.decode()
    assert "Roll out better" in page and f"v{new.number}</a>" in page  # the agent's version, too
    bad = api("post", f"{path}/roll-out", {"strategy": "warp"})
    assert (bad.status_code, bad.json()["field"]) == (422, "strategy")
    done = api("post", f"{path}/roll-out", {"strategy": "canary", "reason": "worth it"})
    assert done.status_code == 200, done.content
    assert done.json()["state_reason"] == "worth it"
    (row,) = api("get", f"rollouts?agent={SLUG}").json()["results"]
    assert (row["strategy"], row["to_version_id"]) == ("canary", str(new.pk))
    assert done.json()["rollouts"] == [row["id"]]
    assert api("post", f"{path}/roll-out").status_code == 409  # once
    assert "Roll out better" not in browser.get(f"/dashboard/{path}").content.decode()


def test_a_winner_that_is_current_already_only_rolls_out_its_agents(
    api, two_versions, broker, firm
):
    """It was said to have been made current while it ran, which was not so."""
    production, new = two_versions
    publishing.publish(ASKS.replace("title: Asks", "title: Still asks"))
    uid = started(api, "asks", [
        {"key": "today", "is_control": True, "version": "1"},
        {"key": "better", "version": "2", "agents": {SLUG: str(new.number)}},
    ], metrics=[{"key": "rating", "role": "primary"}], autoconclude=True)  # fmt: skip
    rate(api, broker, production, new)
    tasks.sweep_comparisons()
    found = api("get", f"experiments/{uid}").json()
    assert (found["verdict"], "person" in found["state_reason"]) == ("ship", False)
    assert len(found["rollouts"]) == 1


def test_a_winner_is_not_rolled_out_over_a_version_that_nobody_compared(api, two_versions, broker):
    production, new = two_versions
    found = rated(api, broker, production, new, lambda: publishing.publish(
        ASKS + "\ndescription: Another one.\n"))  # fmt: skip
    assert "v2 is current, and only v1 took part" in found["state_reason"]
    refused = api("post", f"experiments/{found['id']}/roll-out")
    assert refused.status_code == 409 and "v2 is current" in refused.json()["detail"]
    assert not Rollout.objects.exists()


def decided(api, workflow, variants):
    """An experiment whose second arm was found better, and waits for a person; its id."""
    uid = started(api, workflow, variants)
    api("post", f"experiments/{uid}/stop", {"reason": "x"})
    found = api("get", f"experiments/{uid}/analysis").json()
    found |= {"arm": variants[1]["key"], "stop_arms": []}
    Experiment.objects.update(state="concluded", verdict="ship", analysis=found)
    return uid


@pytest.fixture
def waiting(api, filing):
    return decided(api, "filing", TWO)


def test_of_two_who_roll_a_winner_out_at_once_one_does(api, waiting, monkeypatch):
    both = Barrier(2)
    plain = shipping.candidate

    def slow(experiment):
        found = plain(experiment)
        with suppress(BrokenBarrierError):  # the other one does not come so far meanwhile
            both.wait(2)
        return found

    monkeypatch.setattr(shipping, "candidate", slow)

    def ask(reason):
        try:
            answer = api("post", f"experiments/{waiting}/roll-out", {"reason": reason})
            return answer.status_code, reason
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(ask, ["mine", "yours"]))
    assert [status for status, _ in answers] == [200, 409]
    row = Experiment.objects.get(pk=waiting)
    entry = AuditEntry.objects.get(action="learning.experiment.rolled_out")
    assert row.state_reason == answers[0][1] and entry.target == f"experiment:{waiting}"


@pytest.mark.parametrize("by_person", [True, False])
def test_a_winner_takes_no_place_that_another_version_took_meanwhile(
    api, waiting, monkeypatch, by_person
):
    plain = adopting._strange

    def slow(*asked):
        found = plain(*asked)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(choose).result()
        return found

    def choose():
        try:
            publishing.publish(SOUND + "description: A person's choice.\n")
        finally:
            connection.close()

    monkeypatch.setattr(adopting, "_strange", slow)
    if by_person:
        refused = api("post", f"experiments/{waiting}/roll-out")
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        assert "v3" in refused.json()["detail"] and "v1 or v2" in refused.json()["detail"]
    else:
        monkeypatch.setattr(adopting, "needs_person", lambda **facts: "")
        assert "at v3" in adopting.adopt(Experiment.objects.get(pk=waiting), "new")
    current = WorkflowVersion.objects.get(workflow__name="filing", is_current=True)
    assert current.number == 3


def test_a_barred_version_of_an_agent_keeps_the_workflows_version_back_as_well(
    api, two_versions, firm, monkeypatch
):
    """All of the winner or nothing, by a person and by the sweep."""
    _, new = two_versions
    publishing.publish(ASKS.replace("title: Asks", "title: Still asks"))
    publishing.make_current("asks", 1)
    uid = decided(api, "asks", [
        {"key": "today", "is_control": True, "version": "1"},
        {"key": "better", "version": "2", "agents": {SLUG: str(new.number)}},
    ])  # fmt: skip
    Tombstone.objects.create(client_id=firm.pk, agent_slug=SLUG, version_id=new.pk,
                             digest=new.digest, reason="was worse")  # fmt: skip
    refused = api("post", f"experiments/{uid}/roll-out", {"reason": "now"})
    assert refused.json()["code"] == "barred", refused.content
    monkeypatch.setattr(adopting, "needs_person", lambda **facts: "")
    assert "was worse" in adopting.adopt(Experiment.objects.get(pk=uid), "better")
    assert WorkflowVersion.objects.get(workflow__name="asks", is_current=True).number == 1
    assert Experiment.objects.get(pk=uid).state_reason == "x" and not Rollout.objects.exists()
    assert not TrafficSplit.objects.filter(closed_at=None).exists()


def test_an_arm_of_a_version_that_is_not_current_is_warned_about_too(api, two_versions):
    """Its runs ask the agent all the same; only the current version's agents were known."""
    publishing.publish(SOUND.replace("name: filing", "name: asks"))
    variants = [{"version": "1", "is_control": True}, {"version": "2"}]
    started(api, "asks", [{**one, "key": f"v{one['version']}"} for one in variants])
    made = api("post", "experiments", {"agent": SLUG, "name": "wording", "variants": variants})
    assert made.status_code == 201, made.content
    assert [one["shared"] for one in made.json()["warnings"]] == [[f"agent:{SLUG}"]]


def test_warnings_ask_no_more_of_the_database_where_more_experiments_are_open(
    api, filing, django_assert_max_num_queries
):
    """Each arm of each open one was asked for, once for each experiment of a list."""
    row = Experiment.objects.get(pk=draft(api, "filing", TWO).json()["id"])
    for number in range(3):
        name = f"other_{number}"
        for text in (SOUND, BROKEN):
            publishing.publish(text.replace("name: filing", f"name: {name}"))
        started(api, name, TWO)
    experiments.overlaps(row)
    with django_assert_max_num_queries(4):
        assert experiments.overlaps(row) == []
