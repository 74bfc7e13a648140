"""Security events that nobody reports: denied access, and behaviour that is nobody's usual one."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client as Http
from django.utils import timezone

from config.access import callers
from config.access.models import ApiKey, Client, Membership, User
from monitoring import rollups, tasks
from monitoring.models import SecurityEvent
from monitoring.services import Measurement, record, security_event

pytestmark = pytest.mark.django_db


@pytest.fixture
def http() -> Http:
    firm = Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )[0]
    user = User.objects.create_user("ada", password="x")
    Membership.objects.create(user=user, client=firm, role="professional")
    _, secret = callers.create_key(user=user, client=firm, name="k", scopes=["runs:read"])
    return Http(headers={"Authorization": f"Bearer {secret}"})


def test_what_somebody_may_not_do_is_on_record_and_trying_on_is_worse(http: Http) -> None:
    assert http.get("/api/v1/audit").status_code == 403
    event = SecurityEvent.objects.get()
    assert (event.kind, event.severity, event.target) == ("denied", "low", "GET /api/v1/audit")
    assert event.user_id is not None
    assert event.actor.startswith("key:")
    for _ in range(30):
        assert http.get("/api/v1/audit").status_code == 403
    rows = SecurityEvent.objects.order_by("id")
    assert rows.count() == 20  # then it is known, and fills no table
    assert rows.last().severity == "high"


def calls_of(user: UUID, count: int, *, hours_ago: float = 0, blocked: int = 0) -> None:
    at = timezone.now() - timedelta(hours=hours_ago)
    numbers: dict[str, Any] = {"invocations": float(count), "invocations_blocked": float(blocked)}
    record([Measurement(numbers, {"user": str(user), "agent": "a"}, at)])


def test_an_hour_unlike_the_week_is_told_once() -> None:
    steady, wild, new, probing = (uuid4() for _ in range(4))
    for hours in range(2, 30):
        calls_of(steady, 90, hours_ago=hours)
        calls_of(wild, 40, hours_ago=hours)
    calls_of(steady, 400)
    calls_of(wild, 250)
    calls_of(new, 301)
    calls_of(probing, 12, blocked=11)
    rollups.roll_up()
    for _ in range(2):
        tasks.look_for_unusual()
    found = {event.user_id: event.detail["reason"] for event in SecurityEvent.objects.all()}
    assert found.keys() == {wild, new, probing}
    assert SecurityEvent.objects.count() == 3
    assert found[wild] == "250 calls in an hour; the busiest of the last week had 40"
    assert "first hour" in found[new]
    assert "blocked by guardrails" in found[probing]


def test_a_key_whose_hour_is_unlike_its_week_is_told_instead_of_its_owner(http: Http) -> None:
    key = ApiKey.objects.get()
    at, labels = timezone.now(), {"user": str(key.user_id), "key": str(key.pk)}
    for hours in range(2, 30):
        record([Measurement({"invocations": 30.0}, labels, at - timedelta(hours=hours))])
    record([Measurement({"invocations": 200.0}, labels, at)])
    rollups.roll_up()
    for _ in range(2):
        tasks.look_for_unusual()
    event = SecurityEvent.objects.get()
    assert (event.kind, event.severity) == ("key_misuse", "high")
    assert (event.actor, event.user_id) == (f"key:{key.pk}", key.user_id)
    assert event.detail["reason"] == "200 calls in an hour; the busiest of the last week had 30"


def test_a_key_that_is_used_from_a_new_network_is_told(http: Http) -> None:
    def asked(address: str) -> int:
        return http.get("/api/v1/runs", REMOTE_ADDR=address).status_code

    assert asked("192.0.2.7") == asked("192.0.2.200") == 200  # one network, its first
    assert not SecurityEvent.objects.exists()
    assert asked("203.0.113.9") == asked("192.0.2.8") == asked("203.0.113.1") == 200
    event = SecurityEvent.objects.get()
    assert (event.kind, event.address) == ("key_misuse", "203.0.113.9")
    assert event.detail["network"] == "203.0.113.0/24"
    assert asked("2001:db8:1:2::3") == 200
    assert SecurityEvent.objects.last().detail["network"] == "2001:db8:1::/48"


def test_the_page_calls_keys_and_users_as_people_do() -> None:
    firm = Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )[0]
    user = User.objects.create_user("mara", password="x")
    Membership.objects.create(user=user, client=firm, role="administrator")
    key, _ = callers.create_key(user=user, client=firm, name="nightly", scopes=["runs:read"])
    security_event(kind="injection", actor=f"key:{key.pk}", severity="high")
    security_event(kind="denied", actor=f"user:{user.pk}", severity="low")
    security_event(kind="denied", actor="user:1", severity="low")
    browser = Http()
    browser.force_login(user)
    page = browser.get("/dashboard/security").content.decode()
    words = re.findall(r'data-label="Who" title="([^"]*)">([^<]*)<', page)
    assert dict(words) == {
        f"key:{key.pk}": f"{key.prefix}… (nightly), mara", f"user:{user.pk}": "mara",
        "user:1": "user:1",
    }  # fmt: skip
    odd = "zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz"
    assert browser.get(f"/dashboard/security?before={odd}").status_code == 200
