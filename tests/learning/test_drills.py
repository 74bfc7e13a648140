"""How far a rollback reached: dated from the breach, and drilled with real calls."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from celery import current_app
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from django.utils import timezone

from agents.models import Label, TrafficSplit
from learning import responding, rollouts, tasks
from learning.models import Rollout, Tombstone
from learning.rollouts import drilling
from learning.rollouts.breaching import first_breach
from monitoring.models import Action
from tests.agents.conftest import ground, model, offline
from tests.learning.ground import SLUG, make_agent, meet
from tests.learning.test_apart import an_incident
from tests.processes import known_tasks

__all__ = ["ground", "model", "offline"]
STAGES = [{"share": 0.5, "minimum_hours": 0, "minimum_units": 20},
          {"share": 1, "minimum_hours": 0, "minimum_units": 20}]  # fmt: skip


def begun(firm, new, began):
    row = rollouts.begin(
        client_id=firm.pk, agent_slug=SLUG, to_version=new.pk, strategy="custom", stages=STAGES,
        metrics=[{"key": "success", "role": "primary"}],
    )  # fmt: skip
    Rollout.objects.filter(pk=row.pk).update(created_at=began, stage_started_at=began)
    return row


@pytest.mark.django_db
def test_a_breach_is_dated_by_the_calls_that_showed_it_not_by_the_sweep(firm, api, person):
    agent, old, new = make_agent()
    began = timezone.now() - timedelta(hours=4)
    row = begun(firm, new, began)
    meet(agent, firm, units=100, success={old.pk: 0.9, new.pk: 0.9}, started=began)
    rollouts.refresh(Rollout.objects.get(), now=began + timedelta(hours=1))
    turned = began + timedelta(hours=2)
    meet(agent, firm, units=400, success={old.pk: 0.9, new.pk: 0.1}, seed=2, started=turned)
    meet(agent, firm, units=60, success={old.pk: 0.9, new.pk: 0.1}, seed=3,
         started=timezone.now() - timedelta(minutes=1))  # fmt: skip
    assert rollouts.sweep()["rolled_back"] == 1
    found = api("get", f"rollouts/{row.pk}").json()
    row.refresh_from_db()
    assert turned <= row.breached_at <= turned + timedelta(minutes=3)
    assert row.ended_at - row.breached_at > timedelta(hours=1.9)
    assert row.last_exposure_at > turned + timedelta(hours=1)
    assert found["reach"]["breach_to_last_exposure_seconds"] > 1.8 * 3600
    browser = Browser()
    browser.force_login(person("reviewer"))
    text = browser.get(f"/dashboard/rollouts/{row.pk}").content.decode()
    assert "Breach to last exposure" in text and "Rollback to last exposure" in text


@pytest.mark.django_db
def test_a_rollback_for_an_incident_is_dated_by_its_first_alert(firm):
    _, _, new = make_agent()
    began = timezone.now() - timedelta(hours=1)
    row = begun(firm, new, began)
    incident = an_incident(began + timedelta(minutes=10))
    Action.objects.create(incident=incident, kind="roll_back_rollout", target=SLUG)
    assert responding.respond() == 1
    row.refresh_from_db()
    assert row.state == "rolled_back" and row.breached_at == began + timedelta(minutes=10)


def test_a_breach_is_found_by_halving_the_time_between_two_looks():
    start = timezone.now()
    turned = start + timedelta(seconds=40)
    found = first_breach(
        start, start + timedelta(seconds=60), is_breached=lambda moment: moment >= turned
    )
    assert turned <= found < turned + timedelta(seconds=1)


@pytest.mark.django_db(transaction=True)
def test_the_drill_takes_its_own_rollout_back_and_measures_the_reach(firm, ground):
    out = StringIO()
    call_command("rollback_drill", "--look-seconds", "0.5", "--callers", "2", stdout=out)
    found = json.loads(out.getvalue())
    assert found["found"] and found["state"] == "rolled_back" and "worse" in found["reason"]
    assert "drill 0, control 1" in found["reason"] and "varies" not in found["reason"]
    assert found["exposures"] > 0 and found["refused"] == 0
    assert found["exposures_after_rollback"] <= 2  # only what was under way in two callers
    assert found["breach_to_last_exposure_seconds"] is not None
    row = Rollout.objects.get()
    assert row.is_drill and not Tombstone.objects.exists()
    assert not TrafficSplit.objects.filter(closed_at=None).exists()
    production = Label.objects.get(agent__slug=drilling.AGENT, name="production").version_id
    assert production == row.from_version_id


@pytest.mark.django_db(transaction=True)
def test_a_drill_over_http_sends_its_calls_from_a_worker(firm, ground, api, person, monkeypatch):
    sent = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, queue: sent.append(
        (name, args, queue)))  # fmt: skip
    monkeypatch.setattr(drilling, "AFTER_SECONDS", 0.1)
    monkeypatch.setattr(drilling, "LEAST_SECONDS", 5)
    made = api("post", "rollouts/drills", {"seconds": 5})
    assert made.status_code == 202 and made.json()["is_drill"], made.content
    page = f"/dashboard/rollouts/{made.json()['id']}"
    reader = Browser()
    reader.force_login(person("reviewer"))
    assert "No worker has taken this drill up yet" in reader.get(page).content.decode()
    assert api("post", "rollouts/drills", {}).status_code == 409
    assert api("post", "rollouts/drills", {}, role="professional").status_code == 403
    ((name, args, queue),) = sent
    tasks_by_name = {tasks.rollback_drill.name: tasks.rollback_drill}
    assert queue in _lanes_of_io_workers_if_they_know(name)
    tasks_by_name[name](*args)  # nobody sweeps here: its time runs out, and it goes back
    found = api("get", made["Location"].removeprefix("/api/v1/")).json()
    assert found["state"] == "rolled_back" and "nobody had found its harm" in found["state_reason"]
    assert found["reach"]["rollback_to_last_exposure_seconds"] is not None
    told = drilling.wait(Rollout.objects.get(), seconds=1)
    assert told["found"] is False and told["calls"] > 0
    assert "Nobody found what was wrong" in reader.get(page).content.decode()


def _lanes_of_io_workers_if_they_know(task):
    return ("high", "default", "low") if task in known_tasks("ratchet-io1") else ()


@pytest.mark.django_db
def test_a_drill_that_a_crash_left_open_is_closed_by_the_sweep_and_blocks_no_other(
    firm, api, monkeypatch
):
    monkeypatch.setattr(current_app, "send_task", lambda *args, **kwargs: None)
    monkeypatch.setattr(drilling, "LEAST_SECONDS", 5)
    left = api("post", "rollouts/drills", {"seconds": 30}).json()["id"]
    row = Rollout.objects.get(pk=left)
    assert drilling._begun(row) and not drilling._begun(Rollout.objects.get(pk=left))
    drilling.close_lost(timezone.now() + timedelta(seconds=80))
    assert Rollout.objects.get(pk=left).state == "running"  # its worker may still end it
    long_ago = (timezone.now() - timedelta(seconds=95)).isoformat()
    Rollout.objects.update(postcheck={**row.postcheck, "drill_began_at": long_ago})
    tasks.sweep_comparisons()
    found = api("get", f"rollouts/{left}").json()
    assert (found["state"], found["drill"]) == ("rolled_back", {"found": False})
    assert "has not ended it" in found["state_reason"]
    late = drilling.run(Rollout.objects.get(pk=left), seconds=30)  # its message, come again
    assert late["found"] is False and "calls" not in late

    nobody = api("post", "rollouts/drills", {"seconds": 30}).json()["id"]
    Rollout.objects.filter(pk=nobody).update(created_at=timezone.now() - timedelta(minutes=11))
    assert api("post", "rollouts/drills", {"seconds": 30}).status_code == 202
    assert "no worker took" in Rollout.objects.get(pk=nobody).state_reason


@pytest.mark.django_db
def test_a_drill_without_a_firm_or_beyond_its_limits_is_refused(api):
    for wrong in ("nan", 4, 601):
        refused = api("post", "rollouts/drills", {"seconds": wrong})
        assert (refused.status_code, refused.json()["field"]) == (422, "seconds")
    # Forty seconds could pass between two sweeps: the drill ended and nobody had looked.
    refused = api("post", "rollouts/drills", {"seconds": 40})
    assert refused.status_code == 422 and "judged every 60 s" in refused.json()["detail"]
    with pytest.raises(CommandError, match="at most 600"):
        call_command("rollback_drill", "--seconds", "601")
    with pytest.raises(CommandError, match="callers"):
        call_command("rollback_drill", "--callers", "9")
    assert not Rollout.objects.exists()
