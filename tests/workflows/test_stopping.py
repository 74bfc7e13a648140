"""A firm cancel, deadlines, versions by name, and a history that stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError
from django.test import Client as Browser
from django.utils import timezone

from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, problem, start
from workflows import engine, publishing, steps, sweeps
from workflows.advance import Outcome
from workflows.contexts import run_facts
from workflows.database import execute
from workflows.domain.transitions import StepState
from workflows.models import (
    Run,
    RunEvent,
    StepRun,
)
from workflows.plans import plan_for

pytestmark = pytest.mark.django_db(transaction=True)


def _running(web: Browser, who: dict[str, str]) -> tuple[str, StepRun, Any]:
    run = start(web, who)
    step, token = StepRun.objects.get(run_id=run["id"], key="a"), uuid4()
    assert steps.claim([step.pk], token=token, worker="w")
    return run["id"], step, token


def test_a_firm_cancel_waits_for_no_step_and_refuses_what_comes_late(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    run, step, token = _running(web, who)
    assert post(web, f"runs/{run}/cancel", {}, who).json()["state"] == "cancelling"
    problem(post(web, f"runs/{run}/cancel", {}, who), 409, "conflict")
    assert post(web, f"runs/{run}/cancel", {"firm": True}, who).json()["state"] == "cancelled"
    facts = run_facts(step.run_id)
    late = [Outcome(step.pk, "a", StepState.SUCCEEDED, output={"value": "late"})]
    engine.finish(facts, plan_for(facts.version_id), token=token, outcomes=late,
                  next_token=uuid4(), worker="w")  # fmt: skip
    step.refresh_from_db()
    assert (step.state, step.output, step.error["code"]) == ("cancelled", None, "abandoned")
    told = get(web, f"runs/{run}/events?format=json", who).json()["results"]
    assert "step.abandoned" in {event["name"] for event in told}


def test_a_cancel_becomes_firm_by_itself_after_the_grace(
    web: Browser, key: Key, settings: Any
) -> None:
    who = key()
    run, _, _ = _running(web, who)
    post(web, f"runs/{run}/cancel", {}, who)
    sweeps.sweep()
    assert Run.objects.get(pk=run).state == "cancelling"
    settings.STOP_GRACE = timedelta(0)
    sweeps.sweep()
    assert Run.objects.get(pk=run).state == "cancelled"
    assert post(web, f"runs/{run}/retry", {}, who).json()["state"] == "running"


def test_a_run_is_started_on_a_version_by_its_label_or_number(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key("platform_engineer")
    for value in (1, 2, 3):
        text = f"name: v\nsteps:\n  a: {{tool: core.echo, with: {{value: {value}}}}}\n"
        assert post(web, "workflows", {"definition": text}, who).status_code == 201
    runner = key()

    def label(**body: Any) -> Any:
        return post(web, "workflows/v/versions", body, who)

    assert label(number=1, action="label", label="stable").json()["labels"] == ["stable"]
    assert label(number=2, action="label", label="stable").json()["labels"] == ["stable"]
    problem(label(number=2, action="label"), 422, "invalid_input")
    problem(label(number=2, action="label", label="7"), 422, "invalid_input")
    for version, expected in (("stable", 2), ("1", 1), (None, 3)):
        body = {"workflow": "v", **({"version": version} if version else {})}
        run = post(web, "runs", body, runner).json()
        broker.drain()
        assert get(web, f"runs/{run['id']}", runner).json()["version"] == expected
    assert label(number=1, action="deprecate").status_code == 200
    problem(post(web, "runs", {"workflow": "v", "version": "1"}, runner), 409, "conflict")
    problem(post(web, "runs", {"workflow": "v", "version": "no"}, runner), 404, "not_found")
    assert label(number=2, action="unlabel", label="stable").json()["labels"] == []


def test_a_deadline_given_at_the_start_ends_the_run_and_never_lengthens_it(
    web: Browser, key: Key
) -> None:
    who = key()
    source = "name: w\ntimeout: 2d\nsteps:\n  a: {wait: {signal: go}}\n"
    soon = timezone.now() + timedelta(hours=1)
    run = start(web, who, source, deadline_at=soon.isoformat())
    assert Run.objects.get(pk=run["id"]).deadline_at == soon
    far = start(web, who, source, deadline_at=(soon + timedelta(days=9)).isoformat())
    assert Run.objects.get(pk=far["id"]).deadline_at < soon + timedelta(days=2)
    body = {"workflow": "w", "deadline_at": "2020-01-01T00:00:00Z"}
    problem(post(web, "runs", body, who), 422, "invalid_input")
    execute("UPDATE workflows_run SET deadline_at = now() WHERE id = %(id)s", {"id": run["id"]})
    sweeps.sweep()
    assert get(web, f"runs/{run['id']}", who).json()["error"]["code"] == "run_timeout"


def test_the_history_of_a_run_cannot_be_rewritten_but_a_name_can_be_taken_off(
    web: Browser, key: Key, broker: Broker
) -> None:
    run = start(web, key())
    broker.drain()
    rows = RunEvent.objects.filter(run_id=run["id"]).order_by("id")
    before = list(rows.values_list("name", flat=True))
    rewrites = (rows.delete, lambda: rows.update(name="x"), lambda: rows.update(run_id=uuid4()))
    for rewrite in rewrites:
        with pytest.raises(DatabaseError, match="append-only"):
            rewrite()
    rows.update(actor="", detail=None)
    assert list(rows.values_list("name", flat=True)) == before


def test_a_sub_workflow_that_takes_longer_than_its_step_allows_fails_the_step(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    publishing.publish("name: inner\nsteps:\n  w: {wait: {signal: go}}\n")
    run = start(web, who, "name: outer\nsteps:\n  s: {workflow: inner, timeout: 1h}\n")["id"]
    broker.drain()
    child = Run.objects.get(workflow_name="inner")
    assert child.deadline_at is not None
    assert child.deadline_at - timezone.now() < timedelta(hours=1)
    execute("UPDATE workflows_run SET deadline_at = now() WHERE id = %(id)s", {"id": child.pk})
    sweeps.sweep()
    broker.drain()
    told = get(web, f"runs/{run}", who).json()
    assert (told["state"], told["error"]["code"]) == ("failed", "run_timeout")
