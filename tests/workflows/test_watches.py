"""Watches: what they look at, what they offer, and what people make of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client as Browser
from django.utils import timezone

from config.access.models import Client
from monitoring import rollups
from monitoring.services import Measurement, record
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import ECHO, get, post, problem, start
from workflows import publishing, tasks
from workflows.models import Run, Suggestion, Watch

pytestmark = pytest.mark.django_db(transaction=True)

CLOSE = (
    "name: close\ninputs: {type: object, required: [who], properties: {who: {type: string}}}\n"
    "access: {start: [professional]}\nsteps:\n  a: {tool: core.echo}\n"
)
OVERDUE = {"kind": "overdue", "after": "30d"}


def watch(web: Browser, key: Key, **body: Any) -> dict[str, Any]:
    for text in (CLOSE, ECHO):
        publishing.publish(text)
    body = {
        "slug": "close-overdue", "title": "The close is overdue", "workflow": "close",
        "condition": OVERDUE, "inputs": {"who": "${ client.name }"}, **body,
    }  # fmt: skip
    answer = post(web, "watches", body, key("administrator"))
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def swept() -> None:
    Watch.objects.update(evaluated_at=None)
    tasks.watch()


def offered(web: Browser, who: dict[str, str], state: str = "open") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(web, f"suggestions?state={state}", who).json()["results"]
    return found


def closed_before(web: Browser, who: dict[str, str], broker: Broker, days: int = 40) -> None:
    start(web, who, CLOSE, inputs={"who": "x"})
    broker.drain()
    Run.objects.update(ended_at=timezone.now() - timedelta(days=days))


def test_an_overdue_workflow_is_offered_and_a_person_starts_it(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key("professional")
    watch(web, key)
    swept()
    assert offered(web, who) == []  # nobody ever closed: nothing is overdue
    closed_before(web, who, broker)
    swept()
    swept()
    [one] = offered(web, who)
    assert (one["why"], one["inputs"]) == (
        "close last succeeded 40 days ago", {"who": "The firm"},
    )  # fmt: skip
    assert one["may_start"] and not offered(web, key("operator"))[0]["may_start"]
    problem(
        post(web, f"suggestions/{one['id']}/start", {}, key("operator")), 403, "permission_denied"
    )
    bad = post(web, f"suggestions/{one['id']}/start", {"inputs": {"who": 3}}, who)
    assert (bad.status_code, offered(web, who)[0]["state"]) == (422, "open")
    run = post(web, f"suggestions/{one['id']}/start", {}, who)
    assert (run.status_code, run.json()["inputs"]) == (201, {"who": "The firm"})
    problem(post(web, f"suggestions/{one['id']}/start", {}, who), 409, "conflict")
    assert get(web, f"suggestions/{one['id']}", who).json()["run_id"] == run.json()["id"]


def test_what_was_dismissed_rests_and_is_offered_again_after_its_cooldown(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key("professional")
    watch(web, key)
    closed_before(web, who, broker)
    swept()
    path = f"suggestions/{offered(web, who)[0]['id']}/dismiss"
    assert post(web, path, {"reason": "next week"}, who).json()["state"] == "dismissed"
    swept()
    assert offered(web, who) == []
    Suggestion.objects.update(decided_at=timezone.now() - timedelta(days=8))
    swept()
    assert len(offered(web, who)) == 1


def test_a_suggestion_is_withdrawn_when_its_condition_no_longer_holds(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key("professional")
    watch(web, key)
    closed_before(web, who, broker)
    swept()
    start(web, who, CLOSE, inputs={"who": "by hand"})
    swept()
    assert (offered(web, who), len(offered(web, who, "withdrawn"))) == ([], 1)


def test_a_file_that_no_run_has_used_is_offered_until_one_has(
    web: Browser, key: Key, other_client: Client, broker: Broker
) -> None:
    who = key("professional")
    condition = {"kind": "arrival", "name": "*Ledger*.csv"}
    watch(web, key, condition=condition, inputs={"who": "${ artifact.name } ${ artifact.id }"})
    for name in ("year_ledger.csv", "notes.csv"):
        web.post("/api/v1/artifacts", {"file": SimpleUploadedFile(name, b"x")}, headers=who)
    swept()
    [one] = offered(web, who)
    assert one["inputs"]["who"] == f"year_ledger.csv {one['evidence']['artifact']['id']}"
    assert offered(web, key("professional", other_client)) == []
    post(web, f"suggestions/{one['id']}/start", {}, who)
    swept()
    assert (offered(web, who), Suggestion.objects.count()) == ([], 1)


def test_a_measured_number_over_its_limit_is_offered_with_its_evidence(
    web: Browser, key: Key
) -> None:
    who = key("professional")
    condition = {
        "kind": "measurement", "metric": "run_errors", "denominator": "runs", "statistic": "ratio",
        "scope": "workflow", "key": "tax", "window": "1d", "above": 0.2,
    }  # fmt: skip
    watch(web, key, condition=condition, inputs={"who": "${ string(value) }"})
    at = timezone.now() - timedelta(minutes=10)
    for failed in (0, 0, 1, 1):
        record([Measurement({"runs": 1, "run_errors": failed}, {"workflow": "tax"}, at)])
    rollups.roll_up()
    swept()
    [one] = offered(web, who)
    assert (one["evidence"]["value"], one["inputs"]["who"]) == (0.5, "0.5")
    assert "above 0.2" in one["why"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"condition": {"kind": "moon"}}, "one of measurement, overdue, arrival"),
        ({"condition": {"kind": "overdue"}}, "'after' is a required property"),
        ({"condition": {"kind": "overdue", "after": "soon"}}, "30s, 5m, 2h or 3d"),
        ({"condition": {"kind": "measurement", "metric": "moons", "window": "1d", "above": 1}},
         "metric"),
        ({"condition": {"kind": "measurement", "metric": "runs", "window": "1d"}},
         "above or below"),
        ({"inputs": {"who": "${ secrets }"}}, "an expression may read"),
        ({"workflow": "nope"}, "nope"),
        ({"every_seconds": 1}, "60"),
    ],
)  # fmt: skip
def test_a_watch_that_cannot_look_is_refused_with_its_reason(
    web: Browser, key: Key, body: dict[str, Any], says: str
) -> None:
    publishing.publish(CLOSE)
    whole = {"slug": "s", "title": "t", "workflow": "close", "condition": OVERDUE, **body}
    answer = post(web, "watches", whole, key("administrator"))
    assert answer.status_code in (404, 422)
    assert says in answer.content.decode()
    assert not Watch.objects.exists()


def test_watches_are_kept_by_those_who_may_publish(web: Browser, key: Key, broker: Broker) -> None:
    made, who = watch(web, key), key("professional")
    closed_before(web, who, broker)
    swept()
    at = f"/api/v1/watches/{made['id']}"
    assert web.patch(at, {"is_active": False}, "application/json", headers=who).status_code == 403
    engineer = key("platform_engineer")
    changed = web.patch(at, {"is_active": False}, "application/json", headers=engineer)
    assert (changed.status_code, changed.json()["is_active"]) == (200, False)
    assert (offered(web, who), len(offered(web, who, "withdrawn"))) == ([], 1)
    assert web.delete(at, headers=engineer).status_code == 204
    assert get(web, "watches", who).json()["results"] == []


def test_the_library_comes_with_watches_that_look(firm: Client) -> None:
    call_command("load_catalogue")
    for _ in range(2):
        call_command("load_workflows")
    assert Watch.objects.filter(is_shipped=True).count() == 3
    tasks.watch()
    assert set(Watch.objects.values_list("last_error", flat=True)) == {""}
