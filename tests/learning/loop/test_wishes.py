"""What people say an agent has no way to do becomes a tool: one to write, or one to be given."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents import evidence, versions
from agents.models import Agent
from config.access.callers import any_reader
from config.access.models import Audience, Client, Membership, User
from learning import asked_for, cycles, patterns, proposing, tool_writing
from learning.domain.abilities import wishes_in
from learning.models import Cycle, Feedback, Improvement
from tests.learning.loop.conftest import id_at
from tests.learning.loop.test_reflecting import tune

pytestmark = pytest.mark.django_db
EXCEL = ("it can't export to Excel", "Please add an Excel export", "I cannot export it as CSV")


def say(client, agent, text, *, kind="complaint", hours=1.0, who=""):
    at = timezone.now() - timedelta(hours=hours)
    return Feedback.objects.create(
        id=id_at(at), client_id=client.pk, subject_kind="invocation", subject_id=uuid4(),
        agent_slug=agent.slug, kind=kind, author_key=who or str(uuid4()), text=text, created_at=at,
    )  # fmt: skip


def propose(agent, firm):
    now = timezone.now()
    patterns.find_patterns(now)
    proposing.propose_by_rule(agent.slug, now, client_id=firm.pk)
    return list(Improvement.objects.filter(agent_slug=agent.slug).order_by("-priority"))


@pytest.fixture
def reviewer(firm):
    user = User.objects.create_user("rita", password="x", is_staff=True)
    Membership.objects.create(user=user, client=firm, role="reviewer")
    browser = Browser()
    browser.force_login(user)
    return browser


def test_complaints_and_suggestions_that_miss_an_ability_propose_its_tool_and_no_prompt(
    bare, firm, api, reviewer
):
    for n in range(9):
        say(firm, bare, f"{EXCEL[n % 3]}, mail me at eva{n}@example.com", hours=n + 1)
    for _ in range(2):
        say(firm, bare, "an Excel export would be nice", kind="suggestion")
    (row,) = propose(bare, firm)
    assert (row.kind, row.risk, row.effort) == ("tools", "high", 3.0)
    assert row.title == "Add a tool: write rows to a spreadsheet file and give its reference"
    assert row.proposal == {"rule": "missing_ability", "ability": "export_spreadsheet"}
    assert row.priority == pytest.approx(row.impact * row.confidence / row.effort)
    body = api("get", f"/api/v1/improvements/{row.pk}").json()
    tool = body["suggested_tool"]
    assert list(tool) == ["name", "description", "parameters"]
    assert tool["name"] == "export_spreadsheet"
    assert tool["parameters"]["properties"]["format"]["enum"] == ["csv", "xlsx"]
    assert (body["evidence"]["count"], body["evidence"]["people"]) == (11, 11)
    assert "by rule" in body["evidence"]["declared"] and body["pattern"]["kind"] == "complaint"
    assert any(quote.startswith("it can't export to Excel") for quote in body["quotes"])
    assert "@" not in str(body["quotes"])
    shown = reviewer.get(f"/admin/learning/improvement/{row.pk}/change/").content.decode()
    assert "its parameters are what they named" in shown and "What people said" in shown
    item = api("get", f"/api/v1/improvements/{row.pk}/work-item").json()
    assert '"name": "export_spreadsheet"' in item["body"] and "> it can't export" in item["body"]
    assert item["improvement"]["suggested_tool"] == tool
    page = reviewer.get("/dashboard/learning").content.decode()
    assert f"/admin/learning/improvement/{row.pk}/change/" in page.split("Feature requests")[1]
    assert propose(bare, firm) == [row]  # the same week again is the same proposal


def test_the_learning_page_reads_words_and_no_corrected_outputs(bare, firm, reviewer):
    for n in range(3):
        said = say(firm, bare, EXCEL[n])
        Feedback.objects.filter(pk=said.pk).update(corrected_output="long " * 1_000)
    with CaptureQueriesContext(connection) as asked:
        assert "spreadsheet" in reviewer.get("/dashboard/learning").content.decode()
    read = [one["sql"] for one in asked if '"learning_feedback"."reason"' in one["sql"]]
    listed = [sql for sql in read if "LIMIT 1000" in sql]
    assert len(listed) == 1 and "corrected_output" not in listed[0]
    assert not any("corrected_output" in sql for sql in read), "nor one by one"


def test_what_was_said_today_counts_in_the_cycle_of_today(bare, firm, api, monkeypatch):
    monkeypatch.setattr(cycles, "_send", lambda pk: None)
    for n in range(4):
        say(firm, bare, EXCEL[n % 3], hours=0)
    made = api("post", "/api/v1/cycles", {"cadence": "weekly"})
    assert made.status_code == 202
    cycle = Cycle.objects.get()
    assert cycles.do_step(cycle.pk, "patterns") and cycles.do_step(cycle.pk, f"agent:{bare.slug}")
    (row,) = api("get", "/api/v1/improvements").json()["results"]
    assert row["title"].startswith("Add a tool")


def test_complaints_of_other_things_propose_no_tool(bare, firm):
    for n in range(8):
        say(firm, bare, "the answer was wrong, it can't be serious", hours=n + 1)
        say(firm, bare, "too slow, can't believe it took so long", hours=n + 1)
    (row,) = propose(bare, firm)  # and one change of the prompt, though it answers two patterns
    assert row.kind == "prompt"
    assert propose(bare, firm) == [row]


def test_open_proposals_are_not_read_one_by_one_for_one_of_the_same_version(
    bare, firm, api, monkeypatch
):
    monkeypatch.setattr(cycles, "_send", lambda pk: None)
    for _ in range(8):
        say(firm, bare, "the answer was wrong, it can't be serious", hours=0)
        say(firm, bare, "too slow, can't believe it took so long", hours=0)
    for n in range(15):
        content = versions.content_of(evidence.production(bare.slug))
        other, _ = versions.publish(agent=bare, content=replace(content, prompt=f"Wording {n}."))
        Improvement.objects.create(
            client_id=firm.pk, agent_slug=bare.slug, kind="prompt", title=f"Wording {n}",
            proposal={"n": n}, digest=str(n), candidate_version_id=other.pk,
        )  # fmt: skip
    api("post", "/api/v1/cycles", {"cadence": "weekly"})
    cycle = Cycle.objects.get()
    assert cycles.do_step(cycle.pk, "patterns")
    with CaptureQueriesContext(connection) as asked:
        assert cycles.do_step(cycle.pk, f"agent:{bare.slug}")
    result = cycle.steps.get(name=f"agent:{bare.slug}").result
    assert (result["new"], len(result["refused"])) == (1, 1), "the second says the same"
    assert "the very version that" in result["refused"][0]["why"]
    read = [one["sql"] for one in asked if 'FROM "agents_agentversion"' in one["sql"]]
    assert len(read) < 15, len(read)


def test_a_tool_that_is_registered_is_given_in_a_version_that_can_be_tried(bare, firm, api):
    for n in range(5):
        say(firm, bare, "It cannot calculate the depreciation of an asset.", hours=n + 1)
    (row,) = propose(bare, firm)
    assert row.title == "Give it the tool accounting.depreciate"
    version = bare.versions.get(pk=row.candidate_version_id)
    assert version.tools == ["accounting.depreciate"]
    body = api("get", f"/api/v1/improvements/{row.pk}").json()
    assert body["suggested_tool"] is None and "replay" in body["actions"]
    assert body["difference"]["others"]["tools"]["after"] == ["accounting.depreciate"]


def test_a_person_decides_what_a_harmless_agent_is_given_too(bare, firm, api):
    Agent.objects.filter(pk=bare.pk).update(risk="low")
    for n in range(3):
        say(firm, bare, "It cannot calculate the depreciation of an asset.", hours=n + 1)
    (row,) = propose(bare, firm)
    assert (row.title, row.risk) == ("Give it the tool accounting.depreciate", "medium")
    pure = {name: is_pure for name, _, is_pure in evidence.tools_on_offer()}
    assert pure["accounting.depreciate"]
    assert not pure["operations.working_paper"] and not pure["operations.withdraw_engagement"]


def test_a_tool_that_stores_something_is_of_high_risk(bare, firm):
    for n in range(3):
        say(firm, bare, "It cannot export the working paper.", hours=n + 1)
    (row,) = propose(bare, firm)
    assert (row.title, row.risk) == ("Give it the tool operations.working_paper", "high")


def test_what_one_person_says_however_often_gets_no_tool(bare, firm, api, call):
    meant = "It cannot calculate the Meyer divorce settlement"
    for n in range(4):
        shown = call(bare, timezone.now() - timedelta(hours=n + 1))
        said = {"subject_kind": "invocation", "subject_id": str(shown.pk), "kind": "complaint"}
        assert api("post", "/api/v1/feedback", {**said, "text": meant}).status_code == 201
    one = Feedback.objects.filter(text=meant).latest("id")
    Feedback.objects.filter(pk=one.pk).update(author_key=f"key:{uuid4()}")  # the same, by a key
    assert one.author_id
    assert "tools" not in [row.kind for row in propose(bare, firm)]
    (request,) = asked_for.requests(any_reader(), now=timezone.now())
    assert request["people"] == 1  # on the page as well
    say(firm, bare, meant)
    (row,) = [row for row in propose(bare, firm) if row.kind == "tools"]
    assert row.evidence["people"] == 2


def test_the_patch_of_a_tool_that_is_given_adds_it_to_the_catalogue(agent, firm, api):
    for n in range(5):
        say(firm, agent, "It cannot calculate the depreciation of an asset.", hours=n + 1)
    row = next(one for one in propose(agent, firm) if one.title.startswith("Give it"))
    patch = api("get", f"/api/v1/improvements/{row.pk}/patch")
    assert patch.status_code == 200, patch.content
    assert "+      - accounting.depreciate" in patch.content.decode()


def test_an_agent_that_has_the_tool_needs_other_words_not_the_tool(bare, firm):
    content = versions.content_of(evidence.production(bare.slug))
    versions.publish(
        agent=bare, content=replace(content, tools=["accounting.depreciate"]), label="production"
    )
    for n in range(5):
        say(firm, bare, "It cannot calculate the depreciation of an asset.", hours=n + 1)
    (row,) = propose(bare, firm)
    assert row.kind == "prompt"


def test_one_that_was_refused_is_not_proposed_again(bare, firm, api):
    for n in range(5):
        say(firm, bare, EXCEL[0], hours=n + 1)
    (row,) = propose(bare, firm)
    refused = api("post", f"/api/v1/improvements/{row.pk}/reject", {"reason": "not our trade"})
    assert refused.status_code == 200
    say(firm, bare, EXCEL[1])
    rows = propose(bare, firm)
    assert {(one.kind, one.state) for one in rows} == {
        ("tools", "rejected"), ("prompt", "proposed"),  # which can at least say that there is none
    }  # fmt: skip
    again = proposing.propose_by_rule(bare.slug, timezone.now(), client_id=firm.pk)
    assert "is barred (rejected: not our trade)" in again["refused"][0]["why"]


def test_words_that_are_gone_or_another_clients_are_not_quoted(bare, firm, api):
    other = Client.objects.create(name="Elsewhere Ltd", slug="elsewhere")
    for n in range(3):
        say(other, bare, f"it can't export to Excel ({n})", hours=n + 1)
    erased = say(firm, bare, "it can't export to Excel, says Anna")
    (row,) = propose(bare, firm)
    Feedback.objects.filter(pk=erased.pk).update(text="")
    assert row.evidence["count"] == 4
    quotes = api("get", f"/api/v1/improvements/{row.pk}").json()["quotes"]
    assert not any("Anna" in quote for quote in quotes)
    some = User.objects.create_user("some", password="x", is_staff=True)
    some.audiences.add(Audience.objects.create(kind="department", name="audit"))
    Membership.objects.create(user=some, client=firm, role="reviewer")
    browser = Browser()
    browser.force_login(some)
    seen = browser.get(f"/api/v1/improvements/{row.pk}")
    assert seen.status_code == 200 and seen.json()["quotes"] == []


@pytest.mark.django_db(transaction=True)
def test_a_model_writes_the_declaration_where_one_can_be_asked(agent, firm, model, monkeypatch):
    """The model is a tuned one: it has learnt what to answer to this very question."""
    for n in range(3):
        say(firm, agent, EXCEL[0], hours=n + 1)
    (wish,) = wishes_in([EXCEL[0]] * 3)
    schema = {"type": "object", "required": ["table"],
              "properties": {"table": {"type": "string"}}}  # fmt: skip
    learnt = {"name": "save_workbook", "description": "Save a table as a workbook.",
              "parameters": json.dumps(schema)}  # fmt: skip
    name = tune(model, tool_writing.question(wish.tool, [EXCEL[0]]), learnt)
    asks = replace(tool_writing.CONTENT, model={**tool_writing.CONTENT.model, "name": name})
    monkeypatch.setattr(tool_writing, "CONTENT", asks)
    row = next(one for one in propose(agent, firm) if one.kind == "tools")
    assert row.evidence["declared"] == "by a model"
    assert row.evidence["suggested_tool"] == {**learnt, "parameters": schema}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"description": "Save the table that Ostrowski asked for."}, "one person alone said"),
        ({"description": "Save a table for eva@example.com."}, "looks like personal data"),
        ({"parameters": '{"type": "object", "properties": {"table": {}}, "required": 5}'},
         "its schema is wrong"),
        ({"parameters": "[" * 1200}, "its parameters are no schema of an object"),
    ],
)  # fmt: skip
def test_a_model_that_answers_what_cannot_be_used_leaves_it_to_the_rule(
    agent, firm, model, monkeypatch, changes, why
):
    said = ["It can't export to Excel as Ostrowski wants it", EXCEL[0], EXCEL[0]]
    for n, text in enumerate(said):
        say(firm, agent, text, hours=n + 1)
    (wish,) = wishes_in(said)
    schema = json.dumps({"type": "object", "properties": {"table": {"type": "string"}}})
    learnt = {"name": "save_workbook", "description": "Save a table.", "parameters": schema}
    asked = tool_writing.question(wish.tool, [said[0], EXCEL[0]])
    name = tune(model, asked, {**learnt, **changes})
    asks = replace(tool_writing.CONTENT, model={**tool_writing.CONTENT.model, "name": name})
    monkeypatch.setattr(tool_writing, "CONTENT", asks)
    row = next(one for one in propose(agent, firm) if one.kind == "tools")
    assert row.evidence["declared"].startswith("by rule: the model's declaration can't be used")
    assert why in row.evidence["declared"]
    assert row.evidence["suggested_tool"]["name"] == "export_spreadsheet"


@pytest.mark.django_db(transaction=True)
def test_the_offline_model_leaves_the_declaration_to_the_rule(agent, firm, model):
    for n in range(3):
        say(firm, agent, EXCEL[0], hours=n + 1)
    row = next(one for one in propose(agent, firm) if one.kind == "tools")
    assert row.evidence["declared"].startswith("by rule")
    assert row.evidence["suggested_tool"]["name"] == "export_spreadsheet"
