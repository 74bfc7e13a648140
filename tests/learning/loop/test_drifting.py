from __future__ import annotations

import random
from datetime import timedelta

import pytest
from django.utils import timezone

from agents import services as agents
from learning import drifting, tasks
from learning.models import DriftWindow
from tests.learning.loop.conftest import NOW, days_ago, id_at

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


def test_real_calls_that_changed_are_a_confirmed_drift_over_http(ground, model, firm, api):
    """Calls through the batch path to a model that becomes wordy; two daily cycles; GET /drift."""
    slug = "aud-wordy-001"
    agents.open_agent(slug, prompt="State the total of the case that is given.")
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)

    def a_day(days_before, count=40):
        start = midnight - timedelta(days=days_before)
        times = [start + timedelta(minutes=30 * n) for n in range(count)]
        answers = agents.answer_all([
            agents.Call(
                agent=slug, client_id=firm.pk, inputs={"case": days_before * 100 + n, "total": n},
                asked_at=at, invocation_id=id_at(at),
            )
            for n, at in enumerate(times)
        ])  # fmt: skip
        assert all(isinstance(answer, agents.Answer) for answer in answers)

    for days_before in range(8, 2, -1):
        a_day(days_before)
    model.behave({"verbosity": "verbose"})
    a_day(2)
    a_day(1)
    for tick in (midnight - timedelta(days=1), midnight):
        made = api("post", "/api/v1/cycles",
                   {"cadence": "daily", "tick": tick.date().isoformat()})  # fmt: skip
        assert made.status_code == 202, made.content
        uid = made.json()["id"]
        for name in ("patterns", "examples", f"agent:{slug}"):
            tasks.cycle_step(uid, name)
        assert tasks.cycle_report(uid)
    rows = api("get", f"/api/v1/drift?agent={slug}&metric=output_tokens").json()["results"]
    assert [(r["drifted"], r["is_confirmed"]) for r in rows] == [(True, True), (True, False)]
    assert rows[0]["current_mean"] > 1.2 * rows[0]["reference_mean"]
    confirmed = api("get", f"/api/v1/drift?agent={slug}&confirmed=true").json()["results"]
    assert "output_tokens" in {row["metric"] for row in confirmed}
    report = api("get", f"/api/v1/cycles/{uid}").json()["report"]
    assert f"Drift of {slug} version 1: output_tokens" in report.replace("\\_", "_")
