"""From alerts to one incident: grouped, silenced, escalated, answered by itself."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client as Browser
from django.utils import timezone

from config.access import callers
from config.access.models import Client, Membership, User
from monitoring import actions, alerts, explaining, incidents, rollups, tasks, watchlist
from monitoring.marking import marks
from monitoring.models import (
    Action,
    Alert,
    AlertRule,
    Channel,
    Delivery,
    Incident,
    Silence,
)
from monitoring.services import Measurement, record, security_event
from tests.monitoring.alarming import MINUTE, again, calls, live, now, opened

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("shipped")]


def outage(agents: range) -> None:
    """Twenty failed calls of each, as one row."""
    failed = {"invocations": [1.0] * 20, "invocation_errors": [1.0] * 20}
    labels = {"endpoint": "one", "code": "unavailable"}
    record([Measurement(failed, {**labels, "agent": f"agent-{n}"}) for n in agents])


@pytest.mark.parametrize("size", [240, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_storm_of_hundreds_of_alerts_is_one_notification_and_one_update(size: int) -> None:
    Channel.objects.create(name="team", kind="email", address="team@example.org")
    AlertRule.objects.update(resolve_seconds=0)
    outage(range(4))
    tasks.watch()
    assert Delivery.objects.get().name == "opened"
    outage(range(4, size // 2))
    again()
    outage(range(size // 2, size))
    again()
    again()
    assert len(live("error-rate")) == size
    assert Incident.objects.get(state="open", cause="endpoint:one").alerts.count() >= size
    Alert.objects.exclude(state="resolved").update(state="resolved")
    incidents.group(now=now())
    tasks.deliver()
    assert Incident.objects.count() == 1
    assert sorted(d.name for d in Delivery.objects.all()) == ["opened", "resolved", "updated"]
    assert len(mail.outbox) == 3


def test_a_storm_of_agents_whose_endpoint_nobody_knows_is_told_once_too() -> None:
    Channel.objects.create(name="team", kind="email", address="team@example.org")
    failed = {"invocations": [1.0] * 20, "invocation_errors": [1.0] * 20}
    record([
        Measurement(failed, {"agent": f"external:{n}", "code": "timeout"}) for n in range(200)
    ])  # fmt: skip
    tasks.watch()
    assert len(live("error-rate")) == 200
    incident = Incident.objects.get()
    of_agents = incident.alerts.filter(scope="agent").count()
    assert (incident.cause, of_agents) == ("alike:timeout", 200)
    assert incident.title == "Too many failures: several agents alike, timeout"
    assert incident.impact["errors"] == 4000
    tasks.deliver()
    assert len(mail.outbox) == 1
    of_one = marks(scope="agent", key="external:7", since=now() - MINUTE, until=now() + MINUTE)
    assert [one.kind for one in of_one] == ["incident"]  # in its plots, too
    assert not marks(scope="agent", key="other", since=now() - MINUTE, until=now() + MINUTE)


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


def test_whom_an_old_incident_touches_is_counted_now_and_then_and_whole_at_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each count reads all measurements since it began: at every pass it would cost ever more."""
    counts: list[str] = []
    count = explaining.touched

    def counted(scope: str, key: str, *, since: datetime) -> tuple[int, int]:
        counts.append(key)
        return count(scope, key, since=since)

    monkeypatch.setattr(explaining, "touched", counted)
    AlertRule.objects.exclude(slug="error-rate").update(is_active=False)
    AlertRule.objects.update(resolve_seconds=3600)

    def touched_by(user: str) -> tuple[int, int, bool]:
        """Another person meets it; users and failed calls after one more pass, and if it read."""
        labels = {"agent": "a", "endpoint": "one", "code": "timeout", "user": user}
        record([Measurement({"invocations": 1.0, "invocation_errors": 1.0}, labels)])
        before = len(counts)
        again()
        impact = Incident.objects.get().impact
        return impact["users"], impact["errors"], len(counts) > before

    calls("a", 30, 30)
    tasks.watch()
    again()  # and now it is critical, which is told with a count of its own
    Incident.objects.update(opened_at=now() - timedelta(hours=10))
    assert Incident.objects.get().impact["users"] == 3
    assert touched_by("u3") == (3, 31, False)
    incident = Incident.objects.get()
    incident.impact["counted_at"] = (now() - 31 * MINUTE).isoformat()
    incident.save()
    assert touched_by("u4") == (5, 32, True)
    assert touched_by("u5") == (5, 33, False)
    incidents.resolve(incident.pk, actor="user:1", now=now())
    ended = Incident.objects.get()
    assert ended.impact["users"] == 6
    assert "Touched 6 users" in ended.summary


