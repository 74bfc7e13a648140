"""Only what a replay found no worse goes live, or what a person lets go by name."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from agents import versions
from agents.models import TrafficSplit
from config.access.models import Membership, User
from learning import cycles, experiments, improvements, replay, tasks, trials
from learning.models import Experiment, Improvement, Replay, Rollout, Tombstone, TrialPolicy
from monitoring.models import AuditEntry, AuditPayload
from tests.learning.ground import SLUG, make_agent, replayed

pytestmark = pytest.mark.django_db
AGO = timedelta(days=29)


@pytest.fixture
def ground(firm):
    return make_agent()


@pytest.fixture
def row(firm, ground):
    made, _ = improvements.propose(
        client_id=firm.pk, agent_slug=SLUG, kind="prompt", title="Better", proposal={"a": 1},
        evidence={}, impact=2, confidence=0.5, risk="low", candidate_version_id=ground[2].pk,
    )  # fmt: skip
    return made


@pytest.fixture
def policy(ground):
    return TrialPolicy.objects.create(
        metrics=[{"key": "success", "role": "primary"}], effect=0.3, baseline=0.6,
        minimum_units=50, minimum_days=0, coverage_ratio=0.5,
    )  # fmt: skip


def audited(action):
    """What the one entry of this action says."""
    entry = AuditEntry.objects.get(action=action)
    return json.loads(AuditPayload.objects.get(entry_id=entry.pk).after)


def end(verdict):
    """The worker's part: the replay that runs ends so."""
    running = Replay.objects.get(state="running")
    row = Improvement.objects.get(pk=running.improvement_id)
    running.delete()
    return replayed(row, verdict)


def test_what_is_approved_waits_for_its_replay_and_then_goes_live(api, row, policy):
    path = f"improvements/{row.pk}"
    assert api("get", path).json()["standing"]["verdict"] == "none"
    assert api("post", f"{path}/approve", {}).json()["state"] == "approved"
    begun = Replay.objects.get()
    assert (begun.candidate_id, begun.state) == (row.candidate_version_id, "running")
    tasks.sweep_comparisons()
    assert not Experiment.objects.exists() and Replay.objects.count() == 1
    assert "Not live yet: its replay has not ended" in api("get", path).json()["headline"]
    end("not_worse")
    tasks.sweep_comparisons()
    assert Experiment.objects.get().state == "running"


@pytest.mark.parametrize("verdict", ["worse", "inconclusive", "too_few"])
def test_what_a_replay_did_not_find_sound_is_refused_with_what_to_do(api, row, policy, verdict):
    replayed(row, "better")
    replayed(row, verdict)
    path = f"improvements/{row.pk}"
    refused = api("post", f"{path}/approve", {"reason": "I like it"})
    body = refused.json()
    assert (refused.status_code, body["code"], body["verdict"]) == (409, "replay_needed", verdict)
    assert "`override`" in body["todo"] and "its latest replay" in body["detail"]
    assert api("get", path).json()["actions"] == ["reject", "edit", "replay", "override"]
    # Approved before, and by nobody's word since: the sweep holds it back as well.
    Improvement.objects.update(state="approved")
    tasks.sweep_comparisons()
    assert not Experiment.objects.exists() and not TrafficSplit.objects.exists()
    again = api("post", f"{path}/replay")
    assert again.status_code == 202 and again["Location"].endswith(again.json()["id"])


def test_a_person_lets_it_go_by_name_with_a_reason(api, row, policy):
    replayed(row, "worse")
    path = f"improvements/{row.pk}"
    assert api("post", f"{path}/approve", {"override": True}).status_code == 422
    given = {"override": True, "reason": "the graded cases are of the old tariff"}
    body = api("post", f"{path}/approve", given).json()
    assert body["state"] == "approved" and body["override"]["reason"] == given["reason"]
    assert "worse" in body["override"]["found"]
    assert audited("learning.improvement.approved")["override"]["by"] == body["override"]["by"]
    dossier = api("get", path).json()
    assert dossier["standing"]["verdict"] == "overridden"
    assert given["reason"] in dossier["standing"]["says"]
    tasks.sweep_comparisons()
    assert Experiment.objects.get().state == "running"


