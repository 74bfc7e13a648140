"""What people ask of runs over HTTP, and what they are told where it makes no sense."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client as Browser
from django.utils import timezone

from config.access.models import User
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, problem, start
from workflows import steps, sweeps, waits
from workflows.models import Run, Signal, StepRun

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_a_state_does_not_allow_is_a_conflict_that_says_what_would(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    run = start(web, who, "name: wait\nsteps:\n  w: {wait: {signal: go}}\n")
    at = f"runs/{run['id']}"
    for action in ("resume", "retry"):
        body = problem(post(web, f"{at}/{action}", {}, who), 409, "conflict")
        assert "running" in body["detail"]
    assert post(web, f"{at}/pause", {}, who).json()["state"] == "paused"
    assert post(web, f"{at}/resume", {}, who).json()["state"] == "running"
    assert post(web, f"{at}/signal", {"name": "go", "payload": 3}, who).status_code == 202
    assert get(web, at, who).json()["state"] == "succeeded"
    for action, body in (("cancel", {}), ("pause", {}), ("signal", {"name": "go"})):
        problem(post(web, f"{at}/{action}", body, who), 409, "conflict")
    fork = post(web, f"{at}/fork", {"from_step": "w"}, who)
    assert (fork.status_code, fork.json()["forked_from"]) == (201, run["id"])
    problem(post(web, f"{at}/fork", {"from_step": "nope"}, who), 422, "invalid_input")
    cancelled = post(web, f"runs/{fork.json()['id']}/cancel", {"reason": "enough"}, who).json()
    assert (cancelled["state"], cancelled["error"]["message"]) == ("cancelled", "enough")
    assert post(web, f"runs/{fork.json()['id']}/retry", {}, who).json()["state"] == "running"


@pytest.mark.parametrize("payload", ["a\x00b", {"k\x00": 1}])
def test_a_signal_that_no_row_can_hold_is_refused(web: Browser, key: Key, payload: Any) -> None:
    who = key()
    run = start(web, who, "name: wait\nsteps:\n  w: {wait: {signal: go}}\n")
    answer = post(web, f"runs/{run['id']}/signal", {"name": "go", "payload": payload}, who)
    assert answer.status_code == 422


def test_control_of_others_runs_needs_its_scope(web: Browser, key: Key) -> None:
    run = start(web, key())
    problem(post(web, f"runs/{run['id']}/cancel", {}, key("professional")), 403, "forbidden")


def test_a_control_is_repeated_safely_under_its_key(web: Browser, key: Key) -> None:
    who = key()
    run = start(web, who)
    first, again = (
        post(web, f"runs/{run['id']}/fork", {"from_step": "a"}, who, **{"Idempotency-Key": "f"})
        for _ in range(2)
    )
    assert first.json()["id"] == again.json()["id"]
    assert Run.objects.count() == 2


def test_dead_letters_are_listed_and_given_out_again(
    web: Browser, key: Key, broker: Broker, settings: Any
) -> None:
    settings.MAX_DELIVERIES = 1
    who = key(username="ada")
    run = start(web, who)
    step = StepRun.objects.get(run_id=run["id"], key="a")
    assert steps.claim([step.pk], token=uuid4(), worker="w")
    StepRun.objects.filter(pk=step.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    sweeps.sweep()
    found = get(web, "dead-letters", who).json()["results"]
    assert [d["id"] for d in found] == [str(step.pk)]
    assert found[0]["error"]["message"] == "its worker was lost; times given out: 1"
    signed = Browser()
    signed.force_login(User.objects.get(username="ada"))
    page = signed.get(f"/dashboard/runs/{run['id']}?step={step.pk}").content.decode()
    assert "verdict-mark is-bad" in page and "Give it out again" in page
    assert post(web, f"dead-letters/{step.pk}/requeue", {}, who).status_code == 202
    problem(post(web, f"dead-letters/{step.pk}/requeue", {}, who), 404, "not_found")
    broker.drain()
    assert get(web, f"runs/{run['id']}", who).json()["state"] == "succeeded"


def test_a_signal_to_a_run_that_waits_for_its_place_is_kept_for_it(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    source = "name: one\nconcurrency: {max: 1}\nsteps:\n  w: {wait: {signal: go}}\n"
    first, second = (start(web, who, source)["id"] for _ in range(2))
    assert post(web, f"runs/{second}/signal", {"name": "go"}, who).status_code == 202
    assert get(web, f"runs/{second}", who).json()["state"] == "waiting"
    assert post(web, f"runs/{first}/signal", {"name": "go"}, who).status_code == 202
    broker.drain()
    assert get(web, f"runs/{second}", who).json()["state"] == "succeeded"


def test_a_signal_whose_sender_dies_is_delivered_wholly_or_not_at_all(
    web: Browser, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept but not delivered, it would let the step wait for ever."""
    who = key()
    run = start(web, who, "name: wait\nsteps:\n  w: {wait: {signal: go}}\n")["id"]

    def dies(*_: Any) -> None:
        raise RuntimeError("the process is gone")

    with monkeypatch.context() as patch:
        patch.setattr(waits, "take_signal", dies)
        web.raise_request_exception = False
        assert post(web, f"runs/{run}/signal", {"name": "go"}, who).status_code == 500
    assert get(web, f"runs/{run}", who).json()["state"] == "running"
    assert not Signal.objects.exists()
    assert post(web, f"runs/{run}/signal", {"name": "go"}, who).status_code == 202
    assert get(web, f"runs/{run}", who).json()["state"] == "succeeded"


@pytest.mark.parametrize(("action", "body", "status"), [
    ("cancel", {"reason": ["x"]}, 422), ("cancel", {"firm": "perhaps"}, 422),
    ("cancel", [1], 422), ("signal", {}, 422), ("signal", {"name": ""}, 422),
    ("signal", {"name": "x" * 65}, 422), ("signal", {"name": {"a": 1}}, 422),
    ("fork", {}, 422), ("fork", {"from_step": "w", "inputs": [1]}, 422),
    ("fork", {"from_step": "w", "inputs": "x"}, 422), ("fork", {"from_step": ["w"]}, 422),
    ("fork", {"from_step": "w", "inputs": {"n": "a\x00b"}}, 422),
    ("fork", {"from_step": "w", "inputs": None}, 422),
    ("fork", {"from_step": "w", "inputs": {"n": 1}}, 201),
])  # fmt: skip
def test_an_odd_body_of_a_control_is_refused_and_changes_nothing(
    web: Browser, key: Key, action: str, body: Any, status: int
) -> None:
    who = key()
    run = start(web, who, "name: wait\nsteps:\n  w: {wait: {signal: go}}\n")["id"]
    answer = web.post(
        f"/api/v1/runs/{run}/{action}", json.dumps(body), content_type="application/json",
        headers=who,
    )  # fmt: skip
    assert answer.status_code == status, answer.content
    assert get(web, f"runs/{run}", who).json()["state"] == "running"
    assert Run.objects.count() == (2 if status == 201 else 1)