def test_a_model_that_is_gone_is_told_also_where_the_declared_fallback_answers(
    admin_user: User,
) -> None:
    Channel.objects.create(name="team", kind="email", address="team@example.org")
    served = {"invocations": 1.0, "invocation_errors": 0.0, "invocation_fallbacks": 1.0}
    labels = {"agent": "a", "code": "unavailable"}
    record([Measurement(served, {**labels, "user": f"u{n % 2}"}) for n in range(25)])
    tasks.watch()
    (alert,) = live("fallback-rate")
    assert (alert.key, alert.value, alert.detail["errors"][0]["code"]) == ("a", 1.0, "unavailable")
    incident = Incident.objects.get()
    assert (incident.impact["fallbacks"], incident.impact["users"]) == (25, 2)
    firm = Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )[0]
    Membership.objects.create(user=admin_user, client=firm, role="administrator")
    browser = Browser()
    browser.force_login(admin_user)
    page = browser.get(f"/dashboard/incidents/{incident.pk}").content.decode()
    for state in ("failed%2Cfallback", "fallback"):
        assert re.search(rf'/dashboard/invocations\?agent=a&amp;[^"]*state={state}["&]', page)
    tasks.deliver()
    said = "0 of 25 calls failed, 25 were answered by a fallback, 2 users met it."
    assert said in mail.outbox[0].body
    incidents.resolve(incident.pk, actor="user:1", now=now())
    summary = Incident.objects.get().summary
    assert "Touched 2 users and 0 clients: " in summary
    assert "25 had only a fallback." in summary


def test_a_silenced_alert_opens_no_incident() -> None:
    Silence.objects.create(
        scope="agent", key="a", reason="known", created_by="user:1", ends_at=now() + MINUTE
    )
    AlertRule.objects.exclude(slug="error-rate").update(is_active=False)
    calls("a", 30, 30)
    tasks.watch()
    assert live("error-rate")[0].is_silenced
    assert not Incident.objects.exists()


def silence(web: Browser, headers: dict[str, str]) -> str:
    """Over HTTP, of agent ``a``; its id."""
    body = {"scope": "agent", "key": "a", "reason": "known",
            "ends_at": (now() + timedelta(hours=1)).isoformat()}  # fmt: skip
    made = web.post("/api/v1/silences", body, content_type="application/json",
                    headers={**headers, "Idempotency-Key": "silence-1"})  # fmt: skip
    assert made.status_code == 201, made.content
    return str(made.json()["id"])


@pytest.fixture
def headers() -> dict[str, str]:
    firm = Client.objects.create(slug="firm", name="The firm", is_firm=True)
    user = User.objects.create_user("ada", password="x")
    Membership.objects.create(user=user, client=firm, role="administrator")
    scopes = ["monitoring:read", "monitoring:write"]
    secret = callers.create_key(user=user, client=firm, name="k", scopes=scopes)[1]
    return {"Authorization": f"Bearer {secret}"}


def test_a_silence_mutes_what_fires_already_and_its_end_lets_it_be_heard(
    client: Browser, headers: dict[str, str]
) -> None:
    Channel.objects.create(name="team", kind="email", address="team@example.org")
    Channel.objects.create(name="second", kind="email", address="2@example.org", level=1)
    AlertRule.objects.exclude(slug="error-rate").update(is_active=False)
    calls("a", 30, 2)
    tasks.watch()
    (incident,) = Incident.objects.all()
    made = silence(client, headers)
    calls("a", 30, 30)  # worse: it would be told
    Incident.objects.update(opened_at=now() - timedelta(hours=1))
    again()
    assert [one.is_silenced for one in live("error-rate")] == [True]
    assert watchlist.attention() == []
    assert [d.name for d in Delivery.objects.all()] == ["opened"], "neither worse nor escalated"
    ended = client.delete(f"/api/v1/silences/{made}", headers=headers)
    assert ended.status_code == 200
    again()
    assert [one.is_silenced for one in live("error-rate")] == [False]
    incident.refresh_from_db()
    assert (incident.state, incident.severity) == ("open", "critical")
    assert sorted(d.name for d in Delivery.objects.all()) == ["escalated", "opened", "updated"]
    assert client.delete(f"/api/v1/silences/{made}", headers=headers).status_code == 409