def test_a_machine_lets_nothing_go(row):
    with pytest.raises(Exception, match="you may not let a change go live"):
        improvements.approve(
            caller=trials.machine(row), improvement_id=row.pk, reason="r", override=True
        )


def test_an_edited_candidate_is_replayed_anew(api, row, policy, ground):
    replayed(row, "better")
    path = f"improvements/{row.pk}"
    assert api("get", path).json()["standing"]["may_go_live"]
    TrialPolicy.objects.update(approves="low")
    api("post", f"{path}/edit", {"prompt": "Answer otherwise."})
    row.refresh_from_db()
    begun = Replay.objects.get(state="running")
    assert begun.candidate_id == row.candidate_version_id != ground[2].pk
    tasks.sweep_comparisons()
    row.refresh_from_db()
    assert row.state == "proposed", "the replay of the old candidate approves nothing"
    end("better")
    tasks.sweep_comparisons()
    row.refresh_from_db()
    assert row.state == "testing"


def test_a_cycle_replays_an_edited_candidate_and_one_beside_another_production(
    row, ground, firm, monkeypatch
):
    agent, old, _ = ground
    asked = []

    def start(**given):
        asked.append(given["candidate_id"])

    monkeypatch.setattr(replay, "start", start)
    replayed(row)
    cycle = cycles.Cycle.objects.create(cadence="weekly", tick="2026-11-23")
    cycles.begin_replays(cycle)
    assert asked == []
    edited, _ = versions.publish(agent=agent, content=versions.Content("Answer otherwise."))
    Improvement.objects.filter(pk=row.pk).update(candidate_version_id=edited.pk)
    cycles.begin_replays(cycle)
    assert asked == [edited.pk]
    row.refresh_from_db()
    replayed(row)
    other, _ = versions.publish(agent=agent, content=versions.Content("Third."), label="production")
    cycles.begin_replays(cycle)
    assert asked == [edited.pk, edited.pk] and other.pk != old.pk


def by_hand(version):
    """An experiment that a person makes."""
    return {
        "agent": SLUG, "name": "By hand", "metrics": [{"key": "success", "role": "primary"}],
        "variants": [{"version": "production", "is_control": True}, {"version": str(version.pk)}],
    }  # fmt: skip


@pytest.mark.parametrize("verdict", ["", "inconclusive", "too_few"])
def test_a_candidate_is_held_for_who_does_not_name_its_improvement_too(api, row, ground, verdict):
    _, _, new = ground
    if verdict:
        replayed(row, verdict)
    begun = {"agent": SLUG, "version": str(new.pk)}
    made = api("post", "experiments", by_hand(new)).json()["id"]
    for path, body in (("rollouts", begun), (f"experiments/{made}/start", {})):
        held = api("post", path, body)
        assert (held.status_code, held.json()["code"]) == (409, "replay_needed"), path
    assert not Rollout.objects.exists() and Experiment.objects.get().state == "draft"
    assert not TrafficSplit.objects.exists()
    replayed(row, "not_worse")
    assert api("post", "rollouts", begun).status_code == 201


