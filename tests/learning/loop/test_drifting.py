from __future__ import annotations

import random
from datetime import timedelta

import pytest
from django.utils import timezone

from learning import drifting
from learning.models import DriftWindow
from tests.learning.loop.conftest import NOW, days_ago

pytestmark = pytest.mark.django_db


def traffic(call, agent, *, first, days, seconds, each=40, **fields):
    draw = random.Random(f"{first}{seconds}")
    for day in range(days):
        for n in range(each):
            call(agent, days_ago(first - day - n / (each + 1)),
                 duration_seconds=draw.lognormvariate(0, 0.3) * seconds, **fields)  # fmt: skip


def windows(metric):
    return {w.window_end: w for w in DriftWindow.objects.filter(metric=metric)}


def test_a_drift_is_confirmed_by_two_days_in_a_row(bare, call):
    traffic(call, bare, first=12, days=10, seconds=1.0)
    traffic(call, bare, first=2, days=2, seconds=3.0)
    yesterday = NOW - timedelta(days=1)
    assert drifting.find_drift(bare.slug, yesterday)["confirmed"] == 0
    assert drifting.find_drift(bare.slug, NOW)["confirmed"] >= 1
    found = windows("latency_seconds")
    assert (found[yesterday].drifted, found[yesterday].is_confirmed) == (True, False)
    assert (found[NOW].streak, found[NOW].is_confirmed) == (2, True)
    assert found[NOW].current_mean > 2 * found[NOW].reference_mean
    assert not windows("output_tokens")[NOW].drifted


def test_the_same_window_is_compared_once(bare, call):
    traffic(call, bare, first=5, days=5, seconds=1.0)
    first = drifting.find_drift(bare.slug, NOW)
    count = DriftWindow.objects.count()
    assert drifting.find_drift(bare.slug, NOW) == first
    assert DriftWindow.objects.count() == count


def test_too_few_calls_say_nothing(bare, call):
    traffic(call, bare, first=5, days=5, seconds=1.0, each=3)
    drifting.find_drift(bare.slug, NOW)
    assert windows("latency_seconds")[NOW].drifted is None


def test_the_reference_leaves_out_incidents_experiments_and_demonstrations(bare, call, firm):
    traffic(call, bare, first=12, days=9, seconds=1.0)
    traffic(call, bare, first=3, days=1, seconds=9.0)  # an incident
    traffic(call, bare, first=5, days=2, seconds=9.0, split_id=firm.pk)
    traffic(call, bare, first=5, days=2, seconds=9.0, is_demo=True)
    traffic(call, bare, first=1, days=1, seconds=1.0)
    incident = (days_ago(3), days_ago(2))
    drifting.find_drift(bare.slug, NOW, incidents=[incident])
    found = windows("latency_seconds")[NOW]
    assert found.drifted is False
    assert found.reference_mean < 1.5


def test_a_stream_of_errors_is_watched_call_by_call(bare, call):
    traffic(call, bare, first=10, days=9, seconds=1.0)
    traffic(call, bare, first=1, days=1, seconds=1.0, each=60, state="failed", error_code="timeout")
    drifting.find_drift(bare.slug, NOW)
    found = windows("errors")[NOW]
    assert found.test == "adwin"
    assert found.is_confirmed
    assert found.effect > 0.5


def test_windows_are_listed_over_http(bare, call, api):
    now = timezone.now()
    for n in range(40):
        call(bare, now - timedelta(hours=1, minutes=n))
        call(bare, now - timedelta(days=3, minutes=n))
    drifting.find_drift(bare.slug, now)
    rows = api("get", f"/api/v1/drift?agent={bare.slug}&metric=latency_seconds").json()["results"]
    assert [(r["test"], r["drifted"]) for r in rows] == [("anderson-darling", False)]
    assert api("get", "/api/v1/drift?confirmed=true").json()["results"] == []
