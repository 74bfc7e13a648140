"""Over HTTP nothing is open: without a key, beyond its scopes, at another client."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Browser

from config.access.models import Client, Membership, User
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import ECHO, get, post, problem, start
from workflows import publishing
from workflows.models import Run

pytestmark = pytest.mark.django_db(transaction=True)


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
