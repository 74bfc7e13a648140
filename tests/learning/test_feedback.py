"""Feedback and scores through the API and the form."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone

from agents.models import Conversation, Invocation
from config.access.callers import any_reader, of_user
from config.access.models import Client
from config.errors import Conflict, NotFound
from config.partitions import time_of
from learning import experiments, feedback, improvements, inviting, patterns
from learning.models import Feedback, FeedbackRequest, Improvement, Score
from monitoring import queries, rollups
from tests.learning.ground import SLUG, make_agent, meet
from workflows import publishing
from workflows.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def invocation(firm):
    agent, old, _ = make_agent()
    return meet(agent, firm, units=1, success={old.pk: 1.0})[0]


def about(invocation: Invocation, **more):
    return {"subject_kind": "invocation", "subject_id": str(invocation.pk), **more}


def test_a_rating_is_stored_with_the_version_that_answered(api, invocation):
    answer = api("post", "feedback", about(invocation, kind="rating", rating=4))
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert (body["rating"], body["agent_slug"]) == (4, SLUG)
    assert body["version_id"] == str(invocation.version_id)


def test_the_latest_of_a_person_wins_and_history_is_kept(api, invocation):
    for rating in (1, 5):
        api("post", "feedback", about(invocation, kind="rating", rating=rating))
    api("post", "feedback", about(invocation, kind="rating", rating=2), role="manager")
    standing = api("get", "feedback?kind=rating").json()["results"]
    assert sorted((row["rating"], row["source"]) for row in standing) == [
        (2, "manager"), (5, "user"),
    ]  # fmt: skip
    assert len(api("get", "feedback?history=true").json()["results"]) == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "rating"}, "rating"),
        ({"kind": "rating", "rating": 6}, "rating"),
        ({"kind": "correction"}, "corrected_output"),
        ({"kind": "complaint"}, "text"),
        ({"kind": "gossip"}, "kind"),
    ],
)
def test_incomplete_feedback_is_refused_by_field(api, invocation, body, field):
    answer = api("post", "feedback", about(invocation, **body))
    assert answer.status_code == 422 and answer.json()["field"] == field


def test_nobody_speaks_about_another_clients_work(person, invocation):
    other = Client.objects.create(slug="other", name="Other")
    outsider = of_user(person("external", other))
    with pytest.raises(NotFound):
        feedback.give(
            caller=outsider, subject_kind="invocation", subject_id=invocation.pk,
            kind="praise",
        )  # fmt: skip


def test_the_latest_score_of_a_source_and_version_counts(api, invocation):
    score = {"name": "accuracy", "source": "judge", "source_version": "j1", "value": 0.2}
    for value in (0.2, 0.9):
        given = about(invocation, **{**score, "value": value})
        assert api("post", "scores", given).status_code == 201
    api("post", "scores", about(invocation, **{**score, "source_version": "j2", "value": 0.5}))
    standing = Score.objects.filter(superseded_at=None)
    assert sorted(standing.values_list("value", flat=True)) == [0.5, 0.9]
    refused = api("post", "scores", about(invocation, **{**score, "source_version": ""}))
    assert refused.json()["field"] == "source_version"


@pytest.mark.django_db(transaction=True)
def test_two_ratings_at_once_leave_one_standing(engineer, invocation):
    def rate(rating):
        try:
            feedback.give(
                caller=engineer, subject_kind="invocation", subject_id=invocation.pk,
                kind="rating", rating=rating,
            )  # fmt: skip
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(rate, (1, 2, 3, 4)))
    assert Feedback.objects.count() == 4
    assert Feedback.objects.filter(superseded_at=None).count() == 1


def test_the_form_keeps_stars_and_a_correction(person, invocation):
    browser = Browser()
    browser.force_login(person("professional"))
    path = f"/dashboard/_feedback/invocation/{invocation.pk}"
    assert b"How good was it?" in browser.get(path).content
    answer = browser.post(
        path, {"rating": "2", "text": "wrong rate", "corrected_output": "19 %", "kind": "praise"}
    )
    assert answer.status_code == 200 and b"it is kept" in answer.content
    assert sorted(Feedback.objects.values_list("kind", "rating")) == [
        ("correction", None), ("rating", 2),
    ]  # fmt: skip
    assert browser.post(path, {"rating": "9"}).status_code == 422
    assert (
        browser.get(path.replace(str(invocation.pk), str(invocation.client_id))).status_code == 404
    )


@pytest.mark.parametrize(
    ("stars", "chosen", "kind"),
    [("5", "", "praise"), ("4", "", "praise"), ("3", "", "complaint"), ("", "", "complaint"),
     ("5", "complaint", "complaint"), ("1", "suggestion", "suggestion")],
)  # fmt: skip
def test_words_of_no_chosen_kind_are_what_the_stars_say(person, invocation, stars, chosen, kind):
    browser = Browser()
    browser.force_login(person("professional"))
    path = f"/dashboard/_feedback/invocation/{invocation.pk}"
    first = re.search(r'<option value="(\w*)"', browser.get(path).content.decode())[1]
    assert first == "", "nobody complains by leaving the form as it is"
    browser.post(path, {"rating": stars, "kind": chosen, "text": "how you put it"})
    assert Feedback.objects.exclude(kind="rating").get().kind == kind


def propose(firm, title="Shorter"):
    return improvements.propose(
        client_id=firm.pk, agent_slug=SLUG, kind="prompt", title=title, evidence={"runs": []},
        proposal={"prompt": title}, impact=4, confidence=0.5, effort=1,
    )  # fmt: skip


def test_a_reviewer_approves_once(api, firm):
    one, new = propose(firm)
    assert new and propose(firm) == (one, False)
    path = f"improvements/{one.pk}/approve"
    assert api("post", path, {}, role="professional").status_code == 403
    assert api("post", path, {"reason": "good"}, role="reviewer").json()["state"] == "approved"
    assert api("post", path, {}, role="reviewer").status_code == 409
    assert api("get", "improvements?state=approved").json()["results"][0]["priority"] == 2.0


def test_a_rejected_proposal_needs_a_reason_and_is_not_made_again(api, firm):
    one, _ = propose(firm)
    path = f"improvements/{one.pk}/reject"
    assert api("post", path, {}, role="reviewer").status_code == 422
    assert api("post", path, {"reason": "no"}, role="reviewer").json()["state"] == "rejected"
    with pytest.raises(improvements.Barred):
        propose(firm)


def test_a_reviewer_decides_in_the_admin(person, firm):
    one, _ = propose(firm)
    reviewer = person("reviewer")
    reviewer.is_staff = reviewer.is_superuser = True
    reviewer.save()
    browser = Browser()
    browser.force_login(reviewer)
    page = browser.get(f"/admin/learning/improvement/{one.pk}/change/")
    assert page.status_code == 200 and b"Approve" in page.content
    assert Improvement.objects.get().state == "proposed"
    browser.post(f"/admin/learning/improvement/{one.pk}/change/", {"do": "approve", "reason": "ok"})
    assert Improvement.objects.get().state == "approved"


def test_a_lifted_tombstone_allows_another_try(engineer, firm):
    one, _ = propose(firm)
    improvements.reject(caller=engineer, improvement_id=one.pk, reason="not now")
    stone = improvements.standing_tombstone(SLUG, one.digest)
    assert stone is not None and improvements.lift(caller=engineer, tombstone_id=stone.pk)
    assert not improvements.lift(caller=engineer, tombstone_id=stone.pk)
    assert propose(firm)[1]
    with pytest.raises(Conflict):
        improvements.approve(caller=engineer, improvement_id=one.pk)


def test_an_issue_gets_a_category_by_its_words_that_a_person_corrects(api, invocation):
    given = about(invocation, kind="complaint", text="It took ages, so slow")
    made = api("post", "feedback", given, role="professional").json()
    assert (made["category"], made["category_by"]) == ("speed", "")
    assert api("post", "feedback", about(invocation, kind="praise", text="so quick")).json()[
        "category"] == ""  # fmt: skip
    path = f"feedback/{made['id']}/category"
    assert api("post", path, {"category": "accuracy"}, role="manager").status_code == 403
    assert api("post", path, {"category": "gossip"}, role="reviewer").status_code == 422
    changed = api("post", path, {"category": "accuracy"}, role="reviewer").json()
    assert changed["category"] == "accuracy" and changed["category_by"]
    assert len(api("get", "feedback?category=accuracy").json()["results"]) == 1
    assert not api("get", "feedback?category=speed").json()["results"]


def test_scores_are_read_by_whom_they_serve_with_their_reasons(api, invocation, person):
    for value in (0.4, 0.8):
        api("post", "scores", about(invocation, name="clear", value=value, source="human",
                                    reason="it is short"))  # fmt: skip
    api("post", "scores", about(invocation, name="other", value=1, source="code"))
    path = f"scores?subject_id={invocation.pk}&name=clear"
    (row,) = api("get", path).json()["results"]
    assert (row["value"], row["reason"], row["source"]) == (0.8, "it is short", "human")
    assert len(api("get", f"{path}&history=true").json()["results"]) == 2
    assert api("get", "scores?subject_id=x").status_code == 422
    stranger = person("reviewer", Client.objects.create(slug="other", name="Other"))
    assert not feedback.visible_scores(of_user(stranger)).exists()


def test_a_country_whose_tax_is_meant_is_no_language(api, invocation):
    for text, category in (
        ("Germany is at 19 %, the rate is wrong", "accuracy"),
        ("The German VAT rate is wrong", "accuracy"),
        ("It answered in German", "language"),
    ):
        made = api("post", "feedback", about(invocation, kind="complaint", text=text)).json()
        assert made["category"] == category, text


def test_a_category_in_words_of_ones_own_is_kept_and_counted_as_other(api, invocation, person):
    given = about(invocation, kind="complaint", text="It took ages, so slow")
    made = api("post", "feedback", {**given, "category": "House style"})
    assert (made.status_code, made.json()["category"]) == (201, "House style")
    api("post", "feedback", about(invocation, kind="suggestion", text="slow", category="speed"))
    for asked, found in (("other", ["House style"]), ("House%20style", ["House style"]),
                         ("speed", ["speed"])):  # fmt: skip
        rows = api("get", f"feedback?category={asked}").json()["results"]
        assert [row["category"] for row in rows] == found
    browser = Browser()
    browser.force_login(person("reviewer"))
    page = browser.get("/dashboard/learning").content.decode()
    shown = re.search(r"Issues by kind.*?</table>", page, re.S)[0]
    assert re.findall(r"<td>(.*?)</td>", shown) == ["Other", "Speed"]


def test_a_mailed_link_takes_the_word_of_its_person_without_signing_in(
    api, person, invocation, mailoutbox
):
    asked = person("professional")
    asked.email = "someone@example.org"
    asked.save()
    body = about(invocation, person=asked.email)
    assert api("post", "feedback/requests", body, role="professional").status_code == 403
    assert api("post", "feedback/requests", body, role="reviewer").status_code == 201
    assert api("post", "feedback/requests", body, role="reviewer").status_code == 409
    (mail,) = mailoutbox
    path = re.search(r"/feedback/\S+", mail.body)[0]
    assert mail.to == [asked.email] and str(invocation.pk) not in mail.body
    browser = Browser(enforce_csrf_checks=True)
    form = browser.get(path)
    when = f"{time_of(invocation.pk):%d %B %Y, %H:%M} UTC"
    assert f"how the answer of {when} was" in mail.body, "of several, this one"
    assert f"How good was the answer of {when}?" in form.content.decode()
    assert not Feedback.objects.exists()
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', form.content.decode())[1]
    chosen = re.search(r'<option value="(\w+)"', form.content.decode())[1]
    given = {"rating": "2", "kind": chosen, "text": "so slow", "csrfmiddlewaretoken": token}
    answer = browser.post(path, given)
    assert answer.status_code == 200 and b"Thank you" in answer.content
    row = Feedback.objects.get(kind="rating")
    assert (row.author_id, row.rating, row.agent_slug) == (asked.pk, 2, SLUG)
    said = Feedback.objects.get(kind="complaint")  # what stands first needs no more than words
    assert (said.text, said.category) == ("so slow", "speed")
    assert FeedbackRequest.objects.get().answered_at is not None
    assert " checked" not in browser.get(path).content.decode(), "nothing that was said is shown"
    assert browser.get("/dashboard/learning").status_code == 302  # the link signs nobody in


def test_a_link_that_was_made_up_has_ended_or_is_of_somebody_who_left_opens_nothing(
    engineer, person, invocation, monkeypatch
):
    asked = person("professional")
    asked.email = "someone@example.org"
    asked.save()
    row = inviting.ask(caller=engineer, subject_kind="invocation", subject_id=invocation.pk,
                       person=asked.username)  # fmt: skip
    token, browser = inviting.token_of(row), Browser()
    assert browser.get(f"/feedback/{token[:-1]}x").status_code == 404
    monkeypatch.setattr(inviting, "LASTS", timedelta(seconds=-1))
    assert browser.get(f"/feedback/{token}").status_code == 404
    monkeypatch.undo()
    asked.is_active = False
    asked.save()
    assert browser.post(f"/feedback/{token}", {"rating": "5"}).status_code == 403
    assert not Feedback.objects.exists()
    outsider = person("external", Client.objects.create(slug="other", name="Other"))
    outsider.email = "else@example.org"
    outsider.save()
    with pytest.raises(NotFound):
        inviting.ask(caller=engineer, subject_kind="invocation", subject_id=invocation.pk,
                     person=outsider.email)  # fmt: skip


def test_what_is_said_of_a_version_is_measured_of_it(api, invocation):
    api("post", "feedback", about(invocation, kind="rating", rating=4))
    api("post", "feedback", about(invocation, kind="correction", corrected_output="Seven."))
    api("post", "scores", about(invocation, name="accuracy", value=0.75, source="human"))
    rollups.roll_up()
    now = timezone.now()
    key = f"{SLUG}|{invocation.version_number}"
    found = queries.totals(
        ["accuracy_ratio", "satisfaction_score", "rework", "feedback"], scope="version",
        since=now - timedelta(hours=1), until=now + timedelta(minutes=1),
    )[key]  # fmt: skip
    assert (found["accuracy_ratio"].mean, found["satisfaction_score"].mean) == (0.75, 4.0)
    assert (found["rework"].total, found["feedback"].total) == (1, 2)


@pytest.mark.parametrize("kind", ["conversation", "run"])
def test_what_is_said_of_a_conversation_or_a_run_counts_in_its_agents_experiment(
    api, firm, kind, kept_run
):
    agent, old, new = make_agent()
    unit = "conversation" if kind == "conversation" else "run"
    draft = {
        "agent": SLUG, "name": "told", "unit": unit,
        "metrics": [{"key": "rating", "role": "primary"}], "plan": {"minimum_days": 0},
        "variants": [{"key": "control", "version": str(old.pk), "is_control": True},
                     {"key": "b", "version": str(new.pk)}],
    }  # fmt: skip
    made = api("post", "experiments", draft).json()["id"]
    assert api("post", f"experiments/{made}/start", {}).status_code == 200
    one, other = meet(agent, firm, units=2, success={old.pk: 1.0, new.pk: 1.0})
    if kind == "conversation":
        subject = Conversation.objects.create(
            client_id=firm.pk, agent_id=agent.pk, agent_slug=agent.slug
        ).pk
        Invocation.objects.filter(pk=one.pk).update(conversation_id=subject, unit=str(subject))
    else:
        subject = kept_run
        Invocation.objects.filter(pk=one.pk).update(run_id=subject, unit=str(subject))
    body = {"subject_kind": kind, "subject_id": str(subject), "kind": "rating", "rating": 2,
            "text": "it never said what the deadline is"}  # fmt: skip
    said = api("post", "feedback", body).json()
    assert (said["agent_slug"], said["version_id"]) == (SLUG, str(one.version_id))
    experiments.sweep()
    found = api("get", f"experiments/{made}/analysis").json()
    arms = {arm["key"]: arm for arm in found["metrics"][0]["arms"]}
    met = "b" if one.version_id == new.pk else "control"
    assert arms[met]["mean"] == 2, arms
    complained = patterns.listed(any_reader(), until=timezone.now().date(), days=1, agent=SLUG)
    assert complained == []
    patterns.find_patterns(timezone.now())
    days = {"until": timezone.now().date(), "days": 7, "agent": SLUG}
    assert [one["kind"] for one in patterns.listed(any_reader(), **days)] == ["complaint"]
    if kind == "run":  # another agent answered in it as well: nobody knows which one is meant
        Invocation.objects.filter(pk=other.pk).update(run_id=subject, agent_slug="aud-other-001")
        assert api("post", "feedback", body, role="manager").json()["agent_slug"] == ""


@pytest.fixture
def kept_run(firm):
    """A run on record."""
    flow, _ = publishing.publish("name: told\nsteps: {a: {tool: core.echo, with: {value: 1}}}")
    return Run.objects.create(client=firm, version=flow, workflow_name="told").pk
