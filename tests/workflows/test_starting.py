"""Starting runs over HTTP, refusing what cannot be started, and finding runs again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client as Browser

from monitoring.models import AuditEntry, AuditIntent
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import ECHO, get, post, problem, start
from workflows import publishing
from workflows.models import Run

pytestmark = pytest.mark.django_db(transaction=True)


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
        ({"workflow": "filed", "inputs": {"f": str(UUID(int=7))}}, 422, "inputs.f"),
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


@pytest.mark.parametrize("body", ["{", "[" * 2_000, '{"a":' * 2_000, "[" * 500 + "]" * 500])
def test_a_body_that_is_no_json_or_nests_without_end_is_a_problem(
    web: Browser, key: Key, body: str
) -> None:
    answer = web.post("/api/v1/runs", body, content_type="application/json", headers=key())
    problem(answer, 400, "parse_error")


def test_inputs_as_deep_as_a_body_may_be_are_taken_or_refused(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    start(web, who)
    for depth in (50, 390):
        inputs = {"x": json.loads("[" * depth + "]" * depth)}
        answer = post(web, "runs", {"workflow": "echo", "inputs": inputs}, who)
        assert answer.status_code in (201, 422), answer.content
        broker.drain()
        assert get(web, "runs", who).status_code == 200


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
    none = {"done": 0, "total": 0}
    assert told["progress"] == {"done": 2, "total": 2, "items": none, "ratio": 1.0}


def test_nobody_takes_the_key_of_a_schedules_tick(web: Browser, key: Key) -> None:
    taken = {"Idempotency-Key": "schedule:x:2026-12-01T08:00:00+00:00"}
    refused = post(web, "runs", {"workflow": "any"}, key(), **taken)
    assert "is for ticks of schedules" in problem(refused, 422, "invalid_input")["detail"]


# Tables, and which of their rows: other things that are done have entries of their own.
WATCHED = {"workflows_run": "", "monitoring_auditentry": "WHEN (NEW.action = 'http.post')"}


@pytest.fixture
def waits() -> Iterator[Callable[[], dict[str, set[str]]]]:
    """Which settings of ``synchronous_commit`` the rows of a table were committed under."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SET synchronous_commit = on"
        )  # as shipped; the tests' server waits for none
        cursor.execute("CREATE TABLE told_waits (name text, waits text)")
        cursor.execute(
            "CREATE FUNCTION tell_waits() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "INSERT INTO told_waits VALUES (TG_ARGV[0], current_setting('synchronous_commit')); "
            "RETURN NULL; END $$"
        )
        for name, only in WATCHED.items():
            cursor.execute(
                f"CREATE CONSTRAINT TRIGGER tell_waits AFTER INSERT ON {name} DEFERRABLE INITIALLY "
                f"DEFERRED FOR EACH ROW {only} EXECUTE FUNCTION tell_waits('{name}')"
            )

    def told() -> dict[str, set[str]]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, array_agg(waits) FROM told_waits GROUP BY name")
            return {name: set(found) for name, found in cursor.fetchall()}

    yield told
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION tell_waits CASCADE; DROP TABLE told_waits")
        cursor.execute("RESET synchronous_commit")


def test_a_start_waits_for_the_disk_once_and_its_entry_stands_on_the_intent_that_is_there(
    web: Browser, key: Key, waits: Callable[[], dict[str, set[str]]]
) -> None:
    run = start(web, key())
    assert waits() == {"workflows_run": {"on"}, "monitoring_auditentry": {"off"}}
    assert AuditEntry.objects.filter(action="http.post", target="/api/v1/runs").count() == 1
    assert not AuditIntent.objects.exists()
    assert post(web, f"runs/{run['id']}/cancel", {}, key()).status_code < 300
    assert "on" in waits()["monitoring_auditentry"]