def test_an_erased_person_stands_in_no_decision(api, row, firm, person, client):
    user = person("reviewer")
    User.objects.filter(pk=user.pk).update(first_name="Ada", last_name="Zyxo")
    client.force_login(user)
    replayed(row, "worse")
    acted = f"/admin/learning/improvement/{row.pk}/change/"
    User.objects.filter(pk=user.pk).update(is_staff=True)
    client.post(acted, {"do": "override", "reason": "zyxo said so"})
    # Found by id where the name was another one then.
    User.objects.filter(pk=user.pk).update(last_name="Zyxa")
    # Done by hand, proposed again four weeks later, done again, and taken back.
    ids = []
    for _ in range(2):
        made, _ = improvements.propose(
            client_id=firm.pk, agent_slug=SLUG, kind="routing", title="A replica", risk="low",
            proposal={"b": 1}, evidence={},
        )  # fmt: skip
        ids.append(made.pk)
        page = f"/admin/learning/improvement/{made.pk}/change/"
        client.post(page, {"do": "done", "reason": "zyxo has made it"})
        Improvement.objects.filter(pk=made.pk).update(decided_at=timezone.now() - AGO)
    client.post(page, {"do": "take_back", "reason": "zyxo has taken it back"})

    def told():
        rows = [*Improvement.objects.values("override", "evidence", "decision_reason"),
                *Tombstone.objects.values("evidence", "reason", "raised_by"),
                *AuditPayload.objects.values("before", "after")]  # fmt: skip
        return str(rows).lower()

    newer = Improvement.objects.get(pk=ids[1])
    assert newer.state == "rolled_back" and {"done", "done_before"} <= set(newer.evidence)
    assert str(user.pk) in told() and "ada zyxo" in told() and "ada zyxa" in told()
    erased = api("post", "privacy/erasures", {"subject_id": str(user.pk)}, role="administrator")
    assert erased.status_code == 201, erased.content
    assert erased.json()["erased"]["learning.signatures"] == 4
    assert "zyx" not in told() and str(user.pk) not in told()
    # What was decided still stands.
    assert api("get", f"improvements/{row.pk}").json()["standing"]["verdict"] == "overridden"
    assert Improvement.objects.get(pk=ids[0]).evidence["done"]["at"]


def test_by_hand_what_was_found_worse_needs_a_reason_too(api, row, ground):
    agent, _, new = ground
    draft = by_hand(new)
    linked = api("post", "experiments", {**draft, "improvement_id": str(row.pk)}).json()["id"]
    own, _ = versions.publish(agent=agent, content=versions.Content("My own."))
    free = api("post", "experiments", by_hand(own)).json()["id"]
    # A person's own choice of versions needs no replay; an improvement's candidate does.
    held = api("post", f"experiments/{linked}/start", {})
    assert held.status_code == 409 and "was not replayed" in held.json()["detail"]
    assert api("post", f"experiments/{free}/start", {}).status_code == 200
    experiments.stop(caller=trials.machine(row), experiment_id=free)
    replayed(row, "worse")
    improvements.close(row.pk, reason="a version like any other from now on")
    again = api("post", "experiments", draft).json()["id"]
    assert api("post", f"experiments/{again}/start", {}).json()["code"] == "replay_needed"
    begun = {"agent": SLUG, "version": str(new.pk)}
    assert api("post", "rollouts", begun).json()["code"] == "replay_needed"
    assert not Rollout.objects.exists()
    assert api("post", "rollouts", {**begun, "override": True}).status_code == 422
    given = {"override": True, "reason": "a critical fix"}
    assert api("post", "rollouts", {**begun, **given}).status_code == 201
    assert audited("learning.replay.overridden")["reason"] == "a critical fix"


def test_the_experiments_page_says_it_and_takes_the_reason(api, row, client, person):
    replayed(row, "worse")
    draft = {
        "agent": SLUG, "name": "By hand", "improvement_id": str(row.pk),
        "metrics": [{"key": "success", "role": "primary"}],
        "variants": [{"version": "production", "is_control": True},
                     {"version": str(row.candidate_version_id)}],
    }  # fmt: skip
    made = api("post", "experiments", draft).json()["id"]
    client.force_login(person("platform_engineer"))
    page = f"/dashboard/experiments/{made}"
    refused = client.post(page, {"action": "start"})
    text = refused.content.decode()
    assert refused.status_code == 409 and 'name="override"' in text and "found it worse" in text
    assert client.post(page, {"action": "start", "override": "on"}).status_code == 422
    given = {"action": "start", "override": "on", "reason": "only on one per cent"}
    assert client.post(page, given).status_code == 302
    assert Experiment.objects.get().state == "running"


