"""A filled instance has something on every page that is timed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone

from agents.filling import storing
from agents.models import Conversation
from config.access.models import Client, Membership, User
from monitoring import queries
from monitoring.models import Alert, Incident, SecurityEvent
from tests.benchmarks import dashboards, filling_lists
from workflows import publishing

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
CALLS, DAYS = 2000, 3


def test_runs_steps_conversations_and_incidents_are_there_with_their_windows(
    client: Browser,
) -> None:
    call_command("load_catalogue", verbosity=0)
    call_command("load_monitoring", verbosity=0)
    publishing.publish("name: two\nsteps:\n  a: {tool: core.echo}\n")
    storing.fill(calls=CALLS, days=DAYS, seed=1, processes=1)
    own = connection.settings_dict
    filling_lists.fill(
        f"postgresql://{own['USER']}:{own['PASSWORD']}@{own['HOST']}:{own['PORT']}/{own['NAME']}",
        calls=CALLS, days=DAYS,
    )  # fmt: skip
    now = timezone.now()
    for metric, scope, wanted in (
        ("runs", "workflow", CALLS / 20), ("steps", "step", 7 * CALLS / 20),
        ("conversations", "intent", CALLS / 50), ("runs", "all", CALLS / 20),
        ("invocations", "all", CALLS),
    ):  # fmt: skip
        found = queries.totals([metric], scope=scope, since=now - DAYS * timedelta(days=1),
                               until=now)  # fmt: skip
        told = sum(stats[metric].total for stats in found.values() if metric in stats)
        assert wanted / 3 < told <= 1.01 * wanted, (metric, scope, told)
    assert Conversation.objects.count() == CALLS // 50
    assert Incident.objects.filter(state="open").exists()
    assert Alert.objects.count() > Incident.objects.count()
    assert SecurityEvent.objects.count() == CALLS // 500
    firm = Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )[0]
    user = User.objects.create_superuser("root", password="x")
    Membership.objects.create(user=user, client=firm, role="administrator")
    client.force_login(user)
    for path in dashboards.PAGES.values():
        assert client.get(path).status_code == 200, path
