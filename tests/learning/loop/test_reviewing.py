"""Reviewing in the admin and over HTTP, and changes of documents that corrections propose."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.test import Client as Browser
from django.utils import timezone

from agents import evidence, versions
from agents.knowledge import index
from agents.knowledge.index import Given
from agents.models import Document, Invocation
from config.access.models import Membership, User
from learning import (
    candidates,
    improvements,
    knowledge_changes,
    patterns,
    proposing,
    replay,
    reporting,
)
from learning.domain.prioritise import Priority
from learning.models import Example, Improvement, Judge, Replay, Tombstone, TrialPolicy
from tests.learning.loop.conftest import NOW

pytestmark = pytest.mark.django_db
POLICY = """# Travel
## Hotels
A night costs at most 160 euros. In capitals a night costs at most 210 euros. Breakfast is in it.
"""


@pytest.fixture
def row(agent, firm):
    content = versions.content_of(evidence.production(agent.slug))
    version, _ = versions.publish(
        agent=agent, content=replace(content, prompt=f"{content.prompt}\nName the total first.\n")
    )
    made, _ = improvements.propose(
        client_id=firm.pk, agent_slug=agent.slug, kind="prompt", title="Name the total first",
        proposal={"rule": "t"}, evidence={"priority": "8.00 USD a month", "count": 7}, impact=8,
        confidence=0.5, candidate_version_id=version.pk,
        base_version_id=evidence.production(agent.slug).pk, proposed_by="rules",
    )  # fmt: skip
    return made


@pytest.fixture
def reviewer(firm):
    user = User.objects.create_user("rita", password="x", is_staff=True)
    Membership.objects.create(user=user, client=firm, role="reviewer")
    browser = Browser()
    browser.force_login(user)
    return browser


def page_of(row):
    return f"/admin/learning/improvement/{row.pk}/change/"


def test_the_page_of_one_shows_all_that_a_decision_needs_and_takes_it(reviewer, row):
    text = reviewer.get(page_of(row)).content.decode()
    for said in ("Name the total first", "Waits for your decision", "8.00 USD a month", "added: ",
                 "It was not replayed", "Approve"):  # fmt: skip
        assert said in text, said
    refused = reviewer.post(page_of(row), {"do": "reject", "reason": " "}, follow=True)
    row.refresh_from_db()
    assert row.state == "proposed" and "why it is refused" in refused.content.decode()
    reviewer.post(page_of(row), {"do": "reject", "reason": "the wording is unclear"})
    row.refresh_from_db()
    assert (row.state, row.decision_reason) == ("rejected", "the wording is unclear")
    assert "rejected: the wording" in Tombstone.objects.get().reason


def test_the_list_goes_by_the_same_keys(reviewer, row):
    page = reviewer.get("/admin/learning/improvement/").content.decode()
    assert "ratchet/review" in page
    assert f"/admin/learning/improvement/{row.pk}/change/" in page and 'id="result_list"' in page


def test_a_reviewer_edits_the_prompt_and_another_candidate_takes_its_place(reviewer, row, agent):
    old = row.candidate_version_id
    prompt = evidence.version(agent.slug, old).prompt + "Then the rate.\n"
    reviewer.post(page_of(row), {"do": "edit", "prompt": prompt, "reason": "the rate too"})
    row.refresh_from_db()
    made = evidence.version(agent.slug, row.candidate_version_id)
    assert (made.pk != old, made.prompt.strip(), row.state) == (True, prompt.strip(), "proposed")
    assert row.digest == made.digest and row.evidence["edited_because"] == "the rate too"
    broken = reviewer.post(page_of(row), {"do": "edit", "prompt": "{{ nobody }}"}, follow=True)
    assert "only declared variables" in broken.content.decode()
    reviewer.post(page_of(row), {"do": "approve", "reason": ""})
    row.refresh_from_db()
    assert row.state == "approved"


def test_the_same_is_there_over_http(api, row):
    path = f"/api/v1/improvements/{row.pk}"
    body = api("get", path).json()
    assert any(line.startswith("+Name the total") for line in body["difference"]["prompt"])
    assert body["actions"] == ["approve", "reject", "edit", "replay", "override"]
    same = api("post", f"{path}/edit", {"prompt": body["difference"]["candidate_prompt"]})
    assert same.status_code == 422
    assert api("post", f"{path}/approve", {}).json()["state"] == "approved"
    assert api("post", f"{path}/edit", {"prompt": "Other."}).status_code == 409
    assert (
        api("get", "/api/v1/improvements/00000000-0000-0000-0000-000000000000").status_code == 404
    )


def test_a_replay_is_begun_from_the_page(reviewer, row):
    reviewer.post(page_of(row), {"do": "replay"})
    assert Replay.objects.get().candidate_id == row.candidate_version_id


def test_who_may_not_decide_reads_only(row, firm):
    user = User.objects.create_user("ole", password="x", is_staff=True)
    Membership.objects.create(user=user, client=firm, role="auditor")
    browser = Browser()
    browser.force_login(user)
    text = browser.get(page_of(row)).content.decode()
    assert "Waits for your decision" in text and 'value="approve"' not in text
    browser.post(page_of(row), {"do": "approve"})
    row.refresh_from_db()
    assert row.state == "proposed"


@pytest.fixture
def corrected(agent, firm, api):
    """A quoted answer that a person corrected; its example waits."""
    index.add(Given("Travel policy", POLICY.encode(), "text/markdown"), client_id=firm.pk)
    content = versions.content_of(evidence.production(agent.slug))
    content = replace(content, retrieval={"sources": ["Travel policy"]})
    versions.publish(agent=agent, label="production", content=content)
    inputs = {"question": "What may a hotel night in capitals cost?"}
    call = api("post", f"/api/v1/agents/{agent.slug}/invocations", {"inputs": inputs}).json()
    assert call["output"]["citations"], call
    return Example.objects.create(
        client_id=firm.pk, agent_slug=agent.slug, source="correction", invocation_id=call["id"],
        question="What may a hotel night in capitals cost?", answer="At most 240 euros.",
        wrong_answer="At most 210 euros.", reason="it rose in May", digest="d",
    )  # fmt: skip


def text_of(title):
    document = Document.objects.get(title=title, state="current")
    return " ".join(block.text for block in index.blocks_of(document))


def test_an_approved_correction_proposes_a_change_of_the_document_that_a_person_decides(
    corrected, api, reviewer
):
    approved = api("post", f"/api/v1/examples/{corrected.pk}/approve", {})
    assert approved.status_code == 200, approved.content
    row = Improvement.objects.get(kind="knowledge")
    assert row.proposal["before"] == "In capitals a night costs at most 210 euros."
    assert row.proposal["after"] == "In capitals a night costs at most 240 euros."
    assert "210" in text_of("Travel policy")
    page = reviewer.get(page_of(row)).content.decode()
    assert "a new version of the document" in page and "compared on live traffic" not in page
    assert "approved, it changes the document" in page
    reviewer.post(page_of(row), {"do": "approve", "reason": "checked"})
    row.refresh_from_db()
    assert row.state == "shipped"
    assert "240" in text_of("Travel policy") and "210" not in text_of("Travel policy")
    assert "160 euros" in text_of("Travel policy")
    assert Document.objects.filter(title="Travel policy", state="replaced").count() == 1
    assert knowledge_changes.sweep() == 0
    back = api("post", f"/api/v1/improvements/{row.pk}/take-back", {"reason": "it was a draft"})
    assert back.status_code == 200, back.content
    assert back.json()["state"] == "rolled_back" and "210" in text_of("Travel policy")
    assert knowledge_changes.propose(corrected) is None  # barred
    row.refresh_from_db()
    assert reporting._improvement(row)["reason"] == "taken back: it was a draft"


def test_a_change_that_no_longer_fits_is_closed_and_one_left_half_way_is_made(corrected, api, firm):
    api("post", f"/api/v1/examples/{corrected.pk}/approve", {})
    row = Improvement.objects.get(kind="knowledge")
    Improvement.objects.filter(pk=row.pk).update(state="approved")  # and the process died
    assert knowledge_changes.sweep() == 1
    assert "240" in text_of("Travel policy")
    Improvement.objects.filter(pk=row.pk).update(state="approved")
    index.add(Given("Travel policy", b"# Travel\n\nAsk first.", "text/markdown"), client_id=firm.pk)
    assert knowledge_changes.sweep() == 0
    row.refresh_from_db()
    assert row.state == "rejected" and "changed meanwhile" in row.decision_reason


def test_what_a_rule_proposes_has_a_candidate_that_can_be_tried(bare, call, firm):
    for n in range(60):
        call(bare, NOW.replace(minute=n), **({"state": "failed", "error_code": "bad_answer",
             "error": {"code": "bad_answer", "message": "no"}} if n < 30 else {}))  # fmt: skip
    proposing.propose_by_rule(bare.slug, NOW.replace(hour=8), client_id=firm.pk)
    row = Improvement.objects.get(title="Try the strong model")
    assert evidence.version(bare.slug, row.candidate_version_id).model["tier"] == "strong"
    improvements.bury(client_id=firm.pk, agent_slug=bare.slug, reason="it was worse", evidence={},
                      version_id=row.candidate_version_id, by="t")  # fmt: skip
    Improvement.objects.all().delete()
    again = proposing.propose_by_rule(bare.slug, NOW.replace(hour=8), client_id=firm.pk)
    assert "it was worse" in again["refused"][0]["why"]
    assert candidates.content_for(bare.slug, versions.content_of(evidence.production(bare.slug)),
                                  {"do": "another endpoint"}) is None  # fmt: skip


def test_nothing_is_proposed_for_what_only_a_version_that_went_back_did(bare, call, firm):
    """Production was to be changed for the failures of a candidate that nobody meets any more."""
    base = bare.labels.get(name="production").version
    gone, _ = versions.publish(agent=bare, content=replace(versions.content_of(base), prompt="X."))
    Tombstone.objects.create(client_id=firm.pk, agent_slug=bare.slug, version_id=gone.pk,
                             digest=gone.digest, reason="was worse")  # fmt: skip
    for _ in range(8):
        made = call(bare, NOW.replace(hour=6), state="failed", error_code="bad_answer",
                    error={"code": "bad_answer", "detail": "no JSON"})  # fmt: skip
        Invocation.objects.filter(pk=made.pk).update(version_id=gone.pk)
    until = NOW.replace(hour=8)
    patterns.find_patterns(until)
    assert proposing.gather(bare.slug, until).patterns == []
    Tombstone.objects.update(lifted_at=NOW)
    assert len(proposing.gather(bare.slug, until).patterns) == 1


def test_a_replay_that_a_reviewer_begins_is_graded_by_the_judge_that_trials_look_at(
    reviewer, row, monkeypatch
):
    monkeypatch.setattr(replay, "_send", lambda replay_id: None)
    good = Judge.objects.create(name="clear", version="ratchet-1", criterion="It is clear.",
                                state="admitted", measured_at=timezone.now())  # fmt: skip
    Judge.objects.create(name="clear", version="ratchet-2", criterion="Is it?", state="barred")
    reviewer.post(page_of(row), {"do": "replay"})
    assert Replay.objects.get().judge is None  # no trial looks at what it says
    TrialPolicy.objects.create(metrics=[
        {"key": "success", "role": "primary"},
        {"key": "score:clear", "role": "guardrail", "margin": 0.1},
    ])  # fmt: skip
    reviewer.post(page_of(row), {"do": "replay"})
    assert Replay.objects.order_by("-id").first().judge == good


def test_one_is_never_said_as_many(reviewer, row, bare, call, firm, api):
    user = User.objects.create_user("una", password="x")
    call(bare, timezone.now(), state="failed", error_code="bad_answer", user_id=user.pk,
         run_id=firm.pk, error={"code": "bad_answer", "message": "not JSON"})  # fmt: skip
    patterns.find_patterns(timezone.now())
    (found,) = api("get", "/api/v1/patterns").json()["results"]
    priority = Priority(10, 0.5, 1.0).shown()
    Improvement.objects.filter(pk=row.pk).update(
        agent_slug=bare.slug, evidence={"pattern": found["key"], "priority": priority}
    )
    text = reviewer.get(page_of(row)).content.decode()
    assert "1 time, 1 user, 1 run," in text and "÷ 1 day =" in text
