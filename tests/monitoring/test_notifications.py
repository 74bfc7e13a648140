"""From an incident to a person who knows: mail, pagers, web hooks, quiet hours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

import pytest
from django.core import mail

from monitoring import incidents, notify, posting, tasks
from monitoring.models import (
    AlertRule,
    Channel,
    Delivery,
    Incident,
)
from tests.monitoring.alarming import again, calls, now, opened, receiver

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("shipped")]


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """The clock of those who tell."""

    def set_to(at: datetime) -> None:
        monkeypatch.setattr(notify.timezone, "now", lambda: at)

    return set_to


def night(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 20, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("severity", "at", "held"),
    [
        ("high", night(23, 30), night(7) + timedelta(days=1)),
        ("high", night(3), night(7)),
        ("high", night(12), None),
        ("critical", night(3), None),
    ],
)
def test_quiet_hours_let_only_the_critical_through_and_hold_the_rest_until_they_end(
    severity: str, at: datetime, held: datetime | None, moment: Callable[[datetime], None]
) -> None:
    Channel.objects.create(name="c", kind="email", address="a@example.org",
                           quiet_from=time(22), quiet_until=time(7))  # fmt: skip
    moment(at)
    notify.enqueue(opened(severity=severity), "opened", alerts=1)
    if held is None:
        Delivery.objects.update(next_at=at)
    tasks.deliver()
    assert len(mail.outbox) == (held is None)
    if held is not None:
        moment(held - timedelta(seconds=1))
        tasks.deliver()
        assert not mail.outbox
        moment(held)
        tasks.deliver()
        assert mail.outbox[0].subject.endswith("(opened)")


def test_what_went_on_at_night_is_one_message_in_the_morning_and_none_if_it_is_over(
    moment: Callable[[datetime], None],
) -> None:
    Channel.objects.create(name="c", kind="email", address="a@example.org",
                           quiet_from=time(22), quiet_until=time(7))  # fmt: skip
    moment(night(3))
    lasting, over = opened(severity="high"), opened("agent:b", "high")
    for incident in (lasting, over):
        notify.enqueue(incident, "opened", alerts=1)
    notify.enqueue(lasting, "updated", alerts=40)
    notify.enqueue(lasting, "unmeasured", alerts=40)
    notify.enqueue(over, "resolved", alerts=1)
    moment(night(7, 1))
    tasks.deliver()
    (message,) = mail.outbox
    assert f"/dashboard/incidents/{lasting.pk}" in message.body
    assert message.subject.endswith("(opened)") and "40 alerts" in message.body
    assert "nobody is called on until something is" in message.body
    moment(night(23))
    notify.enqueue(lasting, "resolved", alerts=1)  # of what it was told: in the morning
    assert Delivery.objects.filter(state="waiting", name="resolved").count() == 1


def test_a_mail_says_what_how_bad_and_where_to_look() -> None:
    Channel.objects.create(name="c", kind="email", address="a@example.org")
    incident = opened()
    notify.enqueue(incident, "opened", alerts=3)
    tasks.deliver()
    (message,) = mail.outbox
    assert message.subject == "[high] It fails (opened)"
    assert f"/dashboard/incidents/{incident.pk}" in message.body
    assert Delivery.objects.get().state == "sent"


def test_a_pager_rings_is_acknowledged_and_falls_silent_also_in_quiet_hours() -> None:
    with receiver(202) as (url, got):
        pager = Channel.objects.create(name="p", kind="pager", address=url, secret="routing",
                                       may_be_private=True)  # fmt: skip
        Channel.objects.create(name="mail", kind="email", address="a@example.org")
        calls("a", 30, 30, endpoint="")
        AlertRule.objects.exclude(slug="error-rate").update(is_active=False)
        tasks.watch()
        tasks.deliver()
        incident = Incident.objects.get()
        incidents.acknowledge(incident.pk, actor="user:1")
        tasks.deliver()
        Channel.objects.filter(pk=pager.pk).update(quiet_from=time(0), quiet_until=time(23, 59, 59))
        incidents.resolve(incident.pk, actor="user:1", now=now())
        tasks.deliver()
    events = [json.loads(body) for _, body in got]
    assert [e["event_action"] for e in events] == ["trigger", "acknowledge", "resolve"]
    assert {(e["routing_key"], e["dedup_key"]) for e in events} == {("routing", str(incident.pk))}
    assert events[0]["payload"]["severity"] == "critical"
    mails = Delivery.objects.filter(channel__name="mail").order_by("id")
    assert [m.name for m in mails] == ["opened", "resolved"]


def test_a_pager_of_an_incident_that_was_taken_over_falls_silent_unless_it_is_off() -> None:
    AlertRule.objects.exclude(slug="error-rate").update(is_active=False)
    with receiver(202) as (url, got):
        for name in ("kept", "off"):
            Channel.objects.create(name=name, kind="pager", address=url, secret=name,
                                   may_be_private=True)  # fmt: skip
        calls("a1", 30, 30)
        tasks.watch()
        tasks.deliver()
        first = Incident.objects.get()
        Channel.objects.filter(name="off").update(is_active=False)
        calls("a2", 30, 30)
        calls("a3", 30, 30)
        again()
        tasks.deliver()
    whole = Incident.objects.get(cause="endpoint:one")
    told: dict[tuple[str, str], list[str]] = {}
    for event in (json.loads(body) for _, body in got):
        key = (event["routing_key"], event["dedup_key"])
        told.setdefault(key, []).append(event["event_action"])
    assert told == {
        ("kept", str(first.pk)): ["trigger", "resolve"],
        ("off", str(first.pk)): ["trigger"],
        ("kept", str(whole.pk)): ["trigger"],
    }


def test_a_web_hook_is_signed_as_its_standard_says() -> None:
    key = b"0123456789abcdef01234567"
    secret = "whsec_" + base64.b64encode(key).decode()
    with receiver() as (url, got):
        Channel.objects.create(name="w", kind="webhook", address=url, secret=secret,
                               may_be_private=True)  # fmt: skip
        notify.enqueue(opened(), "opened", alerts=1)
        assert notify.deliver() == 1
    headers, body = got[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert json.loads(body)["cause"] == "agent:a"
    assert headers["host"].startswith("localhost:")


def test_a_refused_message_is_tried_again_and_every_try_is_seen() -> None:
    with receiver(500) as (url, got):
        Channel.objects.create(name="w", kind="slack", address=url, may_be_private=True)
        notify.enqueue(opened(), "opened", alerts=1)
        for tried in range(1, 8):
            Delivery.objects.filter(state="waiting").update(next_at=now())
            notify.deliver()
            row = Delivery.objects.get()
            assert row.tries == min(tried, 6)
    assert (row.state, len(got)) == ("failed", 6)
    assert "answered 500" in row.last_error
    assert json.loads(got[0][1]).keys() == {"text"}


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/x", "http://localhost/x", "http://10.0.0.8/x", "http://169.254.169.254/",
     "http://[::1]/", "http://[fd00::1]/x", "http://0.0.0.0/", "file:///etc/passwd", "http://"],
)  # fmt: skip
def test_addresses_inside_this_network_are_refused(url: str) -> None:
    with pytest.raises(posting.AddressRefused):
        posting.resolve(url, may_be_private=False)
