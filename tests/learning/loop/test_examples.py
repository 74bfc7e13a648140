from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID

import pytest
from django.test import Client as Browser
from django.utils import timezone

from config.access.models import Membership, User
from learning import examples
from learning.models import Example, Feedback
from tests.learning.loop.conftest import NOW, days_ago, id_at
from workflows import artifacts

pytestmark = pytest.mark.django_db


@pytest.fixture
def corrected(bare, call, firm):
    """``corrected(question, answer)`` is a call that somebody corrected."""

    def make(question, answer, *, at=None, reason="wrong base"):
        at = at or days_ago(1)
        made = call(bare, at, inputs={"question": question})
        return Feedback.objects.create(
            id=id_at(at), client_id=firm.pk, subject_kind="invocation", subject_id=made.pk,
            agent_slug=bare.slug, kind="correction", author_key="u", corrected_output=answer,
            reason=reason, created_at=at,
        )  # fmt: skip

    return make


def collect():
    return examples.collect(NOW - timedelta(days=2), NOW)


def approve_all():
    Example.objects.update(state="approved", decided_at=timezone.now())


def test_a_correction_becomes_a_redacted_example_once(corrected):
    corrected("VAT on books? Ask anna@web.de", "It is 7 %, says anna@web.de.")
    assert collect() == 1
    assert collect() == 0
    row = Example.objects.get()
    assert row.state == "proposed"
    assert "VAT on books" in row.question
    assert "anna@web.de" not in f"{row.question}{row.answer}"
    assert row.masked == 2
    assert row.wrong_answer == "The total is 10."


def test_the_same_question_is_kept_once(corrected):
    corrected("VAT on books?", "7 %")
    corrected("VAT on  BOOKS?", "7 % indeed")
    assert collect() == 1


def test_a_corrected_conversation_is_kept_with_what_was_said_before(bare, call, firm, api, person):
    """Its last turn alone says nothing: two that end in "yes" are two lessons."""
    for number, topic in enumerate(("the lease of anna@web.de", "payroll in May")):
        turns = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": f"Shall we look at {topic}?"},
            {"role": "assistant", "content": f"Do you mean {topic} alone?"},
            {"role": "user", "content": "Yes"},
        ]
        made = call(bare, days_ago(1), inputs={"messages": turns})
        Feedback.objects.create(
            id=id_at(days_ago(1)), client_id=firm.pk, subject_kind="invocation",
            subject_id=made.pk, agent_slug=bare.slug, kind="correction", author_key="u",
            corrected_output=f"Right answer {number}.", reason="wrong base", created_at=days_ago(1),
        )  # fmt: skip
    assert collect() == 2
    listed = api("get", f"/api/v1/examples?agent={bare.slug}").json()["results"]
    lease = next(one for one in listed if one["answer"] == "Right answer 0.")
    assert lease["question"] == "Yes" and lease["masked"] == 2
    assert [role for role, _ in lease["before"]] == ["user", "assistant"]
    assert "lease" in lease["before"][0][1] and "anna" not in str(lease)
    approve_all()
    (near,) = examples.few_shot(bare.slug, "What about payroll in May?", most=1)
    assert near["input"].startswith("user: Shall we look at payroll") and "Yes" in near["input"]
    done = api("post", "/api/v1/examples/export", {"agent": bare.slug, "validation_ratio": 0})
    lines = artifacts.read(UUID(done.json()["artifacts"]["training"]), client_id=firm.pk)
    told = [json.loads(line)["messages"] for line in lines.decode().splitlines()]
    assert [turn["role"] for turn in told[0]] == ["system", "user", "assistant", "user",
                                                  "assistant"]  # fmt: skip
    assert told[0][2]["weight"] == 0 and "weight" not in told[0][4]
    boss, browser = person("reviewer"), Browser()
    User.objects.filter(pk=boss.pk).update(is_staff=True)
    browser.force_login(User.objects.get(pk=boss.pk))
    assert "Yes (after 2 turns)" in browser.get("/admin/learning/example/").content.decode()


def test_only_approved_examples_are_used_for_prompts(corrected, bare):
    for n in range(4):
        corrected(f"How is lease number {n * 7} measured under IFRS?", f"At {n}.")
    corrected("Which VAT rate applies to books?", "7 %")
    collect()
    assert examples.few_shot(bare.slug, "VAT rate for books") == []
    approve_all()
    picked = examples.few_shot(bare.slug, "VAT rate for books", most=2)
    assert picked[0]["output"] == "7 %"
    assert len(picked) == 2


def test_an_export_is_the_chat_format_with_a_split_and_a_card(corrected, bare, api, firm):
    for subject in ("VAT", "lease", "payroll", "audit", "inventory", "cash", "equity", "tax"):
        corrected(f"What about {subject} in the {subject} ledger?", f"{subject} is fine.")
    collect()
    approve_all()
    done = api("post", "/api/v1/examples/export", {"agent": bare.slug, "validation_ratio": 0.25})
    assert done.status_code == 201
    body = done.json()
    assert (body["training"], body["validation"]) == (6, 2)
    assert body["leak_rate"]["planted"] == 32
    text = artifacts.read(UUID(body["artifacts"]["training"]), client_id=firm.pk).decode()
    first = json.loads(text.splitlines()[0])
    assert [m["role"] for m in first["messages"]] == ["system", "user", "assistant"]
    assert first["messages"][0]["content"] == "Be exact."
    assert "Training 6, validation 2" in body["data_card"]


def test_an_export_of_nothing_says_so(bare, api):
    done = api("post", "/api/v1/examples/export", {"agent": bare.slug})
    assert done.status_code == 409
    assert api("post", "/api/v1/examples/export", {"agent": "nobody"}).status_code == 404


def test_an_example_is_decided_once_and_listed_by_state(corrected, api):
    corrected("VAT on books?", "7 %")
    collect()
    row = Example.objects.get()
    approved = api("post", f"/api/v1/examples/{row.pk}/approve", {"reason": "right"})
    assert approved.json()["state"] == "approved"
    assert api("post", f"/api/v1/examples/{row.pk}/reject", {}).status_code == 409
    listed = api("get", "/api/v1/examples?state=approved").json()["results"]
    assert [r["answer"] for r in listed] == ["7 %"]
    assert api("post", f"/api/v1/examples/{row.pk}/retire", {}).json()["state"] == "retired"


def test_the_admin_lists_questions_with_their_answers_and_long_ones_cut(agent, firm):
    Example.objects.create(client_id=firm.pk, agent_slug=agent.slug, source="correction",
                           question="Which of these? " * 40, answer="The third one.",
                           digest="d")  # fmt: skip
    boss = User.objects.create_user("boss", password="x", is_staff=True)
    Membership.objects.create(user=boss, client=firm, role="reviewer")
    browser = Browser()
    browser.force_login(boss)
    page = browser.get("/admin/learning/example/").content.decode()
    assert "The third one." in page and "Which of these? " * 3 in page
    assert "Which of these? " * 12 not in page
