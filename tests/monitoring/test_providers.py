"""Incidents of a provider: several of its endpoints fail at once, and it is told once."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client as Http
from django.utils import timezone

from config.access.models import Client, Membership, User
from monitoring import history, incidents, tasks
from monitoring.models import AlertRule, Channel, Delivery, Incident
from monitoring.services import Measurement, record
from tests.monitoring.alarming import load_shipped
from tests.monitoring.receiver import receiving

pytestmark = pytest.mark.django_db


def dies(endpoint: str, provider: str) -> None:
    """Calls of four agents fail at an endpoint."""
    labels = {"endpoint": endpoint, "provider": provider, "code": "unavailable", "user": endpoint}
    failed = {"invocations": [1.0] * 20, "invocation_errors": [1.0] * 20, "cost_usd": 0.5}
    record([Measurement(failed, {**labels, "agent": f"{endpoint}-{n}"}) for n in range(4)])


def test_two_endpoints_of_one_provider_that_die_are_one_incident_told_once() -> None:
    load_shipped()
    AlertRule.objects.filter(kind="heartbeat").update(is_active=False)
    history.forget()
    Channel.objects.create(name="team", kind="email", address="team@example.org")
    dies("east", "p.example")
    dies("west", "p.example")
    tasks.watch()
    incident = Incident.objects.get()
    assert (incident.cause, incident.alerts.count() > 8) == ("provider:p.example", True)
    assert Delivery.objects.get().name == "opened"
    assert (incident.impact["users"], incident.impact["invocations"]) == (2, 160)
    assert (incident.impact["errors"], incident.impact["usd"]) == (160, "4.000000")
    user = User.objects.create_user("boss", password="x")
    firm = Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )[0]
    Membership.objects.create(user=user, client=firm, role="administrator")
    browser = Http()
    browser.force_login(user)
    page = browser.get(f"/dashboard/incidents/{incident.pk}").content.decode()
    for name in ("east", "west"):
        assert f"failed calls of {name}" in page
        assert f"/dashboard/invocations?endpoint={name}&amp;since=" in page
    assert 'href="[' not in page
    rules = {alert.rule.slug for alert in incident.alerts.select_related("rule")}
    said = re.search(rf"{incident.alerts.count()} alerts of (\d+) rules: ([^<]+)<", page)
    assert said is not None and (int(said[1]), said[2].count("(")) == (len(rules), 2), page
    dies("north", "p.example")
    AlertRule.objects.update(evaluated_at=None)
    tasks.watch()
    assert Incident.objects.get().alerts.filter(key="north").exists()
    assert Incident.objects.get().impact["errors"] == 240  # how bad it is now, not at first
    assert Delivery.objects.count() == 1


def test_an_incident_of_a_provider_takes_the_place_of_its_endpoints_for_all_who_knew() -> None:
    load_shipped()
    AlertRule.objects.filter(kind="heartbeat").update(is_active=False)
    history.forget()
    Channel.objects.create(name="team", kind="email", address="team@example.org")
    with receiving(202) as (url, got):
        hook = {"address": url, "may_be_private": True}
        Channel.objects.create(name="pager", kind="pager", secret="routing", **hook)
        late = Channel.objects.create(name="late", kind="pager", secret="late", level=1, **hook)
        dies("east", "p.example")
        tasks.watch()
        first = Incident.objects.get()
        assert first.cause == "endpoint:east"
        Incident.objects.update(opened_at=first.opened_at - incidents.ESCALATE_AFTER)
        AlertRule.objects.update(evaluated_at=None)
        tasks.watch()  # nobody has acknowledged it: the next level is called
        assert late.deliveries.get().name == "escalated"
        dies("west", "p.example")
        AlertRule.objects.update(evaluated_at=None)
        tasks.watch()
        tasks.deliver()
        whole = Incident.objects.get(state="open")
        first.refresh_from_db()
        assert (whole.cause, first.state, first.merged_into) == (
            "provider:p.example", "merged", whole,
        )  # fmt: skip
    told = [(m.subject.rpartition(" ")[2], m.body) for m in mail.outbox]
    assert [name for name, _ in told] == ["(opened)", "(opened)"]
    assert "It takes the place of the incident of endpoint:east." in told[1][1]
    assert f"{settings.PUBLIC_URL}/dashboard/incidents/{whole.pk}" in told[1][1]
    rung = [body for _, body in got]
    for key in ("routing", "late"):
        mine = [(e["dedup_key"], e["event_action"]) for e in rung if e["routing_key"] == key]
        assert sorted(mine) == sorted([
            (str(first.pk), "trigger"), (str(first.pk), "resolve"), (str(whole.pk), "trigger"),
        ])  # fmt: skip
    incidents.resolve(whole.pk, actor="user:1", now=timezone.now())
    ended = Delivery.objects.filter(name="resolved", incident=whole)
    assert {one.channel.name for one in ended} == {"team", "pager", "late"}
