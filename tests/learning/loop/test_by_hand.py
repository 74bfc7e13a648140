"""Changes that no version says: a person does them, what follows is measured, repeats are right."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client as Browser
from django.utils import timezone

from agents.models import Endpoint
from config.access.models import Client, Membership, User
from learning import patterns, proposing
from learning.models import Improvement, Tombstone

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def failing(bare, call, firm):
    """An agent whose tool was not answering for a week; one proposal by rule."""
    now = timezone.now()
    for n in range(60):
        bad = {"state": "failed", "error_code": "timeout",
               "error": {"code": "timeout", "message": f"tool ledger.load took {n} s"}}  # fmt: skip
        call(bare, now - DAY - timedelta(hours=n), **(bad if n % 2 else {}))
    patterns.find_patterns(now)
    proposing.propose_by_rule(bare.slug, now, client_id=firm.pk)
    return Improvement.objects.get(kind="routing")


def again(agent, days):
    """The weekly pass so many days on."""
    at = timezone.now() + days * DAY
    patterns.find_patterns(at)
    return proposing.propose_by_rule(agent.slug, at, client_id=Client.objects.get(is_firm=True).pk)


def test_it_is_done_by_hand_with_a_note_and_what_follows_is_measured(failing, bare, call, api):
    path = f"/api/v1/improvements/{failing.pk}"
    told = api("get", path).json()
    assert told["actions"] == ["approve", "reject", "done"]
    assert told["risk"] == {"level": "low", "says": "Low: a person approves it, and makes it."}
    assert api("post", f"{path}/approve", {"reason": "plan it"}).status_code == 200
    approved = api("get", path).json()
    assert approved["actions"] == ["reject", "done"]
    assert "makes it now, and then says so here: done by hand" in approved["headline"]
    assert api("post", f"{path}/done", {"note": " "}).status_code in (400, 422)
    body = api("post", f"{path}/done", {"note": "the ledger has a second replica"}).json()
    assert (body["state"], body["decision_reason"]) == (
        "shipped", "done by hand: the ledger has a second replica",
    )  # fmt: skip
    assert api("post", f"{path}/done", {"note": "again"}).status_code == 409
    followed = api("get", path).json()["afterwards"]
    assert (followed["what"], followed["before"], followed["calls"]) == (
        "share of bad calls", None, [60, 0],
    )  # fmt: skip
    Improvement.objects.filter(pk=failing.pk).update(evidence={
        **failing.evidence,
        "done": {"by": "x", "note": "n", "at": (timezone.now() - DAY).isoformat()},
    })  # fmt: skip
    for n in range(40):
        call(bare, timezone.now() - timedelta(minutes=n + 1))
    followed = api("get", path).json()["afterwards"]
    assert (followed["before"], followed["since"], followed["calls"]) == (0.5, 0.0, [60, 40])


def test_what_was_done_is_proposed_again_only_if_it_goes_on_for_four_weeks(
    failing, bare, call, api
):
    path = f"/api/v1/improvements/{failing.pk}"
    api("post", f"{path}/done", {"note": "a second replica"})
    assert again(bare, 2)["new"] == 0
    Improvement.objects.update(decided_at=timezone.now() - 29 * DAY)
    assert again(bare, 2)["new"] == 1
    newer = Improvement.objects.filter(kind="routing").exclude(pk=failing.pk).get()
    assert newer.state == "proposed"
    assert newer.evidence["done_before"]["note"] == "a second replica"


def test_what_was_done_is_taken_back_and_barred(failing, bare, api, firm):
    user = User.objects.create_user("rita", password="x", is_staff=True)
    Membership.objects.create(user=user, client=firm, role="reviewer")
    browser = Browser()
    browser.force_login(user)
    page = f"/admin/learning/improvement/{failing.pk}/change/"
    assert 'value="done"' in browser.get(page).content.decode()
    browser.post(page, {"do": "done", "reason": "a longer limit"})
    text = browser.get(page).content.decode()
    assert "Since it was done" in text and "a longer limit" in text and 'value="take_back"' in text
    browser.post(page, {"do": "take_back", "reason": "it only waited longer"})
    failing.refresh_from_db()
    assert failing.state == "rolled_back"
    assert "it only waited longer" in Tombstone.objects.get().reason
    assert again(bare, 2)["new"] == 0


def test_what_a_version_says_is_not_done_by_hand(failing, bare, api):
    Improvement.objects.update(candidate_version_id=bare.labels.get().version_id)
    refused = api("post", f"/api/v1/improvements/{failing.pk}/done", {"note": "n"})
    assert refused.status_code == 409 and "to be approved" in refused.json()["detail"]


def test_an_endpoint_that_fails_is_a_routing_candidate_where_there_is_another(bare, call, firm):
    for name in ("one", "two"):
        Endpoint.objects.create(
            name=name, base_url=f"http://{name}.localhost/v1",
            served=[{"name": "m", "tier": "standard", "context_tokens": 8000, "capabilities": []}],
        )  # fmt: skip
    now = timezone.now()
    for n in range(20):
        call(bare, now - timedelta(hours=n + 1), state="failed", error_code="unavailable",
             error={"code": "unavailable", "message": f"endpoint one answered {n}"})  # fmt: skip
    patterns.find_patterns(now)
    proposing.propose_by_rule(bare.slug, now, client_id=firm.pk)
    row = Improvement.objects.get(kind="routing")
    version = bare.versions.get(pk=row.candidate_version_id)
    assert version.model == {"tier": "standard", "policy": "health"}