def test_what_still_fires_when_its_silence_runs_out_is_told() -> None:
    Channel.objects.create(name="team", kind="email", address="team@example.org")
    AlertRule.objects.exclude(slug="error-rate").update(is_active=False)
    quiet = Silence.objects.create(
        scope="agent", key="a", reason="known", created_by="user:1", ends_at=now() + MINUTE
    )
    calls("a", 30, 30)
    tasks.watch()
    assert not Incident.objects.exists()
    Silence.objects.filter(pk=quiet.pk).update(ends_at=now() - MINUTE)
    again()
    assert Incident.objects.get().cause == "agent:a"
    assert [d.name for d in Delivery.objects.all()] == ["opened"]
    assert [one.key for one in watchlist.attention()] == ["a"]


def test_an_outage_of_two_hours_is_one_notification_and_one_update() -> None:
    """What it does to domains, workflows and budgets shows later, and is told there."""
    Channel.objects.create(name="team", kind="email", address="team@example.org")
    AlertRule.objects.filter(kind__in=["forecast", "anomaly", "together"]).update(is_active=False)
    # Of what is not measured here a rule has nothing to say, forty times.
    measured = ["invocations", "invocation_errors", "runs", "run_errors", "run_duration_seconds"]
    AlertRule.objects.exclude(metric__in=measured).update(is_active=False)
    begin = now() - timedelta(hours=3)

    def busy(at: datetime, failed: float) -> None:
        bad = round(20 * failed)
        answered = {"invocations": [1.0] * 20,
                    "invocation_errors": [1.0] * bad + [0.0] * (20 - bad)}  # fmt: skip
        ran = {"runs": 1.0, "run_errors": failed, "run_duration_seconds": 9.0}
        for n in range(4):
            labels = {"agent": f"a{n}", "domain": f"d{n % 2}", "endpoint": "one"}
            record([Measurement(answered, labels, at),
                    Measurement(ran, {"workflow": f"w{n % 2}"}, at)])  # fmt: skip

    for minute in range(0, 200, 5):
        at = begin + minute * MINUTE
        busy(at, 0.0 if not 30 <= minute < 150 else 0.3 if minute < 40 else 1.0)
        if minute % 10:
            continue  # a look every ten minutes finds what one every five does
        rollups.roll_up()
        AlertRule.objects.update(evaluated_at=None)
        seen = at + MINUTE
        alerts.evaluate(now=seen)
        incidents.group(now=seen)
        incidents.escalate(now=seen)
        if minute == 140:
            wide = {one.scope for one in Alert.objects.filter(state="firing")}
            assert {"domain", "workflow", "all", "endpoint"} <= wide
            whole = Incident.objects.filter(state="open")
            assert [one.cause for one in whole] == ["endpoint:one"]
            incidents.acknowledge(whole[0].pk, actor="user:1")
    told = [d.name for d in Delivery.objects.exclude(name="resolved")]
    assert told.count("opened") == 1
    assert told[1:] in ([], ["updated"])
    assert Incident.objects.exclude(state="merged").count() == 1


def test_agents_that_fail_one_after_the_other_are_one_incident_and_nobody_hears_of_an_end() -> None:
    wanted = ["error-rate", "endpoint-error-rate"]
    AlertRule.objects.exclude(slug__in=wanted).update(is_active=False)
    AlertRule.objects.update(pending_seconds=0)
    AlertRule.objects.filter(slug="error-rate").update(responses=[{"kind": "pause_agent"}])
    Channel.objects.create(name="team", kind="email", address="team@example.org")
    for name in ("a", "b", "c"):
        calls(name, 30, 30)
    again()
    Alert.objects.filter(rule__slug="endpoint-error-rate").update(
        state="resolved", resolved_at=now(), resolved_by="system:rules"
    )
    AlertRule.objects.filter(slug="endpoint-error-rate").update(is_active=False)
    again()  # they are let go
    for names in (("a", "b"), ("c",)):
        for name in names:
            calls(name, 30, 30, at=timezone.now() + MINUTE)
        again()
    assert Incident.objects.get(state="open").cause == "endpoint:one"
    assert set(Incident.objects.exclude(state="open").values_list("state", flat=True)) == {"merged"}
    assert "resolved" not in {d.name for d in Delivery.objects.all()}
    assert not Action.objects.filter(kind="resume_agent").exists()


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


