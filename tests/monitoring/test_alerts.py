"""From what is measured to an alert: rules that fire, resolve, and say what they compare."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from kombu import Connection

from agents import budget_use
from agents.models import Budget
from config.celery import QUEUES, app
from config.schedules import SCHEDULE
from monitoring import alerts, depths, health, incidents, periods, rollups, signs, tasks
from monitoring.models import (
    Alert,
    AlertRule,
    Channel,
    Delivery,
    Incident,
    Mark,
    Rollup,
    RollupWindow,
)
from monitoring.models import Measurement as Row
from monitoring.services import Measurement, mark, record, security_event
from tests.monitoring.alarming import again, calls, live, now, receiver

HOUR = timedelta(hours=1)
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("shipped")]


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


def unusual(why: str, key: str, since: datetime, until: datetime) -> None:
    """An incident of the agent or an experiment with it, over and done with."""
    if why == "incident":
        bad = Incident.objects.create(cause=f"agent:{key}", title="Slow", severity="high",
                                      state="resolved", resolved_at=until)  # fmt: skip
        Incident.objects.filter(pk=bad.pk).update(opened_at=since + timedelta(hours=1))
        rule = AlertRule.objects.get(slug="latency-over-baseline")
        Alert.objects.create(rule=rule, incident=bad, scope="agent", key=key, state="resolved",
                             severity="high", pending_since=since)  # fmt: skip
    else:
        for begins, at in ((True, since), (False, until)):
            mark(kind="experiment", scope="agent", key=key, text="e", href="/e", begins=begins)
            Mark.objects.filter(key=key, begins=begins).update(at=at)


@pytest.mark.parametrize("why", ["incident", "experiment"])
def test_a_baseline_leaves_out_incidents_and_experiments(why: str) -> None:
    for hour in range(3, 60):
        calls("a", 4, at=now() - timedelta(hours=hour), seconds=1.0 if hour > 30 else 9.0)
    since, until = now() - timedelta(hours=31), now() - timedelta(hours=2)
    unusual(why, "a", since, until)
    calls("a", 30, seconds=1.7)
    tasks.watch()
    (alert,) = live("latency-over-baseline")
    assert alert.baseline == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize("why", ["", "incident", "experiment"])
def test_a_young_agent_is_compared_with_as_much_past_as_it_has(why: str) -> None:
    def cost(agent: str, usd: float, hours: range) -> None:
        for hour in hours:
            at = now() - timedelta(hours=hour)
            record([Measurement({"cost_usd": usd}, {"agent": agent}, at)] * 2)

    cost("steady", 0.01, range(60))
    cost("dearer", 0.01, range(26, 60))
    cost("dearer", 0.05, range(24))
    cost("born", 0.01, range(30))  # its past is shorter than one window
    for agent in ("steady", "dearer") if why else ():
        unusual(why, agent, now() - timedelta(hours=33), now() - timedelta(hours=30))
    tasks.watch()
    assert [alert.key for alert in live("cost-over-expected")] == ["dearer"]


def test_figures_that_are_each_a_little_odd_at_once_are_told_together() -> None:
    draw = random.Random(4)
    until = now() - timedelta(minutes=1)
    for step in range(420, -1, -1):
        odd = step < 2
        record([Measurement(
            {"invocations": round(100 + draw.gauss(0, 5) + 40 * odd),
             "invocation_errors": round(max(0, 4 + draw.gauss(0, 1) + 12 * odd)),
             "invocation_duration_seconds": 1 + draw.gauss(0, 0.05) + 0.5 * odd,
             "cost_usd": 1 + draw.gauss(0, 0.05) + 0.4 * odd},
            {}, until - timedelta(minutes=5 * step))])  # fmt: skip
    AlertRule.objects.exclude(slug="unusual-together").update(is_active=False)
    tasks.watch()
    (alert,) = live("unusual-together")
    assert alert.why.count(",") >= 1 and "unusual at once" in alert.why


def test_a_night_like_a_noon_is_unusual_by_the_hours_of_a_month() -> None:
    """What the shape of a day and of a week is takes weeks to know; minutes are kept for days."""
    AlertRule.objects.exclude(slug="cost-anomaly").update(is_active=False)
    AlertRule.objects.filter(slug="cost-anomaly").update(scope="domain")
    draw = random.Random(7)
    until = now().replace(minute=0, second=0, microsecond=0)

    def spent(domain: str, hours_ago: int) -> float:
        usual = 100 - 80 * math.cos(2 * math.pi * (hours_ago - 1) / 24)  # it is night now
        odd = domain == "odd" and hours_ago == 1
        return (120.0 if odd else usual) + draw.gauss(0, 3)

    record([
        Measurement({"cost_usd": spent(name, hours_ago)}, {"domain": name},
                    until - timedelta(hours=hours_ago) + timedelta(minutes=1))
        for hours_ago in range(22 * 24, 0, -1) for name in ("odd", "even")
    ])  # fmt: skip
    rollups.roll_up()
    tasks.tidy()
    assert not Rollup.objects.filter(grain="m", start__lt=now() - timedelta(days=6)).exists()
    alerts.evaluate(now=now())
    assert [one.key for one in live("cost-anomaly")] == ["odd"]


def test_tomorrows_busy_hour_is_forecast_by_those_of_the_days_before() -> None:
    AlertRule.objects.exclude(slug="latency-forecast").update(is_active=False)
    took = []
    for hours_ago in range(14 * 24, 0, -1):
        phase = math.cos(2 * math.pi * (hours_ago - 12) / 24)  # the busy hour is half a day away
        grown = (14 * 24 - hours_ago) / (14 * 24)
        at = now() - timedelta(hours=hours_ago)
        for agent, peak in (("growing", 0.6 + 0.5 * grown), ("steady", 0.6)):
            seconds = {"invocation_duration_seconds": [1.2 + peak * phase] * 5}
            took.append(Measurement(seconds, {"agent": agent}, at))
    record(took)
    again()
    (alert,) = live("latency-forecast")
    assert (alert.key, alert.why.startswith("breaches in about")) == ("growing", True)


def test_failures_that_grow_are_told_before_they_break_the_promise() -> None:
    for hour in range(60, 0, -1):  # from 0 to 4 % in sixty hours, and 5 % is promised
        failed = round(400 * 0.042 * (60 - hour) / 60)
        record([
            Measurement({"invocations": 400 - failed, "invocation_errors": 0}, {"agent": "a"},
                        now() - timedelta(hours=hour)),
            Measurement({"invocations": failed, "invocation_errors": failed}, {"agent": "a"},
                        now() - timedelta(hours=hour)),
        ])  # fmt: skip
    tasks.watch()
    (alert,) = live("errors-forecast")
    assert alert.why.startswith("breaches in about")
    assert not live("error-rate")


def test_a_pass_asks_the_database_as_often_for_fifty_agents_as_for_five() -> None:
    """Forecasts and anomalies have a series a key: read one by one, a storm takes minutes."""
    asked = []
    for agents in (range(5), range(5, 50)):
        fine = {"invocations": [1.0] * 20, "invocation_duration_seconds": [1.0] * 20}
        record([Measurement(fine, {"agent": f"agent-{n}"}) for n in agents])
        tasks.watch()  # which folds them
        AlertRule.objects.update(evaluated_at=None)
        with CaptureQueriesContext(connection) as queries:
            alerts.evaluate(now=now())
        asked.append(len(queries))
    assert asked[1] <= asked[0] + 5


def test_data_that_vanishes_resolves_nothing() -> None:
    calls("a", 30, 30, endpoint="")
    tasks.watch()
    Rollup.objects.all().delete()
    Row.objects.all().delete()
    again()
    assert [a.state for a in live("error-rate")] == ["no_data"]
    assert Incident.objects.get().state == "open"


def test_a_quiet_evening_ends_what_a_busy_hour_began() -> None:
    AlertRule.objects.exclude(slug="endpoint-error-rate").update(is_active=False)
    at = now() - timedelta(minutes=40)
    calls("a", 30, 30, at=at)
    rollups.roll_up()

    def judged(minutes: int, few: int = 0, failed: int = 0) -> str:
        if few:
            calls("a", few, failed, at=at + timedelta(minutes=minutes - 1))
            rollups.roll_up()
        AlertRule.objects.update(evaluated_at=None)
        alerts.evaluate(now=at + timedelta(minutes=minutes))
        incidents.group(now=at + timedelta(minutes=minutes))
        return Alert.objects.latest("id").state

    assert judged(1) == "firing"
    assert judged(13, few=3, failed=3) == "firing", "three of three fail: too few, but not well"
    assert judged(25, few=3) == "firing", "three are well: it must last"
    assert judged(30, few=1) == "firing"
    assert judged(36, few=1) == "resolved"
    assert Incident.objects.get().state == "resolved"


def test_what_is_measured_no_more_calls_nobody_and_is_given_up_after_hours() -> None:
    Channel.objects.create(name="second", kind="email", address="2@example.org", level=1)
    Channel.objects.create(name="pager", kind="pager", address="http://localhost:1/", secret="r")
    AlertRule.objects.exclude(slug="error-rate").update(is_active=False)
    began = now()
    calls("a", 30, 30, endpoint="")
    tasks.watch()

    def later(hours: float) -> str:
        at = began + timedelta(hours=hours)
        AlertRule.objects.update(evaluated_at=None)
        alerts.evaluate(now=at)
        incidents.group(now=at)
        incidents.escalate(now=at)
        return Alert.objects.get().state

    assert later(0.3) == "firing"
    assert Delivery.objects.filter(name="escalated").count() == 1
    assert later(2) == "no_data"
    assert later(5) == "no_data"
    assert Delivery.objects.filter(name="escalated").count() == 1, "who was asked knows"
    told = Delivery.objects.get(name="unmeasured")
    assert told.channel.name == "second", "a pager would ring"
    assert "nobody is called on until something is" in told.body["text"]
    assert Incident.objects.get().timeline.filter(name="unmeasured").count() == 1
    out = periods.left_out("agent", since=began - timedelta(hours=1), until=began + 5 * HOUR)
    assert out.of("a")[-1][1] == Alert.objects.get().clear_since, "what comes after it is usual"
    assert later(8.5) == "resolved"
    assert Alert.objects.get().resolved_by == "system:no_data"


def test_what_waits_for_an_analysis_is_no_part_of_how_agents_answer() -> None:
    began = now()
    calls("a", 30, 30, endpoint="")
    tasks.watch()
    reach = {"since": began - timedelta(hours=1), "until": began + HOUR}
    for scope, key, of_agents, of_workflows in (
        ("queue", "analysis", False, True), ("all", "queue analysis", False, True),
        ("queue", "default", True, True),
    ):  # fmt: skip
        Alert.objects.filter(key="a").update(scope=scope, key=key)
        assert bool(periods.left_out("agent", **reach).of("b")) == of_agents
        assert bool(periods.left_out("workflow", **reach).of("w")) == of_workflows
        Alert.objects.filter(key=key).update(scope="agent", key="a")


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
            "VALUES ('queue:high', now() - interval '10 minutes'), "
            "('queue:low', now() - interval '10 minutes')"
        )
    tasks.watch()
    assert {"queue high", "queue low"} <= {a.key for a in live("sweeps-stuck")}
    # A worker that hangs is one incident, and not one of each queue and sweep that it took along.
    assert Incident.objects.get(state="open").cause == "all:sweeps"
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitoring_heartbeat SET seen_at = now()")
    AlertRule.objects.update(resolve_seconds=0)
    again()
    assert not live("sweeps-stuck")


def test_somebody_outside_hears_a_pulse_only_while_every_sweep_is_on_time(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = SCHEDULE["monitoring-pulse"]
    assert (entry["task"], entry["schedule"]) == (tasks.send_pulse.name, 60.0)
    long_ago = now() - timedelta(minutes=20)
    monkeypatch.setattr(health, "_since", long_ago)
    with receiver() as (url, got):
        settings.HEARTBEAT_URL = url
        tasks.send_pulse()
        assert not got, "no sweep has ever succeeded"
        for entry in SCHEDULE.values():
            signs.note(signs.TASK + str(entry["task"]), always=True)
        tasks.send_pulse()
        assert len(got) == 1
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE monitoring_heartbeat SET seen_at = now() - interval '10 minutes' "
                "WHERE name = 'task:monitoring.watch'"
            )
        tasks.send_pulse()
        assert len(got) == 1, "the watch stands still"
        signs.note("task:monitoring.watch", always=True)
        tasks.send_pulse()
        assert len(got) == 2


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


def test_one_look_at_all_queues_takes_one_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, channel = [], Connection.channel

    def counted(self: Connection) -> object:
        opened.append(1)
        return channel(self)

    monkeypatch.setattr(Connection, "channel", counted)
    assert depths.waiting().keys() == set(QUEUES)
    assert len(opened) == 1


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


def test_an_incident_that_worsens_is_named_after_what_is_worst() -> None:
    budget = Budget.objects.create(scope="client", key="x", window="month", cap_usd=10)
    told = []
    for spent in ("5", "8", "10"):
        Budget.objects.filter(pk=budget.pk).update(spent_usd=spent)
        budget_use.measure_budgets()
        again()
        told.append(Incident.objects.get(cause="budget:client:x:month").title)
    assert [title.partition(":")[0] for title in told] == [
        "Half of a budget is used", "Four fifths of a budget are used", "A budget is used up",
    ]  # fmt: skip


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
