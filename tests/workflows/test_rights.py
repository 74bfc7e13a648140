"""Who may see, start, approve and stop what; who is told; what is taken back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError
from django.test import Client as Browser
from django.utils import timezone

from config.access.models import Audience, Client, User
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, problem, start
from workflows import engine, notices, publishing, steps, sweeps, tasks
from workflows.advance import Outcome
from workflows.contexts import run_facts
from workflows.database import execute
from workflows.domain.transitions import StepState
from workflows.models import (
    Approval,
    ApprovalNotice,
    ApprovalWebhook,
    Artifact,
    Run,
    RunEvent,
    StepRun,
)
from workflows.plans import plan_for

pytestmark = pytest.mark.django_db(transaction=True)

CLOSED = """
name: closed
access: {see: [partner], approve: [partner]}
steps:
  ask: {approval: {role: manager, levels: 2, roles: [manager, partner], timeout: 3d,
                   escalate: {after: 1d, role: administrator}}}
  bad: {tool: core.echo}
"""
EITHER = """
name: either
steps:
  ask: {approval: {role: manager}}
  letter: {wait: {signal: letter}}
  slow: {tool: core.echo}
  first: {needs: {any: [ask, letter, slow]}, tool: core.echo, with: {value: gone on}}
outputs: {value: "${ steps.first.output.value }"}
"""


# ---------------------------------------------------------------- who sees and approves
def test_a_run_that_only_partners_may_see_is_in_no_list_of_others(web: Browser, key: Key) -> None:
    partner, manager = key("partner"), key("manager")
    run = start(web, partner, CLOSED)
    approval = Approval.objects.get(level=1)
    assert get(web, "runs", manager).json()["results"] == []
    assert get(web, "approvals", manager).json()["results"] == []
    problem(get(web, f"runs/{run['id']}", manager), 404, "not_found")
    problem(get(web, f"approvals/{approval.pk}", manager), 404, "not_found")
    other = key("partner")
    assert [r["id"] for r in get(web, "runs", other).json()["results"]] == [run["id"]]
    assert len(get(web, "approvals", other).json()["results"]) == 2
    mine = start(web, manager, CLOSED)
    assert [r["id"] for r in get(web, "runs", manager).json()["results"]] == [mine["id"]]


def test_files_of_a_hidden_run_are_hidden_unless_they_are_seen_elsewhere(
    web: Browser, key: Key, broker: Broker, settings: Any
) -> None:
    """What it was given, what it made, and what was too large for a row; by list, id and input."""
    settings.MAX_INLINE_BYTES = 200
    partner, manager = key("partner"), key("manager")

    def upload(who: dict[str, str], content: bytes) -> str:
        file = SimpleUploadedFile("ledger.csv", content)
        return web.post("/api/v1/artifacts", {"file": file}, headers=who).json()["id"]

    def seen_by(who: dict[str, str]) -> set[str]:
        listed = {a["id"] for a in get(web, "artifacts", who).json()["results"]}
        everything = map(str, Artifact.objects.values_list("pk", flat=True))
        read = {a for a in everything if get(web, f"artifacts/{a}", who).status_code == 200}
        assert read == listed
        return listed

    form = "inputs: {type: object, properties: {file: {type: string, format: artifact}}}\n"
    work = "steps:\n  big: {tool: core.echo, with: {value: '" + "x" * 300 + "'}}\n"
    given, free = upload(partner, b"secret"), upload(partner, b"for all")
    assert seen_by(manager) == {given, free}
    start(web, partner, f"name: closed\naccess: {{see: [partner]}}\n{form}{work}",
          inputs={"file": given})  # fmt: skip
    broker.drain()
    made = {str(pk) for pk in Artifact.objects.values_list("pk", flat=True)} - {given, free}
    assert len(made) == 2, "the input and the output of its step"
    assert seen_by(manager) == {free}
    assert seen_by(partner) == seen_by(key("partner")) == {given, free, *made}

    publishing.publish(f"name: open\n{form}{work}")
    body = {"workflow": "open", "inputs": {"file": given}}
    problem(post(web, "runs", body, manager), 422, "invalid_input")
    assert upload(manager, b"secret") == given, "the same content is stored once"
    assert post(web, "runs", body, manager).status_code == 201
    broker.drain()
    assert seen_by(key("manager")) == {given, free, *made}, "a run that they may see uses them"


@pytest.mark.parametrize("who", ["k", "k" * 400])
def test_a_concurrency_key_of_one_client_holds_back_no_run_of_another(
    web: Browser, key: Key, broker: Broker, other_client: Client, who: str
) -> None:
    ours, theirs = key("professional"), key("professional", other_client)
    source = (
        "name: limited\nconcurrency: {key: '${ inputs.who }', max: 1}\n"
        "steps:\n  w: {wait: {signal: go}}\n"
    )
    first, second, other, third = (
        start(web, by, source, inputs={"who": who}) for by in (ours, ours, theirs, theirs)
    )
    states = [
        get(web, f"runs/{r['id']}", by).json()["state"]
        for r, by in ((first, ours), (second, ours), (other, theirs), (third, theirs))
    ]
    assert states == ["running", "waiting", "running", "waiting"]
    post(web, f"runs/{other['id']}/signal", {"name": "go"}, theirs)
    assert get(web, f"runs/{third['id']}", theirs).json()["state"] == "running"
    assert get(web, f"runs/{second['id']}", ours).json()["state"] == "waiting"


def test_a_limit_without_a_key_is_one_of_the_whole_workflow(
    web: Browser, key: Key, other_client: Client
) -> None:
    source = "name: whole\nconcurrency: {max: 1}\nsteps:\n  w: {wait: {signal: go}}\n"
    first = start(web, key("professional"), source)
    other = start(web, key("professional", other_client), source)
    assert (first["state"], other["state"]) == ("running", "waiting")


def test_a_dead_letter_of_a_hidden_run_is_given_out_by_nobody_who_may_not_see_it(
    web: Browser, key: Key
) -> None:
    start(web, key("partner"), CLOSED)
    step = StepRun.objects.get(key="bad")
    StepRun.objects.filter(pk=step.pk).update(state="dead", wake_at=None)
    at = f"dead-letters/{step.pk}/requeue"
    problem(post(web, at, {}, key("administrator")), 404, "not_found")
    assert post(web, at, {}, key("partner")).status_code == 202


def test_who_may_approve_is_what_the_workflow_says_besides_the_steps_role(
    web: Browser, key: Key
) -> None:
    start(web, key("manager"), CLOSED)
    approval = Approval.objects.get(level=1)
    body = {"decision": "approve"}
    problem(post(web, f"approvals/{approval.pk}", body, key("manager")), 404, "not_found")
    assert post(web, f"approvals/{approval.pk}", body, key("partner")).status_code == 200


def test_the_role_that_an_approval_escalates_to_needs_no_second_permission(
    web: Browser, key: Key
) -> None:
    start(web, key("manager"), CLOSED)
    approval = Approval.objects.get(level=1)
    Approval.objects.update(escalates_at=timezone.now())
    StepRun.objects.filter(key="ask").update(wake_at=timezone.now())
    sweeps.sweep()
    answer = post(web, f"approvals/{approval.pk}", {"decision": "approve"}, key("administrator"))
    assert answer.status_code == 200, answer.content


def test_an_audience_that_a_workflow_names_is_needed_besides_the_role(
    web: Browser, key: Key
) -> None:
    audit = Audience.objects.create(kind="department", name="audit")
    text = "name: a\naccess: {start: [manager, 'department:audit'], see: ['department:audit']}\n"
    text += "steps:\n  s: {tool: core.echo}\n"
    inside, outside = key("manager", username="in"), key("manager")
    User.objects.get(username="in").audiences.add(audit)
    audit.client_set.set(Client.objects.all())
    run = start(web, inside, text)
    problem(post(web, "runs", {"workflow": "a"}, outside), 403, "forbidden")
    assert get(web, "runs", outside).json()["results"] == []
    assert get(web, f"runs/{run['id']}", inside).status_code == 200
    fault = text.replace("department:audit", "department:odit")
    engineer = key("platform_engineer")
    body = problem(post(web, "workflows", {"definition": fault}, engineer), 422, "invalid_document")
    assert "did you mean 'department:audit'" in body["faults"][0]["message"]


def test_runs_are_filtered_by_client_starter_time_and_priority(
    web: Browser, key: Key, other_client: Client
) -> None:
    one, two = key(username="ada"), key(username="bea")
    first = start(web, one, priority="high")
    second = start(web, two, client_id=str(other_client.pk))

    def listed(query: str) -> list[str]:
        return [r["id"] for r in get(web, f"runs?{query}", one).json()["results"]]

    assert listed(f"client_id={other_client.pk}") == [second["id"]]
    assert listed(f"started_by={User.objects.get(username='bea').pk}") == [second["id"]]
    assert listed("priority=high") == [first["id"]]
    Run.objects.filter(pk=first["id"]).update(created_at=timezone.now() - timedelta(days=9))
    assert listed("since=2026-01-01T00:00:00Z&until=" + _ago(5)) == [first["id"]]
    assert listed("since=" + _ago(5)) == [second["id"]]
    problem(get(web, "runs?since=yesterday", one), 422, "invalid_input")
    problem(get(web, "runs?state=gone", one), 422, "invalid_input")


def _ago(days: int) -> str:
    return (timezone.now() - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


# ---------------------------------------------------------------- who is told
def test_approvers_are_mailed_a_link_once_and_the_next_level_when_its_turn_comes(
    web: Browser, key: Key, settings: Any
) -> None:
    settings.PUBLIC_URL = "https://ratchet.example"
    starter = key("manager", email="starter@example.org")
    manager = key("manager", email="manager@example.org")
    key("partner", email="partner@example.org")
    key("professional", email="professional@example.org")
    text = CLOSED.replace("access: {see: [partner], approve: [partner]}\n", "")
    start(web, starter, text.replace("name: closed", "name: open\ntitle: The letter"))
    for _ in range(2):
        tasks.tell()
    told = {message.to[0]: message for message in mail.outbox}
    assert sorted(told) == ["manager@example.org", "partner@example.org"]
    approval = Approval.objects.get(level=1)
    body = told["manager@example.org"].body
    assert f"https://ratchet.example/dashboard/approvals/{approval.pk}" in body
    assert "The letter" in told["manager@example.org"].subject
    mail.outbox.clear()
    answer = post(web, f"approvals/{approval.pk}", {"decision": "approve"}, manager)
    assert answer.status_code == 200
    tasks.tell()
    assert [m.to for m in mail.outbox] == [["partner@example.org"]]


def test_an_answer_that_came_first_spares_the_mail(web: Browser, key: Key) -> None:
    start(web, key("professional"), "name: o\nsteps:\n  ask: {approval: {role: manager}}\n")
    who = key("manager", email="m@example.org")
    assert notices.announce() == 1
    approval = Approval.objects.get()
    assert post(web, f"approvals/{approval.pk}", {"decision": "approve"}, who).status_code == 200
    assert (notices.deliver(), mail.outbox) == (0, [])
    assert ApprovalNotice.objects.get().state == "dropped"


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), _Receiver)
    server.got = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_web_hook_hears_of_an_approval_under_its_signature(
    web: Browser, key: Key, receiver: HTTPServer
) -> None:
    secret = base64.b64encode(b"k" * 24).decode()
    url = f"http://127.0.0.1:{receiver.server_port}/approvals"
    ApprovalWebhook.objects.create(name="ours", url=url, secret=secret, may_be_private=True)
    ApprovalWebhook.objects.create(name="inside", url=url, secret=secret)
    start(web, key("professional"), "name: o\nsteps:\n  ask: {approval: {role: manager}}\n")
    tasks.tell()
    [(headers, body)] = receiver.got  # type: ignore[attr-defined]
    named = {name.lower(): value for name, value in headers.items()}
    signed = f"{named['webhook-id']}.{named['webhook-timestamp']}.".encode() + body
    digest = hmac.new(b"k" * 24, signed, hashlib.sha256).digest()
    assert named["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    told = json.loads(body)
    assert (told["type"], told["role"]) == ("approval.asked", "manager")
    assert re.search(r"/dashboard/approvals/[0-9a-f-]{36}$", told["url"])
    refused = ApprovalNotice.objects.get(webhook__name="inside")
    assert (refused.state, "inside this network" in refused.last_error) == ("failed", True)


# ---------------------------------------------------------------- what is taken back
def test_an_approval_that_nothing_needs_any_more_is_withdrawn_and_the_run_ends(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    run = start(web, who, EITHER)
    assert Approval.objects.get().state == "waiting"
    broker.drain()
    told = get(web, f"runs/{run['id']}", who).json()
    assert (told["state"], told["outputs"]) == ("succeeded", {"value": "gone on"})
    assert {s["key"]: s["state"] for s in told["steps"]} == {
        "ask": "cancelled", "letter": "cancelled", "slow": "succeeded", "first": "succeeded",
    }  # fmt: skip
    assert Approval.objects.get().state == "withdrawn"
    problem(
        post(web, f"approvals/{Approval.objects.get().pk}", {"decision": "approve"}, key()),
        409, "conflict",
    )  # fmt: skip


def test_a_sub_workflow_that_nothing_needs_any_more_is_cancelled_and_undone(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    publishing.publish(
        "name: inner\nsteps:\n  did: {tool: core.echo, compensate: {tool: core.echo}}\n"
        "  w: {needs: [did], wait: {signal: go}}\n"
    )
    run = start(
        web, who,
        "name: outer\nsteps:\n  one: {workflow: inner}\n"
        "  many: {for_each: [1, 2, 3], max_parallel: 2, workflow: inner}\n"
        "  slow: {wait: {signal: enough}}\n"
        "  first: {needs: {any: [one, many, slow]}, tool: core.echo}\n",
    )  # fmt: skip
    broker.drain()
    inside = Run.objects.exclude(parent_step_id=None)
    assert list(inside.values_list("state", flat=True)) == ["running"] * 3
    assert post(web, f"runs/{run['id']}/signal", {"name": "enough"}, who).status_code == 202
    broker.drain()
    told = get(web, f"runs/{run['id']}?items=all", who).json()
    assert told["state"] == "succeeded"
    ends = {(s["key"], s["index"]): s["state"] for s in told["steps"]}
    assert ends == {
        ("one", None): "cancelled", ("many", None): "cancelled", ("slow", None): "succeeded",
        ("first", None): "succeeded", **{("many", n): "cancelled" for n in range(3)},
    }  # fmt: skip
    assert set(inside.values_list("state", flat=True)) == {"cancelled"}
    undone = StepRun.objects.filter(run__in=inside, kind="compensate")
    assert list(undone.values_list("state", flat=True)) == ["succeeded"] * 3


def test_the_failure_of_one_step_withdraws_no_other_that_has_the_same_handler(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    publishing.publish("name: inner\nsteps:\n  w: {wait: {signal: go}}\n")
    run = start(
        web, who,
        "name: outer\nsteps:\n  pay: {workflow: inner, on_error: {go_to: alert}}\n"
        "  ship: {tool: core.fail, with: {times: 9}, retry: {max_attempts: 1}, "
        "on_error: {go_to: alert}}\n  alert: {tool: core.echo}\n",
    )  # fmt: skip
    broker.drain()
    child = Run.objects.get(workflow_name="inner")
    assert child.state == "running"
    post(web, f"runs/{child.pk}/signal", {"name": "go"}, who)
    broker.drain()
    told = get(web, f"runs/{run['id']}", who).json()
    assert told["state"] == "succeeded"
    assert {s["key"]: s["state"] for s in told["steps"]} == {
        "pay": "succeeded", "ship": "failed", "alert": "succeeded",
    }  # fmt: skip


def test_an_approval_that_another_step_or_the_outputs_still_need_goes_on_waiting(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    for more in ("  also: {needs: [ask], tool: core.echo}\n", ""):
        out = "" if more else 'outputs: {by: "${ steps.ask.output.by }"}\n'
        text = EITHER[: EITHER.index("outputs:")].replace(
            "  letter: {wait: {signal: letter}}\n", ""
        )
        run = start(web, who, text.replace("letter, ", "") + more + out)
        broker.drain()
        assert get(web, f"runs/{run['id']}", who).json()["state"] == "running"
        approval = Approval.objects.get(run_id=run["id"])
        answer = post(web, f"approvals/{approval.pk}", {"decision": "approve"}, key())
        assert answer.status_code == 200
        broker.drain()
        assert get(web, f"runs/{run['id']}", who).json()["state"] == "succeeded"


# ---------------------------------------------------------------- stopping firmly
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


# ---------------------------------------------------------------- versions and deadlines
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


# ---------------------------------------------------------------- history
def test_the_history_of_a_run_cannot_be_rewritten_but_a_name_can_be_taken_off(
    web: Browser, key: Key, broker: Broker
) -> None:
    run = start(web, key())
    broker.drain()
    rows = RunEvent.objects.filter(run_id=run["id"])
    before = list(rows.values_list("name", flat=True))
    rewrites = (rows.delete, lambda: rows.update(name="x"), lambda: rows.update(run_id=uuid4()))
    for rewrite in rewrites:
        with pytest.raises(DatabaseError, match="append-only"):
            rewrite()
    rows.update(actor="", detail=None)
    assert list(rows.values_list("name", flat=True)) == before