def unanswered(agent: str, endpoint: str = "one") -> None:
    """Calls that had only the declared fallback: no error is made of them."""
    labels = {"agent": agent, "endpoint": endpoint}
    record([Measurement({"invocations": [1.0] * 25, "invocation_fallbacks": [1.0] * 25}, labels)])


def test_two_agents_of_one_dead_endpoint_are_one_incident() -> None:
    AlertRule.objects.filter(kind="burn_rate").update(is_active=False)
    calls("well", 30, endpoint="other")
    unanswered("a1")
    unanswered("a2")
    again()
    assert [one.key for one in live("fallback-rate")] == ["a1", "a2"]
    assert Incident.objects.get().cause == "endpoint:one"


def test_two_agents_that_fail_at_once_of_an_endpoint_that_is_well_are_two() -> None:
    AlertRule.objects.filter(kind="burn_rate").update(is_active=False)
    for agent in ("a1", "a2"):
        calls(agent, 30, endpoint="one")
        record([Measurement({"invocations": [0.0] * 9, "invocation_errors": [1.0] * 9},
                            {"agent": agent, "code": "invalid_input"})])  # fmt: skip
    again()
    assert {one.cause for one in Incident.objects.all()} == {"agent:a1", "agent:a2"}


def test_what_a_person_ended_begins_anew_by_what_comes_afterwards_alone() -> None:
    AlertRule.objects.exclude(slug__in=["error-rate", "availability-fast-burn"]).update(
        is_active=False
    )
    before = now() - 10 * MINUTE
    calls("a", 40, 40, at=before)
    again()
    (first,) = Incident.objects.all()
    incidents.resolve(first.pk, actor="user:1", now=before + 5 * MINUTE)
    calls("a", 30, 0, at=before + 7 * MINUTE)
    again()
    assert live("error-rate") == [], "the window holds the old calls, and they are over"
    assert Incident.objects.count() == 1
    calls("a", 30, 25, at=before + 8 * MINUTE)
    again()
    (alert,) = live("error-rate")
    assert alert.value == pytest.approx(25 / 60)
    assert Incident.objects.filter(state="open").count() == 1


def test_what_a_person_ends_while_a_pass_judges_is_not_fired_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    AlertRule.objects.exclude(slug="error-rate").update(is_active=False)
    calls("a", 40, 40, at=now() - 10 * MINUTE)
    again()
    (first,) = Incident.objects.all()
    judge = alerts._verdicts

    def slowly(rule: AlertRule, at: datetime, *more: Any) -> Any:
        found = judge(rule, at, *more)
        incidents.resolve(first.pk, actor="user:1", now=at)
        return found

    monkeypatch.setattr(alerts, "_verdicts", slowly)
    again()
    assert live("error-rate") == []
    assert Alert.objects.get().resolved_by == "user:1"
    assert Incident.objects.filter(state="open").count() == 0


def test_a_total_is_compared_with_as_much_time_as_it_is_of() -> None:
    """Who goes on spending twice as much after a person said it was over is told of again."""
    AlertRule.objects.exclude(slug="cost-over-expected").update(is_active=False)
    start = now() - timedelta(days=3)
    for hour in range(72, -1, -1):
        much = 1.0 if hour > 24 else 2.0
        at = start + timedelta(hours=72 - hour)
        record([Measurement({"cost_usd": [much] * 10}, {"agent": "a"}, at)])
    again()
    assert [one.key for one in live("cost-over-expected")] == ["a"]
    incidents.resolve(Incident.objects.get().pk, actor="user:1", now=now())
    again()
    assert live("cost-over-expected") == []
    Alert.objects.update(resolved_at=now() - timedelta(hours=4))
    again()
    assert [one.key for one in live("cost-over-expected")] == ["a"]
    AlertRule.objects.update(above=False, limit=0.9)
    Alert.objects.exclude(state="resolved").update(
        state="resolved", resolved_at=now() - timedelta(hours=1), resolved_by="user:1"
    )
    again()
    assert live("cost-over-expected") == []


