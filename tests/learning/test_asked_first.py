"""What the admin's lists can't undo: it says what would follow, and asks why, before it is done."""

from __future__ import annotations

import json

import pytest
from django.test import Client as Browser
from django.utils import timezone

from agents.models import Label
from config.access.models import Client, Membership, User
from learning import rollouts
from learning.models import Example, Rollout, Tombstone, TuningJob
from monitoring.models import AuditEntry, AuditPayload
from tests.learning.ground import SLUG, make_agent

pytestmark = pytest.mark.django_db
STAGES = [{"share": s, "minimum_hours": 0, "minimum_units": 20} for s in (0.25, 1)]


@pytest.fixture
def site(person):
    browser = Browser()
    staff = person("reviewer")
    User.objects.filter(pk=staff.pk).update(is_staff=True)
    browser.force_login(staff)
    return browser


def begun(firm, engineer, new, **changes):
    return rollouts.begin(
        client_id=firm.pk, agent_slug=SLUG, to_version=str(new.pk), by=engineer.name,
        strategy="custom", stages=STAGES, **changes,
    )  # fmt: skip


def chosen(site, kind, action, *rows, **given):
    answer = site.post(
        f"/admin/learning/{kind}/",
        {"action": action, "_selected_action": [str(row.pk) for row in rows], **given},
        follow=True,
    )
    assert answer.status_code == 200
    return answer.content.decode()


def audited(action):
    """The reason that the latest entry of this action keeps."""
    entry = AuditEntry.objects.filter(action=action).order_by("-id")[0]
    return json.loads(AuditPayload.objects.get(entry_id=entry.pk).after)["reason"]


def test_a_rollback_says_which_version_whose_share_and_to_whom_and_waits(firm, engineer, site):
    _, _, new = make_agent()
    row = begun(firm, engineer, new)
    text = chosen(site, "rollout", "take_back", row)
    assert ("Version 2, at stage 1 of 2 with 25 % of all units, goes back to version 1 for "
            "everybody, from the next call on. Version 2 is barred") in text  # fmt: skip
    assert f"{SLUG} at stage 1</strong>" in text, "counted from one, as everywhere"
    row.refresh_from_db()
    assert row.state == "running" and not Tombstone.objects.exists()
    text = chosen(site, "rollout", "take_back", row, confirmed="yes", reason="  ")
    assert "without a reason nothing is done" in text
    row.refresh_from_db()
    assert row.state == "running"


def test_a_confirmed_rollback_keeps_its_reason(firm, engineer, site):
    _, _, new = make_agent()
    row = begun(firm, engineer, new)
    text = chosen(site, "rollout", "take_back", row, confirmed="yes", reason="too chatty")
    row.refresh_from_db()
    assert row.state == "rolled_back" and row.state_reason == "too chatty"
    assert "Roll back: 1 rollout." in text
    assert audited("learning.rollout.rolled_back") == "too chatty"
    text = chosen(site, "rollout", "take_back", row)
    assert "ended already" in text and "confirmed" not in text


def test_a_rollback_of_what_everybody_has_says_what_they_get(firm, engineer, site):
    _, old, new = make_agent()
    row = begun(firm, engineer, new)
    for _ in STAGES:
        rollouts.advance(caller=engineer, rollout_id=row.pk, reason="go on")
    assert Label.objects.get(name="production").version_id == new.pk
    text = chosen(site, "rollout", "take_back", row)
    assert "Version 2, which everybody has, goes back to version 1 for everybody" in text
    Label.objects.filter(name="production").update(version=old)
    text = chosen(site, "rollout", "take_back", row)
    assert "not in production any more: version 1 stays" in text


def test_lifting_a_tombstone_is_asked_first_and_keeps_its_reason(firm, engineer, site):
    _, _, new = make_agent()
    row = begun(firm, engineer, new)
    rollouts.rollback(caller=engineer, rollout_id=row.pk, reason="too chatty.")
    stone = Tombstone.objects.get()
    text = chosen(site, "tombstone", "lift", stone)
    assert "barred because “too chatty” may be proposed, tried and rolled out again" in text
    assert Tombstone.objects.get().lifted_at is None
    chosen(site, "tombstone", "lift", stone, confirmed="yes", reason="the tone is mended")
    assert Tombstone.objects.get().lifted_at is not None
    assert audited("learning.tombstone.lifted") == "the tone is mended"


def test_rejecting_examples_is_asked_first_and_keeps_its_reason(firm, site):
    rows = [
        Example.objects.create(
            client_id=firm.pk, agent_slug=SLUG, source=Example.Source.CORRECTION,
            question=f"What of {n}?", answer="That.", digest=str(n), state=state,
            decided_at=None if state == "proposed" else timezone.now(),
        )
        for n, state in enumerate(("proposed", "proposed", "approved"))
    ]  # fmt: skip
    text = chosen(site, "example", "reject", *rows)
    assert "2 examples are changed" in text and "left alone" in text
    assert Example.objects.filter(state="rejected").count() == 0
    chosen(site, "example", "reject", *rows, confirmed="yes", reason="not about tax")
    assert list(Example.objects.filter(state="rejected").values_list("decision_reason")) == [
        ("not about tax",), ("not about tax",),
    ]  # fmt: skip
    assert audited("learning.example.rejected") == "not about tax"


def test_cancelling_a_tuning_job_is_asked_first(firm, site, monkeypatch):
    _, old, _ = make_agent()
    monkeypatch.setattr("learning.finetuning.asking.send", lambda job_id: None)
    job = TuningJob.objects.create(
        client_id=firm.pk, agent_slug=SLUG, base_version_id=old.pk, endpoint="one", model="m",
        served_as="m", digest="d", training_id=old.pk, card_id=old.pk, lessons=10, cap_usd=1,
    )  # fmt: skip
    text = chosen(site, "tuningjob", "call_off", job)
    assert "what it has learnt is lost" in text
    job.refresh_from_db()
    assert job.state == "queued"
    chosen(site, "tuningjob", "call_off", job, confirmed="yes", reason="wrong data")
    job.refresh_from_db()
    assert job.state == "cancelling" and job.reason == "wrong data"


def test_who_sees_some_clients_is_shown_and_takes_back_nothing_of_others(firm, engineer):
    _, _, new = make_agent()
    row = begun(firm, engineer, new)
    other = Client.objects.create(slug="other", name="Other")
    guest = User.objects.create_user("guest", password="x", is_staff=True)
    Membership.objects.create(user=guest, client=other, role="reviewer")
    browser = Browser()
    browser.force_login(guest)
    assert SLUG not in browser.get("/admin/learning/rollout/").content.decode()
    browser.post("/admin/learning/rollout/", {
        "action": "take_back", "_selected_action": [str(row.pk)], "confirmed": "yes",
        "reason": "x",
    })  # fmt: skip
    assert Rollout.objects.get().state == "running"


def test_who_may_only_read_is_asked_nothing(firm, engineer, person):
    _, _, new = make_agent()
    row = begun(firm, engineer, new)
    browser = Browser()
    staff = person("professional")
    User.objects.filter(pk=staff.pk).update(is_staff=True)
    browser.force_login(staff)
    browser.post("/admin/learning/rollout/", {
        "action": "take_back", "_selected_action": [str(row.pk)], "confirmed": "yes",
        "reason": "x",
    })  # fmt: skip
    assert Rollout.objects.get().state == "running"
