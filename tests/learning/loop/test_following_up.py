"""Who started a run is asked by mail how it was, where a policy says so, through beat's sweep."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.test import Client as Browser
from django.utils import timezone

from agents.models import Invocation
from config.access import callers
from config.access.models import Client, Membership, User
from learning import feedback, tasks
from learning.models import AskingPolicy, Feedback, FeedbackRequest
from monitoring.models import AuditEntry
from tests.workflows.conftest import broker
from workflows import publishing, starting
from workflows.models import Run

__all__ = ["broker"]
pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/api/v1/feedback/policies"
ONE = """
name: one
inputs: {type: object}
steps: {say: {tool: core.echo, with: {value: 1}}}
"""
LIMITED = ONE.replace("name: one", "name: limited") + "access: {see: [manager]}\n"


@pytest.fixture
def ada(firm):
    user = User.objects.create_user("ada", password="x", email="ada@example.org")
    Membership.objects.create(user=user, client=firm, role="professional")
    Membership.objects.create(user=user, client=firm, role="manager")
    return user


@pytest.fixture
def ended(ada, broker):
    """``ended(source, hours)`` is a run of Ada's that ended so many hours ago."""

    def run(source=ONE, hours=2.0):
        version, _ = publishing.publish(source)
        made, _ = starting.start_run(
            caller=callers.of_user(ada), workflow=version.workflow.name, inputs={}
        )
        broker.drain()
        Run.objects.filter(pk=made.pk).update(ended_at=timezone.now() - timedelta(hours=hours))
        return made

    return run


@pytest.fixture
def allowed(api):
    def put(**rules):
        made = api("put", PATH, {"workflow": "", "is_enabled": True, **rules})
        assert made.status_code == 200, made.content
        return made.json()

    return put


def test_nobody_is_asked_before_a_policy_says_so(ended, api, mailoutbox):
    ended()
    tasks.follow_up()
    assert not mailoutbox
    assert api("put", PATH, {"workflow": "one"}).json()["is_enabled"] is False
    tasks.follow_up()
    assert not mailoutbox


def test_whoever_started_a_run_is_asked_once_an_hour_after_its_end(ended, allowed, mailoutbox):
    allowed()
    asked, _ = ended(hours=1.1), ended(hours=0.5)
    ended(hours=26)  # long over when the policy came
    tasks.follow_up()
    tasks.follow_up()
    (mail,) = mailoutbox
    assert mail.to == ["ada@example.org"] and "by itself" in mail.body
    row = FeedbackRequest.objects.get()
    assert (row.subject_kind, row.subject_id, row.user.username) == ("run", asked.pk, "ada")
    path = re.search(r"/feedback/\S+", mail.body)[0]
    assert b"Thank you" in Browser().post(path, {"rating": "4"}).content
    assert Feedback.objects.get().subject_id == asked.pk


def test_whoever_has_spoken_of_a_run_or_of_a_step_in_it_is_left_alone(
    ended, allowed, ada, mailoutbox
):
    allowed()
    caller = callers.of_user(ada)
    about = {"caller": caller, "kind": "rating", "rating": 5}
    feedback.give(subject_kind="run", subject_id=ended().pk, **about)
    feedback.give(subject_kind="step", subject_id=ended().steps.get(key="say").pk, **about)
    tasks.follow_up()
    assert not mailoutbox


def test_a_hidden_run_a_demonstration_and_a_cancelled_one_are_never_told_of(
    ended, allowed, mailoutbox
):
    allowed()
    ended(LIMITED)
    Run.objects.filter(pk=ended().pk).update(is_demo=True)
    Run.objects.filter(pk=ended().pk).update(state="cancelled")
    tasks.follow_up()
    assert not mailoutbox


def test_a_person_gets_so_many_mails_a_week_and_none_after_saying_so(ended, allowed, mailoutbox):
    allowed(most_a_week=2)
    for _ in range(4):
        ended()
    tasks.follow_up()
    tasks.follow_up()
    assert len(mailoutbox) == 2
    FeedbackRequest.objects.update(created_at=timezone.now() - timedelta(days=8))
    path = re.search(r"/feedback/\S+", mailoutbox[0].body)[0]
    browser = Browser()
    assert b"Ask me no more" in browser.get(path).content
    told = browser.post(path, {"decline": "1"})
    assert told.status_code == 200 and b"will not be asked again" in told.content
    tasks.follow_up()
    assert len(mailoutbox) == 2
    assert not Feedback.objects.exists()


