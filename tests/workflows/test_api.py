"""Runs, approvals, artifacts and workflows over HTTP: what clients may do and what not."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import AsyncClient
from django.test import Client as Browser
from django.utils import timezone

from config.access.models import Client, Membership, User
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import ECHO, get, post, problem, start
from tests.workflows.workers import wait_for
from workflows import publishing, queries, steps, stream, sweeps
from workflows.models import Approval, Run, StepRun

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

# ---------------------------------------------------------------- nothing is open
# Stable, so that every worker of a parallel run names its tests alike.
NOBODYS = UUID(int=7)
EVERYWHERE = [
    ("get", "runs"), ("post", "runs"), ("get", f"runs/{NOBODYS}"),
    ("get", f"runs/{NOBODYS}/events"),
    *[("post", f"runs/{NOBODYS}/{action}")
      for action in ("cancel", "pause", "resume", "retry", "fork", "signal")],
    ("get", "schedules"), ("post", "schedules"), ("patch", f"schedules/{NOBODYS}"),
    ("post", f"schedules/{NOBODYS}/pause"),
    ("get", "suggestions"), ("post", f"suggestions/{NOBODYS}/start"), ("get", "watches"),
    ("post", "watches"), ("get", "dead-letters"), ("post", f"dead-letters/{NOBODYS}/requeue"),
    ("get", "approvals"),
    ("get", f"approvals/{NOBODYS}"), ("post", f"approvals/{NOBODYS}"), ("get", "artifacts"),
    ("post", "artifacts"), ("get", f"artifacts/{NOBODYS}"), ("get", "workflows"),
    ("post", "workflows"), ("post", "workflows/validate"), ("get", "workflows/echo/versions"),
    ("post", "workflows/echo/versions"), ("get", "workflows/echo/statistics"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), EVERYWHERE)
def test_nothing_answers_without_a_key(web: Browser, method: str, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer rk_wrong"}):
        answer = getattr(web, method)(f"/api/v1/{path}", headers=headers)
        assert answer.status_code == 401, path
        assert answer.json()["code"] in ("not_authenticated", "authentication_failed")


def test_a_key_does_only_what_its_scopes_say(web: Browser, key: Key) -> None:
    reader = key(scopes=["runs:read"])
    publishing.publish(ECHO)
    assert get(web, "runs", reader).status_code == 200
    problem(post(web, "runs", {"workflow": "echo"}, reader), 403, "permission_denied")
    problem(post(web, "workflows", {"definition": ECHO}, reader), 403, "permission_denied")
    assert not Run.objects.exists()


def test_runs_of_another_client_do_not_exist(web: Browser, key: Key, other_client: Client) -> None:
    run = start(web, key())
    upload = SimpleUploadedFile("a.csv", b"x")
    made = web.post("/api/v1/artifacts", {"file": upload}, headers=key()).json()
    stranger = key("partner", other_client)
    assert get(web, "runs", stranger).json()["results"] == []
    assert get(web, "artifacts", stranger).json()["results"] == []
    for path in (f"runs/{run['id']}", f"runs/{run['id']}/events", f"artifacts/{made['id']}"):
        problem(get(web, path, stranger), 404, "not_found")
    for action in ("cancel", "pause", "retry"):
        problem(post(web, f"runs/{run['id']}/{action}", {}, stranger), 404, "not_found")
    body = {"workflow": "echo", "client_id": run["client_id"]}
    problem(post(web, "runs", body, stranger), 404, "not_found")


def test_a_session_may_do_the_same_and_needs_its_csrf_token(firm: Client, broker: Broker) -> None:
    person = User.objects.create_user("eve", password="x")
    Membership.objects.create(user=person, client=firm, role="partner")
    publishing.publish(ECHO)
    web = Browser(enforce_csrf_checks=True)
    web.force_login(person)
    assert post(web, "runs", {"workflow": "echo"}).status_code == 403
    web.get("/login")
    assert web.get("/api/v1/runs").status_code == 200


# ---------------------------------------------------------------- starting
def test_a_key_replays_the_run_it_started_and_refuses_another_body(web: Browser, key: Key) -> None:
    who = key()
    publishing.publish(ECHO)
    body = {"workflow": "echo", "inputs": {"n": 1}}
    first = post(web, "runs", body, who, **{"Idempotency-Key": "k"})
    again = post(web, "runs", body, who, **{"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert again["Idempotent-Replayed"] == "true"
    changed = post(web, "runs", {**body, "inputs": {"n": 2}}, who, **{"Idempotency-Key": "k"})
    problem(changed, 422, "idempotency_mismatch")
    assert Run.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"workflow": "nope"}, 404, "nope"),
        ({}, 422, "workflow"),
        ({"workflow": "typed"}, 422, "'n' is a required property"),
        ({"workflow": "typed", "inputs": {"n": "x"}}, 422, "inputs.n"),
        ({"workflow": "typed", "inputs": [1]}, 422, "must be an object"),
        ({"workflow": "typed", "inputs": {"n": 1, "s": "a\x00b"}}, 422, "NUL"),
        ({"workflow": "typed", "inputs": {"n": 1}, "priority": "urgent"}, 422, "priority"),
        ({"workflow": "typed", "inputs": {"n": 1}, "client_id": "x"}, 422, "client_id"),
        ({"workflow": "filed", "inputs": {"f": "nothing"}}, 422, "inputs.f"),
        ({"workflow": "filed", "inputs": {"f": str(NOBODYS)}}, 422, "inputs.f"),
    ],
)
def test_a_run_that_cannot_be_started_is_refused_with_its_reason(
    web: Browser, key: Key, body: dict[str, Any], status: int, says: str
) -> None:
    publishing.publish(
        "name: typed\ninputs: {type: object, required: [n], properties: {n: {type: integer}}}\n"
        "steps:\n  a: {tool: core.echo}\n"
    )
    publishing.publish(
        "name: filed\ninputs: {type: object, properties: {f: {type: string, format: artifact}}}\n"
        "steps:\n  a: {tool: core.echo}\n"
    )
    answer = post(web, "runs", body, key())
    assert answer.status_code == status
    assert says in json.dumps(answer.json())
    assert not Run.objects.exists()


def test_a_body_that_is_no_json_is_a_problem(web: Browser, key: Key) -> None:
    answer = web.post("/api/v1/runs", "{", content_type="application/json", headers=key())
    problem(answer, 400, "parse_error")


def test_only_the_roles_that_a_workflow_names_may_start_it(web: Browser, key: Key) -> None:
    publishing.publish(ECHO.replace("name: echo", "name: echo\naccess: {start: [partner]}"))
    problem(post(web, "runs", {"workflow": "echo"}, key("manager")), 403, "forbidden")
    assert post(web, "runs", {"workflow": "echo"}, key("partner")).status_code == 201


def test_runs_are_listed_newest_first_by_pages_and_filters(web: Browser, key: Key, broker) -> None:
    who = key()
    ids = [start(web, who)["id"] for _ in range(5)]
    broker.drain()
    ids.append(start(web, who, "name: wait\nsteps:\n  w: {wait: {signal: go}}\n")["id"])
    first = get(web, "runs?page_size=4", who).json()
    rest = web.get(first["next"], headers=who).json()
    assert [r["id"] for r in [*first["results"], *rest["results"]]] == ids[::-1]
    assert rest["next"] is None
    only = get(web, "runs?workflow=wait", who).json()["results"]
    assert [r["id"] for r in only] == ids[5:]
    done = get(web, "runs?state=succeeded,failed", who).json()["results"]
    assert [r["id"] for r in done] == ids[4::-1]


def test_one_run_tells_its_steps_and_attempts(web: Browser, key: Key, broker: Broker) -> None:
    who = key()
    run = start(web, who)
    broker.drain()
    told = get(web, f"runs/{run['id']}", who).json()
    assert (told["state"], told["currency"]) == ("succeeded", "USD")
    assert [s["key"] for s in told["steps"]] == ["a", "b"]
    assert [a["state"] for a in told["steps"][0]["attempts"]] == ["succeeded"]
    assert told["progress"] == {"done": 2, "total": 2}


def test_a_nested_fan_out_counts_all_its_items_and_gives_a_list_of_lists(
    web: Browser, key: Key, broker: Broker
) -> None:
    """Chunked, with empty lists and with items that fail."""
    who = key()
    source = (
        "name: nested\nsteps:\n  f:\n    for_each: '${ inputs.lists }'\n    as: list\n"
        "    each: {for_each: '${ list.lines }', as: line}\n    max_parallel: 4\n"
        "    tool: core.echo\n"
        "    with: {value: '${ list.name }${ outer_index }.${ index }=${ line }'}\n"
        "  g: {for_each: [[2, 0], [], [9]], as: many, on_error: continue, tool: core.fail,\n"
        "    each: {for_each: '${ many }', as: times}, with: {times: '${ times }'},\n"
        "    retry: {max_attempts: 1}}\n"
        "  slow: {for_each: '${ inputs.lists }', each: {for_each: '${ item.lines }', as: n},\n"
        "    max_parallel: 4, tool: core.sleep, with: {seconds: 0}}\n"
        "  none: {for_each: [[], []], each: {for_each: '${ item }', as: x}, tool: core.echo}\n"
        "outputs: {f: '${ steps.f.output.map(l, l.map(x, x.value)) }', g: '${ steps.g.output }',\n"
        "  none: '${ steps.none.output }'}\n"
    )
    lists = [{"name": n, "lines": list(range(size))} for n, size in (("a", 3), ("b", 0), ("c", 90))]
    run = start(web, who, source, inputs={"lists": lists})
    broker.drain(limit=30)
    under_way = get(web, f"runs/{run['id']}", who).json()
    fan = next(s for s in under_way["steps"] if s["key"] == "slow" and s["index"] is None)
    assert fan["items"]["total"] == 93
    assert 0 < fan["items"]["succeeded"] < 93
    open_ = StepRun.objects.filter(key="slow", item__gte=0, state__in=["queued", "running"])
    assert open_.count() == 4, "max_parallel counts the items of all lists together"
    broker.drain()
    told = get(web, f"runs/{run['id']}?items=all", who).json()
    assert told["state"] == "succeeded", told["error"]
    assert told["outputs"]["f"] == [
        [f"{one['name']}{outer}.{n}={n}" for n in one["lines"]] for outer, one in enumerate(lists)
    ]
    assert told["outputs"]["none"] == [[], []]
    first, second, third = told["outputs"]["g"]
    assert (first[0], second, third) == (None, [], [None])
    assert first[1] is not None
    places = [s["place"] for s in told["steps"] if s["key"] == "f" and s["index"] is not None]
    assert places == [[0, 0], [0, 1], [0, 2], *([2, n] for n in range(90))]


@pytest.mark.parametrize(
    ("lists", "said"), [([3], "must give a list"), ([[0]] * 10_001, "at most 10000")]
)
def test_a_nested_list_that_is_none_or_too_long_fails_its_step(
    web: Browser, key: Key, broker: Broker, lists: Any, said: str
) -> None:
    who = key()
    source = (
        "name: nested\nsteps:\n  f: {for_each: '${ inputs.lists }', tool: core.echo, "
        "each: {for_each: '${ item }', as: x}}\n"
    )
    run = start(web, who, source, inputs={"lists": lists})
    told = get(web, f"runs/{run['id']}", who).json()
    assert (told["state"], told["error"]["code"]) == ("failed", "invalid_input")
    assert said in told["error"]["message"]


# ---------------------------------------------------------------- control
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
    who = key()
    run = start(web, who)
    step = StepRun.objects.get(run_id=run["id"], key="a")
    assert steps.claim([step.pk], token=uuid4(), worker="w")
    StepRun.objects.filter(pk=step.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    sweeps.sweep()
    found = get(web, "dead-letters", who).json()["results"]
    assert [d["id"] for d in found] == [str(step.pk)]
    assert post(web, f"dead-letters/{step.pk}/requeue", {}, who).status_code == 202
    problem(post(web, f"dead-letters/{step.pk}/requeue", {}, who), 404, "not_found")
    broker.drain()
    assert get(web, f"runs/{run['id']}", who).json()["state"] == "succeeded"


# ---------------------------------------------------------------- events
async def _read(client: AsyncClient, path: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    answer = await client.get(path, headers=headers)
    assert answer["Content-Type"] == "text/event-stream"
    text = b"".join([part async for part in answer.streaming_content]).decode()
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in lines:
            found.append({**json.loads(lines["data"]), "event": lines["event"]})
    return found


async def test_events_stream_until_the_end_and_resume_after_the_last_seen(
    web: Browser, key: Key, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asgiref.sync import sync_to_async

    monkeypatch.setattr(stream, "POLL_SECONDS", 0.02)
    who = await sync_to_async(key)()
    run = await sync_to_async(start)(web, who)
    await sync_to_async(broker.drain)()
    path = f"/api/v1/runs/{run['id']}/events"
    events = await _read(AsyncClient(), path, who)
    assert events[-1] == {"state": "succeeded", "event": "end"}
    names = [event["name"] for event in events[:-1]]
    assert names[-1] == "run.succeeded"
    assert names.count("step.succeeded") == 2
    resumed = await _read(AsyncClient(), path, {**who, "Last-Event-ID": events[1]["id"]})
    assert resumed == events[2:]


def test_a_transaction_that_is_open_elsewhere_hides_nothing_of_an_ended_run(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    with psycopg.connect(**connection.get_connection_params()) as elsewhere:
        elsewhere.execute("SELECT pg_current_xact_id()")
        run = start(web, who)
        path = f"runs/{run['id']}/events?format=json"
        assert get(web, path, who).json()["results"] == [], "a reader that goes on misses none"
        events, cursor = queries.history(UUID(run["id"]))
        assert events[0]["name"] == "run.created" and cursor == ""
        broker.drain()
        names = [one["name"] for one in get(web, path, who).json()["results"]]
    assert names[0] == "run.created" and names[-1] == "run.succeeded"
    # Other databases of the same server may hold transactions open a little longer.
    wait_for(lambda: queries.history(UUID(run["id"]))[1] != "", seconds=60)


# ---------------------------------------------------------------- approvals
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


# ---------------------------------------------------------------- artifacts
def test_a_file_comes_back_as_it_was_and_is_kept_once(web: Browser, key: Key) -> None:
    who = key()
    content = b"line_id,amount\n1,2\n\x00\xff"
    made = [
        web.post("/api/v1/artifacts", {"file": SimpleUploadedFile("l.csv", content)}, headers=who)
        for _ in range(2)
    ]
    assert [m.status_code for m in made] == [201, 201]
    assert made[0].json()["id"] == made[1].json()["id"]
    answer = get(web, f"artifacts/{made[0].json()['id']}", who)
    assert (answer.content, answer["X-Content-Type-Options"]) == (content, "nosniff")
    assert answer["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("size", [25 * 2**20 + 1, 50 * 2**20])
def test_a_file_over_the_limit_is_refused_and_the_limit_is_named(
    web: Browser, key: Key, size: int
) -> None:
    file = SimpleUploadedFile("big.csv", b"x" * size)
    answer = web.post("/api/v1/artifacts", {"file": file}, headers=key())
    assert answer.status_code in (413, 422)
    assert "25 MB" in answer.json()["detail"] or "26214400" in answer.json()["detail"]


def test_an_upload_without_a_file_is_a_clear_error(web: Browser, key: Key) -> None:
    who = key()
    body = problem(web.post("/api/v1/artifacts", {"name": "x"}, headers=who), 422, "invalid_input")
    assert body["field"] == "file"
    broken = web.post("/api/v1/artifacts", b"--x", headers=who,
                      content_type="multipart/form-data; boundary=y")  # fmt: skip
    assert broken.status_code in (400, 422)


# ---------------------------------------------------------------- workflows
def test_a_definition_is_published_once_and_its_versions_are_compared(
    web: Browser, key: Key
) -> None:
    who = key("platform_engineer")
    first = post(web, "workflows", {"definition": ECHO}, who)
    again = post(web, "workflows", {"definition": ECHO}, who)
    assert (first.status_code, again.status_code) == (201, 200)
    second = post(web, "workflows", {"definition": ECHO.replace("value: 1", "value: 2")}, who)
    assert (second.json()["number"], second.json()["is_current"]) == (2, True)
    diff = get(web, "workflows/echo/versions?diff=1..2", who).json()["diff"]
    assert "-  a: {tool: core.echo, with: {value: 1}}" in diff
    label = post(web, "workflows/echo/versions", {"number": 1}, who)
    assert label.json()["is_current"] is True
    gone = post(web, "workflows/echo/versions", {"number": 2, "action": "deprecate"}, who).json()
    assert gone["deprecated_at"] is not None
    only = problem(
        post(web, "workflows/echo/versions", {"number": 1, "action": "deprecate"}, who),
        409, "conflict",
    )  # fmt: skip
    assert "echo v1 is current" in only["detail"]
    assert "publish one first" in only["detail"]
    assert post(web, "runs", {"workflow": "echo"}, who).status_code == 201, "nothing has changed"
    post(web, "workflows", {"definition": ECHO.replace("value: 1", "value: 3")}, who)
    chosen = problem(
        post(web, "workflows/echo/versions", {"number": 3, "action": "deprecate"}, who),
        409, "conflict",
    )  # fmt: skip
    assert "make one current first, v1" in chosen["detail"]
    post(web, "workflows/echo/versions", {"number": 1, "action": "current"}, who)
    assert post(
        web, "workflows/echo/versions", {"number": 3, "action": "deprecate"}, who
    ).json()["deprecated_at"]  # fmt: skip
    problem(get(web, "workflows/echo/versions?diff=1..9", who), 404, "not_found")
    problem(get(web, "workflows/nope/versions", who), 404, "not_found")


def test_a_run_keeps_the_version_it_started_on(web: Browser, key: Key, broker: Broker) -> None:
    who = key()
    run = start(web, who, ECHO)
    publishing.publish(ECHO.replace("value: 1", "value: 2"))
    broker.drain()
    told = get(web, f"runs/{run['id']}", who).json()
    assert (told["version"], told["steps"][0]["output"]) == (1, {"value": 1})


def test_every_fault_is_named_with_its_line_and_nothing_is_stored(web: Browser, key: Key) -> None:
    who = key("platform_engineer")
    bad = "name: bad\nsteps:\n  a: {tool: core.ecoh}\n  b: {needs: [c], tool: core.echo}\n"
    told = post(web, "workflows/validate", {"definition": bad}, who).json()
    assert told["valid"] is False
    assert [f["line"] for f in told["faults"]] == [3, 4]
    assert "did you mean 'core.echo'?" in told["faults"][0]["message"]
    refused = problem(post(web, "workflows", {"definition": bad}, who), 422, "invalid_document")
    assert refused["faults"] == told["faults"]
    problem(get(web, "workflows/bad/versions", who), 404, "not_found")


@pytest.mark.parametrize(
    "text", ['name: n\nsteps: {a: {tool: core.echo, with: {value: "\\0"}}}', "", "[", "a: &a [*a]"]
)
def test_a_definition_that_cannot_be_stored_is_refused(web: Browser, key: Key, text: str) -> None:
    answer = post(web, "workflows", {"definition": text}, key("platform_engineer"))
    assert answer.status_code == 422