def test_an_attack_that_was_stopped_is_no_error_of_a_call_and_touches_nobody() -> None:
    somebody = Client.objects.create(slug="other", name="Other")
    for kind in ("injection", "personal_data"):
        security_event(kind=kind, target="agent:a", client_id=somebody.pk)
    calls("a", 30, 30, endpoint="")
    again()
    (alert,) = live("error-rate")
    assert {one["code"] for one in alert.detail["errors"]} == {"timeout"}
    assert alert.incident is not None
    assert (alert.incident.cause, alert.incident.impact["clients"]) == ("agent:a", 0)


def test_alerts_of_agents_follow_from_their_dead_endpoint_and_are_let_go_when_it_is_well(
    admin_user: User, client: Browser
) -> None:
    wanted = ["error-rate", "endpoint-error-rate"]
    AlertRule.objects.exclude(slug__in=wanted).update(is_active=False)
    AlertRule.objects.update(resolve_seconds=0, pending_seconds=0)
    AlertRule.objects.filter(slug="error-rate").update(responses=[{"kind": "pause_agent"}])
    Channel.objects.create(name="team", kind="email", address="team@example.org")
    for name in ("a", "b"):
        calls(name, 30, 30)
    tasks.watch()
    outage = Incident.objects.get()
    assert outage.cause == "endpoint:one"
    source = Alert.objects.get(rule__slug="endpoint-error-rate")
    assert source.severity == "critical"
    assert {one.inhibited_by for one in live("error-rate")} == {source}
    # No agent is paused for what its endpoint does, and only the endpoint needs attention.
    assert set(Action.objects.values_list("kind", flat=True)) == {"trip_breaker"}
    assert [one.scope for one in watchlist.attention()] == ["endpoint"]
    firm = Client.objects.create(slug="firm", name="The firm", is_firm=True)
    Membership.objects.create(user=admin_user, client=firm, role="administrator")
    client.force_login(admin_user)
    page = client.get(f"/dashboard/alerts/{live('error-rate')[0].pk}").content.decode()
    assert "follows from" in page and str(source.pk) in page
    # The endpoint is well again: of the agents, too, only what comes now is judged.
    Alert.objects.filter(pk=source.pk).update(state="resolved", resolved_at=now(),
                                              resolved_by="system:rules")  # fmt: skip
    AlertRule.objects.filter(slug="endpoint-error-rate").update(is_active=False)
    again()
    assert {one.inhibited_by for one in live("error-rate")} == {None}
    calls("a", 30, 30, at=now() + MINUTE)
    calls("b", 30, 0, at=now() + MINUTE)
    again()
    again()
    assert [one.key for one in live("error-rate")] == ["a"], "b is well"
    alone = Incident.objects.get(state="open")
    assert alone.cause == "agent:a"
    assert Action.objects.filter(kind="pause_agent").values_list("target", flat=True).get() == "a"
    assert [d.name for d in Delivery.objects.order_by("id")] == ["opened", "opened", "resolved"]


def test_an_endpoint_that_was_critical_once_hides_no_agent_that_fails_today() -> None:
    wanted = ["error-rate", "endpoint-error-rate"]
    AlertRule.objects.exclude(slug__in=wanted).update(is_active=False)
    AlertRule.objects.update(pending_seconds=0)
    AlertRule.objects.filter(slug="error-rate").update(responses=[{"kind": "pause_agent"}])
    calls("others", 200, 5)
    calls("a", 30, 30)
    Alert.objects.create(
        rule=AlertRule.objects.get(slug="endpoint-error-rate"), scope="endpoint", key="one",
        state="firing", severity="critical", pending_since=now(), fired_at=now(),
    )  # fmt: skip
    again()
    source = Alert.objects.get(rule__slug="endpoint-error-rate")
    assert (source.state, source.severity) == ("firing", "critical"), "15 % of its calls fail"
    (alert,) = live("error-rate")
    assert alert.inhibited_by is None
    assert Action.objects.filter(kind="pause_agent").values_list("target", flat=True).get() == "a"


