from __future__ import annotations

import random
from datetime import timedelta

import pytest
from django.utils import timezone

from agents import evidence
from agents import services as agents
from config.access.models import Membership, User
from learning import drifting, tasks
from learning.models import DriftWindow
from tests.learning.loop.conftest import NOW, days_ago, id_at
from tests.rows import insert

pytestmark = pytest.mark.django_db


def traffic(unwritten, agent, *, first, days, seconds, each=40, **fields):
    draw = random.Random(f"{first}{seconds}")
    version = agent.labels.get(name="production").version
    insert(
        unwritten(agent, days_ago(first - day - n / (each + 1)), version=version,
                  duration_seconds=draw.lognormvariate(0, 0.3) * seconds, **fields)
        for day in range(days)
        for n in range(each)
    )  # fmt: skip


def windows(metric):
    return {w.window_end: w for w in DriftWindow.objects.filter(metric=metric)}


def test_a_drift_is_confirmed_by_two_days_in_a_row(bare, unwritten):
    traffic(unwritten, bare, first=12, days=10, seconds=1.0)
    traffic(unwritten, bare, first=2, days=2, seconds=3.0)
    yesterday = NOW - timedelta(days=1)
    assert drifting.find_drift(bare.slug, yesterday)["confirmed"] == 0
    assert drifting.find_drift(bare.slug, NOW)["confirmed"] >= 1
    found = windows("latency_seconds")
    assert (found[yesterday].drifted, found[yesterday].is_confirmed) == (True, False)
    assert (found[NOW].streak, found[NOW].is_confirmed) == (2, True)
    assert found[NOW].current_mean > 2 * found[NOW].reference_mean
    assert not windows("output_tokens")[NOW].drifted


def test_the_same_window_is_compared_once(bare, unwritten):
    traffic(unwritten, bare, first=5, days=5, seconds=1.0)
    first = drifting.find_drift(bare.slug, NOW)
    count = DriftWindow.objects.count()
    assert drifting.find_drift(bare.slug, NOW) == first
    assert DriftWindow.objects.count() == count


def test_too_few_calls_say_nothing(bare, unwritten):
    traffic(unwritten, bare, first=5, days=5, seconds=1.0, each=3)
    drifting.find_drift(bare.slug, NOW)
    assert windows("latency_seconds")[NOW].drifted is None


def test_the_reference_leaves_out_incidents_experiments_and_demonstrations(bare, unwritten, firm):
    traffic(unwritten, bare, first=12, days=9, seconds=1.0)
    traffic(unwritten, bare, first=3, days=1, seconds=9.0)  # an incident
    traffic(unwritten, bare, first=5, days=2, seconds=9.0, split_id=firm.pk)
    traffic(unwritten, bare, first=5, days=2, seconds=9.0, is_demo=True)
    traffic(unwritten, bare, first=1, days=1, seconds=1.0)
    incident = (days_ago(3), days_ago(2))
    drifting.find_drift(bare.slug, NOW, incidents=[incident])
    found = windows("latency_seconds")[NOW]
    assert found.drifted is False
    assert found.reference_mean < 1.5


def test_a_stream_of_errors_is_watched_call_by_call(bare, unwritten):
    traffic(unwritten, bare, first=10, days=9, seconds=1.0)
    traffic(
        unwritten, bare, first=1, days=1, seconds=1.0, each=60, state="failed", error_code="timeout"
    )
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
    assert api("get", "/api/v1/drift?confirmed=perhaps").status_code == 422  # it listed all


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


def test_other_questions_are_a_drift_of_the_inputs_over_http_and_on_the_page(
    ground, model, firm, api, client
):
    """What is asked becomes another thing; how it is answered does not."""
    slug = "aud-asked-001"
    agents.open_agent(slug, prompt="State the total of the case that is given.")
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    usual = "Sum the invoices of supplier Meyer."
    other = "Explain in detail, for the board, why the accruals of the branch in Lyon moved. " * 4

    def a_day(days_before, question):
        start = midnight - timedelta(days=days_before)
        calls = [
            agents.Call(
                agent=slug, client_id=firm.pk, asked_at=at, invocation_id=id_at(at),
                inputs={"question": question, "total": days_before * 100 + n},
            )
            for n, at in enumerate(start + timedelta(minutes=30 * n) for n in range(40))
        ]  # fmt: skip
        assert all(isinstance(answer, agents.Answer) for answer in agents.answer_all(calls))

    for days_before in range(8, 2, -1):
        a_day(days_before, usual)
    a_day(2, other)
    a_day(1, other)
    for tick in (midnight - timedelta(days=1), midnight):
        made = api("post", "/api/v1/cycles", {"cadence": "daily", "tick": f"{tick:%Y-%m-%d}"})
        tasks.cycle_step(made.json()["id"], f"agent:{slug}")
    confirmed = api("get", f"/api/v1/drift?agent={slug}&confirmed=true").json()["results"]
    found = {row["metric"]: row for row in confirmed}
    assert found.keys() >= {"input_text", "input_tokens"}
    assert found["input_text"]["effect"] > 0.8
    assert found["input_tokens"]["current_mean"] > 1.1 * found["input_tokens"]["reference_mean"]
    same = api("get", f"/api/v1/drift?agent={slug}&metric=tool_calls").json()["results"]
    assert not any(row["drifted"] for row in same)
    user = User.objects.create_user("rev", password="x")
    Membership.objects.create(user=user, client=firm, role="reviewer")
    client.force_login(user)
    page = client.get("/dashboard/learning").content.decode()
    assert "Input text" in page and "what is asked" in page and slug in page


def test_personal_data_of_questions_is_compared_as_it_is_kept(bare, call):
    made = call(bare, days_ago(0.5), inputs={
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Earlier."},
            {"role": "user", "content": [{"type": "text", "text": "Who is [PERSON_1]?"}]},
        ]
    })  # fmt: skip
    plain = call(bare, days_ago(0.5), inputs={"case": {"id": 7, "note": "late"}})
    found = evidence.asked_texts([made.pk, plain.pk])
    assert "Who is [PERSON_1]?" in found[made.pk] and "Earlier" not in found[made.pk]
    assert found[plain.pk] == "case id 7 note late"
