"""Who may see, start, approve and stop what, by role and audience."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Browser
from django.utils import timezone

from config.access.models import Audience, Client, User
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import CLOSED, get, post, problem, start
from workflows import publishing, sweeps
from workflows.models import (
    Approval,
    Artifact,
    Run,
    Schedule,
    StepRun,
    Suggestion,
    Watch,
)

pytestmark = pytest.mark.django_db(transaction=True)


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
    problem(get(web, "runs?priority=urgent", one), 422, "invalid_input")


def _ago(days: int) -> str:
    return (timezone.now() - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_key_that_somebody_else_used_gives_no_run_that_is_hidden(web: Browser, key: Key) -> None:
    publishing.publish(CLOSED)
    partner, manager = ({**key(role), "Idempotency-Key": "k"} for role in ("partner", "manager"))
    run = post(web, "runs", {"workflow": "closed"}, partner)
    assert post(web, "runs", {"workflow": "closed"}, partner).json()["id"] == run.json()["id"]
    refused = post(web, "runs", {"workflow": "closed"}, manager)
    problem(refused, 422, "idempotency_mismatch")


def test_schedules_watches_and_offers_of_what_is_hidden_are_hidden_too(
    web: Browser, key: Key, broker: Broker
) -> None:
    """Their inputs are those of runs that are hidden; who may start runs is offered them."""
    text = "name: {0}\naccess: {{see: [partner], start: [{1}]}}\nsteps:\n  a: {{tool: core.echo}}\n"
    for name, starters in (("board", "partner"), ("letters", "professional, partner")):
        publishing.publish(text.format(name, starters))
    owner, partner = key("partner"), key("partner", username="the-partner")
    manager = key("manager", username="the-manager")
    professional = key("professional", username="the-professional")
    firm = Client.objects.get(is_firm=True)
    for name in ("board", "letters"):
        body = {"name": name, "workflow": name, "cron": "0 6 * * *", "inputs": {"secret": "x"}}
        assert post(web, "schedules", body, owner).status_code == 201
        watch = Watch.objects.create(slug=name, title=name, workflow_name=name, condition={})
        Suggestion.objects.create(watch=watch, client=firm, title=name, why="x", workflow_name=name)
    mine = {"name": "mine", "workflow": "letters", "cron": "0 7 * * *"}
    assert post(web, "schedules", mine, professional).status_code == 201

    def seen(path: str, who: dict[str, str], field: str) -> set[str]:
        return {row[field] for row in get(web, path, who).json()["results"]}

    both = {"board", "letters"}
    assert seen("schedules", partner, "name") == both | {"mine"}
    assert seen("schedules", professional, "name") == {"mine"}
    assert seen("suggestions", partner, "workflow") == both
    assert seen("suggestions", professional, "workflow") == {"letters"}
    assert seen("watches", professional, "slug") & both == {"letters"}
    assert "board" not in seen("suggestions", manager, "workflow")
    hidden = Schedule.objects.get(name="board").pk
    problem(get(web, f"schedules/{hidden}", professional), 404, "not_found")
    assert get(web, f"schedules/{hidden}", partner).status_code == 200
    signed = Browser()
    signed.force_login(User.objects.get(username="the-professional"))
    page = signed.get("/dashboard/schedules").content.decode()
    assert (str(hidden) in page, "mine" in page) == (False, True)
    assert signed.get(f"/dashboard/schedules/{hidden}").status_code == 404