def test_the_review_page_shows_it_and_lets_it_go(client, firm, row):
    user = User.objects.create_user("rita", password="x", is_staff=True)
    Membership.objects.create(user=user, client=firm, role="reviewer")
    client.force_login(user)
    page = f"/admin/learning/improvement/{row.pk}/change/"
    replayed(row, "inconclusive")
    text = client.get(page).content.decode()
    assert "It may not go live yet" in text and "could not tell" in text
    assert 'value="approve"' not in text and "Approve in spite of its replay" in text
    refused = client.post(page, {"do": "approve"}, follow=True).content.decode()
    assert "may not go live: its latest replay could not tell" in refused
    client.post(page, {"do": "override", "reason": "tried by hand on 40 letters"})
    text = client.get(page).content.decode()
    assert "It may go live in spite of its replay" in text and "tried by hand on 40" in text


def another(firm, agent, *, slug=SLUG, prompt="Answer best.", priority=1.0):
    version, _ = versions.publish(agent=agent, content=versions.Content(prompt))
    row, _ = improvements.propose(
        client_id=firm.pk, agent_slug=slug, kind="prompt", title=prompt, proposal={"p": prompt},
        evidence={}, impact=priority, confidence=1, risk="low", candidate_version_id=version.pk,
    )  # fmt: skip
    return row


def test_a_sweep_replays_one_candidate_an_agent_and_a_few_in_all(
    firm, ground, row, policy, monkeypatch
):
    """Whatever ships first puts another version beside the rest, which are replayed anew then."""
    another(firm, ground[0], priority=0.5)
    Improvement.objects.update(state="approved")
    tasks.sweep_comparisons()
    tasks.sweep_comparisons()
    assert [one.improvement_id for one in Replay.objects.all()] == [row.pk]
    monkeypatch.setattr(trials, "MOST_REPLAYS", 2)
    for number in range(4):
        agent, _, _ = make_agent(slug=f"tax-other-{number}")
        another(firm, agent, slug=agent.slug)
    Improvement.objects.update(state="approved")
    Replay.objects.all().delete()
    tasks.sweep_comparisons()
    assert Replay.objects.count() == 2


@pytest.mark.parametrize("verdict", ["too_few", "inconclusive"])
def test_a_machine_replays_again_after_a_week_what_could_not_tell_for_want_of_cases(
    api, row, policy, verdict
):
    replayed(row, verdict)
    Improvement.objects.update(state="approved")
    tasks.sweep_comparisons()
    assert Replay.objects.count() == 1, "not before a week is over"
    Replay.objects.update(ended_at=timezone.now() - timedelta(days=8))
    tasks.sweep_comparisons()
    tasks.sweep_comparisons()
    assert Replay.objects.count() == (2 if verdict == "too_few" else 1)
    if verdict == "too_few":
        end("not_worse")
        told = api("get", f"improvements/{row.pk}").json()["standing"]
        assert told["replays"] == 2 and "2 replays of it have ended" in told["says"]
        tasks.sweep_comparisons()
        assert Experiment.objects.get().state == "running"


def test_an_agent_that_is_gone_keeps_no_other_from_its_policy(firm, ground, row, policy):
    TrialPolicy.objects.update(approves="low")
    agent, _, _ = make_agent(slug="tax-gone-001")
    another(firm, agent, slug=agent.slug, priority=9.0)
    agent.labels.all().delete()  # no version is in production there any more
    replayed(row)
    assert trials.sweep()["approved"] == 1
    row.refresh_from_db()
    assert row.is_by_policy and row.state in ("approved", "testing")


def test_a_persons_words_do_not_count_as_the_policys_approvals(api, firm, ground, row, policy):
    TrialPolicy.objects.update(approves="low", most_approved_a_week=1)
    other = another(firm, ground[0])
    Improvement.objects.filter(pk=other.pk).update(
        state="refused", decided_at=timezone.now(), decision_reason="by the way, I like it"
    )
    replayed(row)
    assert trials.approve_by_policy() == 1