def test_the_most_particular_policy_holds(ended, allowed, firm, mailoutbox):
    allowed()
    ended()
    allowed(workflow="one", client=str(firm.pk), is_enabled=False)
    tasks.follow_up()
    assert not mailoutbox
    allowed(workflow="one", client=str(firm.pk))
    tasks.follow_up()
    assert len(mailoutbox) == 1
    assert AskingPolicy.objects.count() == 2


def test_a_share_of_runs_is_drawn_once_for_good(ended, allowed, mailoutbox):
    allowed(share_ratio=0.5, most_a_week=50)
    for _ in range(12):
        ended()
    tasks.follow_up()
    first = len(mailoutbox)
    for _ in range(2):
        tasks.follow_up()
    assert len(mailoutbox) == first < 12


def test_only_an_administrator_says_who_is_asked_and_it_is_on_record(api, agent, ada):
    assert api("put", PATH, {"workflow": "none"}).status_code == 422
    assert api("put", PATH, {"workflow": "", "share_ratio": 2}).status_code == 422
    api("put", PATH, {"workflow": "", "is_enabled": True})
    assert AuditEntry.objects.filter(action="learning.asking_policy.changed").count() == 1
    (row,) = api("get", PATH).json()["results"]
    assert (row["is_enabled"], row["most_a_week"], row["after_hours"]) == (True, 3, 1.0)
    Membership.objects.create(user=ada, client_id=ada.memberships.first().client_id,
                              role="reviewer")  # fmt: skip
    _, secret = callers.create_key(user=ada, client=ada.memberships.first().client, name="t",
                                   scopes=["learning:decide", "learning:read"])  # fmt: skip
    bearer = Browser(headers={"Authorization": f"Bearer {secret}"})
    refused = bearer.put(PATH, {"workflow": ""}, content_type="application/json")
    assert refused.status_code == 403, refused.content
    assert not Invocation.objects.exists()


def test_an_administrator_sets_a_policy_in_the_admin(firm, api):
    boss = User.objects.create_user("boss", password="x", is_staff=True)
    Membership.objects.create(user=boss, client=firm, role="administrator")
    browser = Browser()
    browser.force_login(boss)
    path = "/admin/learning/askingpolicy/add/"
    form = browser.get(path).content.decode()
    assert "every other workflow" in form and "DatabaseDefault" not in form
    given = {"workflow_name": "", "client": "", "is_enabled": "on", "share_ratio": "1",
             "after_hours": "2", "most_a_week": "1"}  # fmt: skip
    refused = browser.post(path, {**given, "workflow_name": "none"})
    assert refused.status_code == 200 and not AskingPolicy.objects.exists()
    assert browser.post(path, given).status_code == 302
    row = AskingPolicy.objects.get()
    assert (row.is_enabled, row.after_hours, row.changed_by) == (True, 2.0, "boss")
    page = browser.get(f"/admin/learning/askingpolicy/{row.pk}/change/").content.decode()
    assert "Created at" in page


def test_an_administrator_of_one_client_sets_and_sees_no_policy_of_others(ended, allowed, firm):
    ended()
    other = Client.objects.create(slug="acme", name="Acme")
    allowed()
    allowed(workflow="one", client=str(firm.pk))
    person = User.objects.create_user("lee")
    Membership.objects.create(user=person, client=other, role="administrator")
    _, secret = callers.create_key(
        user=person, client=other, name="t", scopes=["learning:read", "learning:decide"]
    )
    web = Browser(headers={"Authorization": f"Bearer {secret}"})
    for body in ({"workflow": ""}, {"workflow": "one", "client": str(firm.pk)}):
        answer = web.put(PATH, json.dumps(body), content_type="application/json")
        assert answer.status_code == 403, answer.content
    assert [one["client"] for one in web.get(PATH).json()["results"]] == [None]
    own = {"workflow": "one", "client": str(other.pk)}
    assert web.put(PATH, json.dumps(own), content_type="application/json").status_code == 200
