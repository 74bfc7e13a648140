"""What a body says counts or is refused: nothing that was asked is silently left out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.test import Client as Browser

from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, problem, start
from workflows.models import Run

pytestmark = pytest.mark.django_db(transaction=True)

NOBODYS = UUID(int=7)
ASKS = "name: asks\nsteps:\n  ask: {approval: {role: manager}}\n"


@pytest.mark.parametrize(
    ("path", "body", "slip", "known"),
    [
        ("runs", {"workflow": "asks", "input": {"year": 2012}}, "input", "inputs"),
        ("runs", {"workflow": "asks", "Priority": "high"}, "Priority", "priority"),
        ("runs/RUN/cancel", {"because": "no"}, "because", "reason"),
        ("runs/RUN/pause", {"reason": "lunch"}, "reason", "no body"),
        ("runs/RUN/fork", {"from_step": "ask", "input": {}}, "input", "inputs"),
        ("runs/RUN/signal", {"name": "go", "value": 1}, "value", "payload"),
        ("approvals/APPROVAL", {"decision": "approve", "form": {}}, "form", "answer"),
        (f"dead-letters/{NOBODYS}/requeue", {"result": "happened"}, "result", "outcome"),
        ("schedules", {"name": "s", "workflow": "asks", "crontab": "* * * * *"}, "crontab", "cron"),
        (f"suggestions/{NOBODYS}/dismiss", {"why": "no"}, "why", "reason"),
    ],
)
def test_a_key_that_is_not_known_is_named_beside_the_known_ones(
    web: Browser, key: Key, broker: Broker, path: str, body: Any, slip: str, known: str
) -> None:
    who = key("administrator")
    run = start(web, key(), ASKS)["id"]
    broker.drain()
    path = path.replace("RUN", run)
    if "APPROVAL" in path:
        [asked] = get(web, "approvals", who).json()["results"]
        path = path.replace("APPROVAL", asked["id"])
    before = get(web, f"runs/{run}", who).json()
    refused = problem(post(web, path, body, who), 422, "invalid_input")
    assert refused["field"] == slip
    assert known in refused["detail"]
    assert get(web, f"runs/{run}", who).json() == before
    assert Run.objects.count() == 1
