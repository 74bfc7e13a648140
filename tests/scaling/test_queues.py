"""Queues over HTTP: what waits at the real broker, who takes it, how long steps waited."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client as Http

from config.access import callers
from config.access.models import Client, Membership, User
from config.celery import QUEUES, app
from monitoring import rollups, signs
from monitoring.services import Measurement, record

pytestmark = pytest.mark.django_db


def http(scopes: list[str]) -> Http:
    firm = Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )[0]
    user = User.objects.create_user(f"u{len(scopes)}{scopes[0]}", password="x")
    Membership.objects.create(user=user, client=firm, role="administrator")
    _, secret = callers.create_key(user=user, client=firm, name="k", scopes=scopes)
    return Http(headers={"Authorization": f"Bearer {secret}"})


def test_each_queue_says_what_waits_when_it_was_consumed_and_how_long_steps_waited() -> None:
    with app.connection_for_write() as broker:
        for _ in range(3):
            app.send_task(signs.CANARY, queue="low", connection=broker, ignore_result=True)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO monitoring_heartbeat (name, seen_at) VALUES "
                       "('queue:low', '2026-11-01T00:00:00Z')")  # fmt: skip
    record([Measurement({"queue_wait_seconds": [0.5, 0.5, 2.0]}, {"queue": "low"})])
    rollups.roll_up()
    answer = http(["scaling:read"]).get("/api/v1/queues")
    assert answer.status_code == 200, answer.content
    rows = {row["name"]: row for row in answer.json()["results"]}
    assert set(rows) == set(QUEUES)
    low, high = rows["low"], rows["high"]
    assert (low["waiting"], low["steps"]) == (3, 3)
    assert low["consumed_at"] == "2026-11-01T00:00:00Z"
    assert 0.49 <= low["wait_p95_seconds"] <= 2.02
    assert (high["waiting"], high["steps"], high["wait_p95_seconds"]) == (0, 0, None)


def test_queues_need_their_scope_and_a_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Http().get("/api/v1/queues").status_code == 401
    assert http(["runs:read"]).get("/api/v1/queues").status_code == 403
    monkeypatch.setattr(app.conf, "broker_read_url", "redis://127.0.0.1:1/0")
    answer = http(["scaling:read"]).get("/api/v1/queues")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer["Retry-After"]
