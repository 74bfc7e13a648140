"""From a failing call to a person who knows: rules, incidents, notifications, actions."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command
from django.db import connection

from agents import budget_use
from agents.models import Budget
from config.celery import QUEUES, app
from monitoring import actions, alerts, depths, incidents, notify, posting, signs, tasks
from monitoring.models import (
    Action,
    Alert,
    AlertRule,
    Channel,
    Delivery,
    Incident,
    Rollup,
    RollupWindow,
    Silence,
)
from monitoring.models import Measurement as Row
from monitoring.services import Measurement, record, security_event

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _shipped() -> Iterator[None]:
    call_command("load_monitoring", verbosity=0)
    AlertRule.objects.filter(kind="heartbeat").update(is_active=False)
    alerts.forget_baselines()
    signs._written.clear()
    yield


def now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        return cursor.fetchone()[0]


def calls(agent: str, count: int = 30, failed: int = 0, *, at: datetime | None = None,
          endpoint: str = "one", seconds: float = 1.0) -> None:  # fmt: skip
    record(
        [
            Measurement(
                {"invocations": 1, "invocation_errors": float(n < failed),
                 "invocation_duration_seconds": seconds},
                {"agent": agent, "endpoint": endpoint, "code": "timeout" if n < failed else "",
                 "user": f"u{n % 3}"},
                at,
            )
            for n in range(count)
        ]
    )  # fmt: skip


def again() -> None:
    """Let every rule be due at once."""
    AlertRule.objects.update(evaluated_at=None)
    tasks.watch()


def live(slug: str) -> list[Alert]:
    return list(Alert.objects.filter(rule__slug=slug).exclude(state="resolved").order_by("key"))


def test_an_error_rate_over_the_limit_fires_in_the_next_pass() -> None:
    calls("good", 40, 1)
    calls("bad", 40, 3)
    calls("worse", 40, 20)
    tasks.watch()
    assert [(a.key, a.state, a.severity) for a in live("error-rate")] == [
        ("bad", "firing", "high"), ("worse", "firing", "critical"),
    ]  # fmt: skip
    alert = live("error-rate")[1]
    assert (alert.value, alert.baseline) == (0.5, 0.05)
    assert len(alert.detail["errors"]) == 10
    assert alert.detail["errors"][0]["code"] == "timeout"
    assert alert.rule.advice and alert.rule.runbook


def test_few_calls_say_nothing() -> None:
    calls("rare", 5, 5)
    tasks.watch()
    assert not live("error-rate")


def test_slower_than_its_own_past_fires() -> None:
    for hour in range(3, 30):
        calls("a", 4, at=now() - timedelta(hours=hour), seconds=1.0)
    calls("a", 30, seconds=1.7)
    tasks.watch()
    (alert,) = live("latency-over-baseline")
    assert alert.value == pytest.approx(1.7, rel=0.02)
    assert alert.baseline == pytest.approx(1.0, rel=0.02)
    assert "× baseline" in alert.why


def test_data_that_vanishes_resolves_nothing() -> None:
    calls("a", 30, 30, endpoint="")
    tasks.watch()
    Rollup.objects.all().delete()
    Row.objects.all().delete()
    again()
    assert [a.state for a in live("error-rate")] == ["no_data"]
    assert Incident.objects.get().state == "open"


def test_it_resolves_after_having_been_well_for_a_while() -> None:
    AlertRule.objects.update(resolve_seconds=0)
    calls("a", 30, 30, endpoint="")
    tasks.watch()
    calls("a", 3000, endpoint="")
    again()
    assert not live("error-rate")
    incident = Incident.objects.get(cause="agent:a")
    assert incident.state == "resolved"
    assert "calls failed" in incident.summary
    assert [e.name for e in incident.timeline.all()][:1] == ["opened"]


def test_a_stuck_sweep_is_told_by_the_dead_mans_rule() -> None:
    AlertRule.objects.filter(kind="heartbeat").update(is_active=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitoring_heartbeat (name, seen_at) "
            "VALUES ('queue:high', now() - interval '10 minutes')"
        )
    tasks.watch()
    assert "queue high" in {a.key for a in live("sweeps-stuck")}
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitoring_heartbeat SET seen_at = now()")
    AlertRule.objects.update(resolve_seconds=0)
    again()
    assert not live("sweeps-stuck")


def outage(agents: range) -> None:
    """Twenty failed calls of each, as one row."""
    failed = {"invocations": [1.0] * 20, "invocation_errors": [1.0] * 20}
    labels = {"endpoint": "one", "code": "unavailable"}
    record([Measurement(failed, {**labels, "agent": f"agent-{n}"}) for n in agents])


def test_a_storm_of_a_thousand_alerts_is_one_notification_and_one_update() -> None:
    Channel.objects.create(name="team", kind="email", address="team@example.org")
    AlertRule.objects.update(resolve_seconds=0)
    outage(range(4))
    tasks.watch()
    assert Delivery.objects.get().name == "opened"
    outage(range(4, 500))
    again()
    outage(range(500, 1000))
    again()
    again()
    assert len(live("error-rate")) == 1000
    assert Incident.objects.get(state="open", cause="endpoint:one").alerts.count() >= 1000
    Alert.objects.exclude(state="resolved").update(state="resolved")
    incidents.group(now=now())
    tasks.deliver()
    assert Incident.objects.count() == 1
    assert sorted(d.name for d in Delivery.objects.all()) == ["opened", "resolved", "updated"]
    assert len(mail.outbox) == 3


def test_agents_that_failed_one_by_one_become_one_incident_when_their_endpoint_is_found() -> None:
    AlertRule.objects.filter(slug="endpoint-error-rate").update(is_active=False)
    AlertRule.objects.filter(kind="burn_rate").update(is_active=False)
    calls("a1", 30, 30)
    tasks.watch()
    first = Incident.objects.get(cause="agent:a1")
    calls("a2", 30, 30)
    calls("a3", 30, 30)
    again()
    first.refresh_from_db()
    whole = Incident.objects.get(cause="endpoint:one")
    assert (first.state, first.merged_into) == ("merged", whole)
    assert whole.alerts.count() == 3
    assert whole.impact["errors"] == 90
    assert whole.impact["users"] == 3


def test_a_silenced_alert_opens_no_incident() -> None:
    Silence.objects.create(
        scope="agent", key="a", reason="known", created_by="user:1", ends_at=now() + MINUTE
    )
    AlertRule.objects.exclude(slug="error-rate").update(is_active=False)
    calls("a", 30, 30)
    tasks.watch()
    assert live("error-rate")[0].is_silenced
    assert not Incident.objects.exists()


def opened(cause: str = "agent:a", severity: str = "high", **more: Any) -> Incident:
    return Incident.objects.create(cause=cause, title="It fails", severity=severity, **more)


def test_who_does_not_answer_is_followed_by_the_next_level_until_somebody_does() -> None:
    at = now()
    first = Channel.objects.create(name="first", kind="email", address="1@example.org", level=1)
    Channel.objects.create(name="second", kind="email", address="2@example.org", level=2)
    Channel.objects.create(
        name="off duty", kind="email", address="3@example.org", level=1,
        on_call_from=at + timedelta(days=1),
    )  # fmt: skip
    incident = opened(opened_at=at - 16 * MINUTE)
    assert incidents.escalate(now=at) == 1
    assert [d.channel for d in Delivery.objects.all()] == [first]
    assert incidents.escalate(now=at) == 0  # once a level
    assert incidents.escalate(now=at + 15 * MINUTE) == 1
    incidents.acknowledge(incident.pk, actor="user:1")
    assert incidents.escalate(now=at + timedelta(hours=3)) == 0
    names = [e.name for e in incident.timeline.all()]
    assert names == ["escalated", "escalated", "acknowledged"]


@pytest.mark.parametrize(
    ("severity", "at", "told"),
    [
        ("high", time(23, 30), 0),
        ("high", time(3), 0),
        ("high", time(12), 1),
        ("critical", time(3), 1),
    ],
)
def test_quiet_hours_let_only_the_critical_through(severity: str, at: time, told: int) -> None:
    Channel.objects.create(name="c", kind="email", address="a@example.org",
                           quiet_from=time(22), quiet_until=time(7))  # fmt: skip
    moment = datetime(2026, 11, 20, at.hour, at.minute, tzinfo=UTC)
    assert notify.enqueue(opened(severity=severity), "opened", alerts=1, now=moment) == told


def test_a_mail_says_what_how_bad_and_where_to_look() -> None:
    Channel.objects.create(name="c", kind="email", address="a@example.org")
    incident = opened()
    notify.enqueue(incident, "opened", alerts=3)
    tasks.deliver()
    (message,) = mail.outbox
    assert message.subject == "[high] It fails (opened)"
    assert f"/dashboard/incidents/{incident.pk}" in message.body
    assert Delivery.objects.get().state == "sent"


@contextmanager
def receiver(status: int = 200) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    got: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}/hook", got
        finally:
            server.shutdown()
            thread.join()


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


def test_a_first_response_is_asked_once_carried_out_by_its_owner_and_taken_back() -> None:
    for number in range(3):
        calls(f"a{number}", 30, 30)
    tasks.watch()
    again()
    incident = Incident.objects.get(cause="endpoint:one")
    assert Action.objects.count() == 1
    (asked,) = actions.take_actions(["trip_breaker"])
    assert (asked.kind, asked.target, asked.is_undo) == ("trip_breaker", "one", False)
    assert actions.take_actions(["trip_breaker"]) == []
    assert actions.report_action(asked.id, ok=True, result={"was": "closed"})
    assert not actions.report_action(asked.id, ok=True)
    incidents.resolve(incident.pk, actor="user:1", now=now())
    (undo,) = actions.take_actions(["close_breaker"])
    assert (undo.target, undo.is_undo) == ("one", True)
    names = [e.name for e in incident.timeline.all()]
    assert {"action_asked", "action_done", "resolved"} <= set(names)


def test_a_broken_audit_log_is_a_critical_incident() -> None:
    security_event(kind="audit", severity="critical")
    tasks.watch()
    (alert,) = live("audit-broken")
    assert (alert.severity, alert.state) == ("critical", "firing")


def test_one_rule_that_cannot_be_judged_does_not_blind_the_others() -> None:
    AlertRule.objects.filter(slug="run-failures").update(metric="no_such_metric")
    calls("a", 30, 30)
    tasks.watch()
    assert live("error-rate")


def test_loading_twice_changes_nothing_and_keeps_what_an_operator_turned_off() -> None:
    AlertRule.objects.filter(slug="drift").update(is_active=False)
    before = AlertRule.objects.count()
    call_command("load_monitoring", verbosity=0)
    assert AlertRule.objects.count() == before
    assert not AlertRule.objects.get(slug="drift").is_active


def test_messages_that_pile_up_are_measured_at_the_broker_and_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(depths, "_told_at", -depths.QUIET_SECONDS)
    AlertRule.objects.filter(slug="queue-depth").update(limit=3.0)
    with app.connection_for_write() as broker:
        for _ in range(5):
            app.send_task(signs.CANARY, queue="low", connection=broker, ignore_result=True)
    assert depths.measure_queues() == {**dict.fromkeys(QUEUES, 0), "low": 5}
    again()
    (alert,) = live("queue-depth")
    assert (alert.key, alert.value) == ("low", 5.0)


BUDGET_RULES = ("budget-half", "budget-most", "budget-used")


@pytest.mark.parametrize(
    ("spent", "fires"), [("4.9", 0), ("5", 1), ("7.99", 1), ("8", 2), ("9.99", 2), ("10", 3)]
)
def test_a_budget_is_told_at_half_at_four_fifths_and_used_up(spent: str, fires: int) -> None:
    Budget.objects.create(scope="client", key="x", window="month", cap_usd=10, spent_usd=spent)
    budget_use.measure_budgets()
    again()
    found = [live(slug) for slug in BUDGET_RULES]
    assert [len(one) for one in found] == [1] * fires + [0] * (3 - fires)
    assert {alert.key for one in found for alert in one} <= {"client:x:month"}


def test_a_budget_alert_is_well_again_in_its_next_window() -> None:
    AlertRule.objects.update(resolve_seconds=0)
    budget = Budget.objects.create(scope="client", key="x", window="day", cap_usd=10,
                                   spent_usd="9.5")  # fmt: skip
    assert budget_use.measure_budgets() == 1
    again()
    (alert,) = live("budget-most")
    assert (alert.key, round(alert.value or 0, 2)) == ("client:x:day", 0.95)
    for table in (Rollup, RollupWindow, Row):  # an hour has gone by
        table._base_manager.all().delete()
    Budget.objects.filter(pk=budget.pk).update(window_started_at=now() - timedelta(days=1))
    assert budget_use.measure_budgets() == 1
    again()
    assert not live("budget-most")
