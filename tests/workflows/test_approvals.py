"""Approvals over HTTP: who answers, in which order, and what comes of no answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, problem, start
from workflows import publishing, sweeps
from workflows.models import Approval, StepRun

pytestmark = pytest.mark.django_db(transaction=True)


ASKED = """
name: asked
access: {start: [professional]}
steps:
  ask: {approval: {role: manager, levels: 2, timeout: 3d, form:
    {type: object, required: [ok], properties: {ok: {type: boolean}}},
    escalate: {after: 1d, role: partner}}}
  then: {needs: [ask], tool: core.echo}
outputs: {form: "${ steps.ask.output.form }"}
"""


@pytest.fixture
def asked(web: Browser, key: Key) -> dict[str, Any]:
    return start(web, key("professional"), ASKED)


def answer(web: Browser, level: int, headers: Any, **body: Any) -> Any:
    approval = Approval.objects.get(level=level)
    more = {"If-Match": body.pop("match")} if "match" in body else {}
    body = {"decision": "approve", "answer": {"ok": True}, **body}
    return post(web, f"approvals/{approval.pk}", body, headers, **more)


def test_two_people_approve_in_their_order_and_the_run_goes_on(
    web: Browser, key: Key, broker: Broker, asked: dict[str, Any]
) -> None:
    manager, partner = key("manager"), key("partner")
    problem(answer(web, 2, partner), 409, "conflict")
    problem(answer(web, 1, key("professional")), 403, "permission_denied")
    body = problem(answer(web, 1, manager, answer={"ok": "yes"}), 422, "invalid_input")
    assert body["field"] == "form.ok"
    listed = get(web, "approvals?mine=true", manager).json()["results"]
    assert [a["level"] for a in listed] == [1]
    assert answer(web, 1, manager, match='"waiting"').status_code == 200
    problem(answer(web, 1, manager), 409, "conflict")
    problem(answer(web, 2, manager), 403, "forbidden")
    assert answer(web, 2, partner).status_code == 200
    broker.drain()
    run = get(web, f"runs/{asked['id']}", partner).json()
    assert (run["state"], run["outputs"]) == ("succeeded", {"form": {"ok": True}})


def test_an_answer_to_what_has_changed_meanwhile_is_refused(
    web: Browser, key: Key, asked: dict[str, Any]
) -> None:
    manager = key("manager")
    seen = get(web, f"approvals/{Approval.objects.get(level=1).pk}", manager)["ETag"]
    assert answer(web, 1, manager, match=seen).status_code == 200
    problem(answer(web, 1, key("partner"), match=seen), 409, "conflict")


def test_who_started_a_run_does_not_approve_it(web: Browser, key: Key) -> None:
    both = key("manager")
    start(web, both, ASKED)
    problem(answer(web, 1, both), 403, "forbidden")


def test_a_rejection_says_why_and_fails_the_run(
    web: Browser, key: Key, asked: dict[str, Any]
) -> None:
    manager = key("manager")
    body = problem(answer(web, 1, manager, decision="reject"), 422, "invalid_input")
    assert body["field"] == "reason"
    assert answer(web, 1, manager, decision="reject", reason="no evidence").status_code == 200
    run = get(web, f"runs/{asked['id']}", manager).json()
    assert (run["state"], run["error"]["message"]) == ("failed", "no evidence")
    assert Approval.objects.get(level=2).state == "withdrawn"


def test_an_approval_escalates_and_then_expires(
    web: Browser, key: Key, asked: dict[str, Any]
) -> None:
    now = timezone.now()
    Approval.objects.update(escalates_at=now)
    StepRun.objects.filter(key="ask").update(wake_at=now)
    sweeps.sweep()
    assert set(Approval.objects.values_list("role", flat=True)) == {"partner"}
    problem(answer(web, 1, key("manager")), 403, "forbidden")
    Approval.objects.update(expires_at=now)
    StepRun.objects.filter(key="ask").update(wake_at=now)
    sweeps.sweep()
    run = get(web, f"runs/{asked['id']}", key()).json()
    assert (run["state"], run["error"]["code"]) == ("failed", "approval_expired")
    problem(answer(web, 1, key("partner")), 409, "conflict")


def test_a_later_level_waits_from_its_own_turn(
    web: Browser, key: Key, asked: dict[str, Any]
) -> None:
    assert Approval.objects.get(level=2).escalates_at is None
    assert answer(web, 1, key("manager")).status_code == 200
    second = Approval.objects.get(level=2)
    assert timedelta(hours=23) < second.escalates_at - timezone.now() <= timedelta(days=1)
    assert StepRun.objects.get(key="ask").wake_at == second.escalates_at


def test_a_later_level_is_handed_up_and_never_down(web: Browser, key: Key) -> None:
    start(
        web, key("professional"),
        "name: handed\nsteps:\n  ask: {approval: {role: professional, levels: 2,\n"
        "    roles: [professional, partner], escalate: {after: 1d, role: manager}}}\n",
    )  # fmt: skip
    now = timezone.now()
    Approval.objects.filter(level=1).update(escalates_at=now)
    StepRun.objects.filter(key="ask").update(wake_at=now)
    sweeps.sweep()
    assert dict(Approval.objects.values_list("level", "role")) == {1: "manager", 2: "partner"}
    assert answer(web, 1, key("manager")).status_code == 200
    StepRun.objects.filter(key="ask").update(wake_at=now)
    sweeps.sweep()
    problem(answer(web, 2, key("manager")), 403, "forbidden")
    assert answer(web, 2, key("partner")).status_code == 200


FILED = """
name: filed
inputs: {type: object, properties: {text: {type: string}}}
steps:
  draft: {tool: core.echo, with: {value: "${ inputs.text }"}}
  sign: {needs: [draft], approval: {role: manager, forbid_self: false}}
  file: {needs: [sign], tool: core.echo, with: {value: "${ inputs.text }"}}
"""
AROUND = """
name: around
inputs: {type: object, properties: {text: {type: string}}}
steps:
  inside: {workflow: filed, with: {text: "${ inputs.text }"}}
  after: {needs: [inside], tool: core.echo, with: {value: "${ inputs.text }"}}
"""


@pytest.mark.parametrize(("source", "from_step"), [(FILED, "file"), (AROUND, "after")])
def test_who_forks_with_other_inputs_has_them_approved_again(
    web: Browser, key: Key, broker: Broker, source: str, from_step: str
) -> None:
    who = key("manager")
    publishing.publish(FILED)
    run = start(web, who, source, inputs={"text": "the one that was signed"})
    broker.drain()
    assert answer(web, 1, who).status_code == 200
    broker.drain()

    def forked(**inputs: str) -> tuple[str, int]:
        made = post(web, f"runs/{run['id']}/fork", {"from_step": from_step, "inputs": inputs}, who)
        assert made.status_code in (200, 201), made.content
        broker.drain()
        state = get(web, f"runs/{made.json()['id']}", who).json()["state"]
        return state, Approval.objects.filter(state="waiting").count()

    assert forked() == ("succeeded", 0)
    assert forked(text="another one") == ("running", 1)