def test_between_its_limits_an_agent_that_was_let_go_does_not_fail_of_itself() -> None:
    wanted = ["error-rate", "endpoint-error-rate"]
    AlertRule.objects.exclude(slug__in=wanted).update(is_active=False)
    AlertRule.objects.update(resolve_seconds=0, pending_seconds=0)
    calls("a", 30, 30)
    again()
    Alert.objects.filter(rule__slug="endpoint-error-rate").update(
        state="resolved", resolved_at=now(), resolved_by="system:rules"
    )
    AlertRule.objects.filter(slug="endpoint-error-rate").update(is_active=False)
    again()
    calls("a", 25, 1, at=now() + MINUTE)
    again()
    assert not live("error-rate")
    assert Incident.objects.count() == 1


def test_nobody_is_told_of_agents_that_are_well_once_their_endpoint_is() -> None:
    wanted = ["error-rate", "endpoint-error-rate"]
    AlertRule.objects.exclude(slug__in=wanted).update(is_active=False)
    AlertRule.objects.filter(slug="error-rate").update(responses=[{"kind": "pause_agent"}])
    Channel.objects.create(name="team", kind="email", address="team@example.org")
    calls("a", 30, 30)
    again()
    AlertRule.objects.update(pending_seconds=0)
    again()
    (alert,) = live("error-rate")
    assert alert.inhibited_by is not None
    Alert.objects.filter(rule__slug="endpoint-error-rate").update(
        state="resolved", resolved_at=now(), resolved_by="system:rules"
    )
    AlertRule.objects.filter(slug="endpoint-error-rate").update(is_active=False)
    for _ in range(3):  # it is well for less than its two minutes, and fires until then
        again()
    (alert,) = live("error-rate")
    assert (alert.state, alert.inhibited_by, alert.clear_since is None) == ("firing", None, False)
    assert Incident.objects.count() == 1
    assert not Action.objects.filter(kind="pause_agent").exists()
    AlertRule.objects.update(resolve_seconds=0)
    again()
    assert not live("error-rate")
    assert [d.name for d in Delivery.objects.order_by("id")] == ["opened", "resolved"]


def test_several_agents_that_go_on_failing_are_answered_to_where_they_are() -> None:
    wanted = ["error-rate", "endpoint-error-rate"]
    AlertRule.objects.exclude(slug__in=wanted).update(is_active=False)
    AlertRule.objects.update(pending_seconds=0)
    AlertRule.objects.filter(slug="error-rate").update(responses=[{"kind": "pause_agent"}])
    for name in ("a", "b", "c"):
        calls(name, 30, 30)
    again()
    assert not Action.objects.filter(kind="pause_agent").exists()
    Alert.objects.filter(rule__slug="endpoint-error-rate").update(
        state="resolved", resolved_at=now(), resolved_by="system:rules"
    )
    AlertRule.objects.filter(slug="endpoint-error-rate").update(is_active=False)
    again()
    for name in ("a", "b", "c"):
        calls(name, 30, 30, at=timezone.now() + MINUTE)
    again()
    assert Incident.objects.get(state="open").cause == "endpoint:one"
    asked = Action.objects.filter(kind="pause_agent")
    assert sorted(asked.values_list("target", flat=True)) == ["a", "b", "c"]


def test_what_is_silenced_or_slow_explains_no_agents_failure() -> None:
    wanted = ["error-rate", "endpoint-error-rate"]
    AlertRule.objects.exclude(slug__in=wanted).update(is_active=False)
    AlertRule.objects.create(
        slug="slow", title="Slow", kind="threshold", scope="endpoint", limit=0.1,
        severity="critical", metric="invocation_duration_seconds", statistic="p95",
    )  # fmt: skip
    AlertRule.objects.update(pending_seconds=0)
    rule = AlertRule.objects.get(slug="endpoint-error-rate")
    Silence.objects.create(rule=rule, scope="endpoint", key="one", reason="moved",
                           ends_at=now() + timedelta(hours=1), created_by="user:1")  # fmt: skip
    calls("a", 30, 30)
    again()
    assert [one.is_silenced for one in live("endpoint-error-rate")] == [True]
    assert [one.severity for one in live("slow")] == ["critical"]
    assert [one.inhibited_by for one in live("error-rate")] == [None]
    assert Incident.objects.filter(state="open").exists()
