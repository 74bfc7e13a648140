"""First responses: asked by a rule, carried out by their owners, on record, and taken back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.test import Client as Http
from django.utils import timezone

from agents import tasks as agents_tasks
from config.access import callers
from config.access.models import Client, Membership, User
from config.access.roles import SCOPES
from learning import rollouts
from learning import tasks as learning_tasks
from learning.models import Rollout
from monitoring import actions, alerts, calling, history, incidents, tasks
from monitoring.models import Action, Alert, AlertRule, AuditEntry, Channel, Incident, Objective
from monitoring.services import Measurement, record
from tests.learning.ground import SLUG, make_agent
from tests.monitoring.alarming import again, load_shipped
from tests.monitoring.receiver import receiving
from workflows import publishing, starting, sweeps
from workflows.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def firm() -> Client:
    return Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )[0]


@pytest.fixture
def staff(firm: Client) -> callers.Caller:
    user = User.objects.create_user("boss", password="x")
    Membership.objects.create(user=user, client=firm, role="administrator")
    return callers.of_user(user)


@pytest.fixture
def http(staff: callers.Caller, firm: Client) -> Http:
    user = User.objects.get(pk=staff.user_id)
    _, secret = callers.create_key(user=user, client=firm, name="k", scopes=list(SCOPES))
    return Http(headers={"Authorization": f"Bearer {secret}"})


def failing(responses: list[dict[str, Any]], agent: str = SLUG) -> Incident:
    """The incident of an agent whose calls fail, under a rule with these first responses."""
    load_shipped()
    AlertRule.objects.exclude(slug="error-rate").update(is_active=False)
    AlertRule.objects.filter(slug="error-rate").update(responses=responses, resolve_seconds=0)
    Objective.objects.all().delete()
    history.forget()
    labels = {"agent": agent, "domain": "tax", "code": "timeout"}
    record([Measurement({"invocations": 1, "invocation_errors": 1}, labels) for _ in range(30)])
    tasks.watch()
    return Incident.objects.get()


def over(incident: Incident) -> None:
    Alert.objects.update(state="resolved")
    incidents.group(now=incident.opened_at)


def runs(firm: Client) -> dict[str, Run]:
    """A low-priority run and another, both waiting for a signal."""
    made = {}
    for priority in ("low", "high"):
        publishing.publish(
            f"name: {priority}_one\npriority: {priority}\n"
            "steps: {a: {wait: {signal: go, timeout: 1d}}}"
        )
        made[priority], _ = starting.start_run(
            caller=callers.of_user(User.objects.get(username="boss")),
            workflow=f"{priority}_one", inputs={},
        )  # fmt: skip
    return made


def states() -> dict[str, str]:
    return dict(Run.objects.values_list("priority", "state"))


def test_low_priority_is_held_back_until_the_incident_ends(
    firm: Client, staff: callers.Caller
) -> None:
    runs(firm)
    incident = failing([{"kind": "shed_low_priority"}])
    assert incident.domain == "tax"
    sweeps.sweep()
    assert states() == {"low": "paused", "high": "running"}
    action = incident.actions.get()
    assert (action.state, action.result) == ("done", {"said": "1 low-priority runs paused"})
    assert "action_done" in incident.timeline.values_list("name", flat=True)
    # What comes while it is in force is held back, too.
    Run.objects.filter(priority="low").update(state="running")
    sweeps.sweep()
    assert states()["low"] == "paused"
    over(incident)
    sweeps.sweep()
    assert states() == {"low": "running", "high": "running"}
    sweeps.sweep()
    assert states()["low"] == "running"
    assert AuditEntry.objects.filter(action="monitoring.action.done").count() == 2


def test_a_person_takes_a_response_back_before_the_incident_ends(
    firm: Client, staff: callers.Caller, http: Http
) -> None:
    runs(firm)
    incident = failing([{"kind": "shed_low_priority"}])
    sweeps.sweep()
    path = f"/api/v1/incidents/{incident.pk}/actions/{incident.actions.get().pk}/undo"
    assert http.post(path).status_code == 200
    sweeps.sweep()
    assert states()["low"] == "running"
    assert http.post(path).status_code == 200  # asked once
    assert Action.objects.count() == 2
    assert AuditEntry.objects.filter(action="monitoring.action.taken_back").count() == 1
    over(incident)
    assert Action.objects.count() == 2
    wrong = http.post(path.replace(str(incident.actions.first().pk), str(incident.pk)))
    assert wrong.status_code == 404


def test_alerts_of_an_agent_end_when_a_person_takes_it_out_of_service(
    firm: Client, staff: callers.Caller, http: Http
) -> None:
    make_agent()
    incident = failing([])
    path = f"/api/v1/agents/{SLUG}"

    def put(state: str) -> None:
        answer = http.patch(path, {"state": state}, content_type="application/json",
                            headers={"If-Match": http.get(path)["ETag"]})  # fmt: skip
        assert answer.status_code == 200, answer.content

    put("paused")
    again()
    incident.refresh_from_db()
    assert incident.state == "resolved", "not only after six hours without data"
    assert Alert.objects.get().resolved_by.startswith("key:")
    put("active")
    again()
    assert Alert.objects.count() == 1, "what it did before is forgiven"


@pytest.mark.parametrize("is_pending", [True, False])
def test_an_agent_that_is_paused_before_its_alert_fires_calls_nobody(
    firm: Client, staff: callers.Caller, http: Http, is_pending: bool
) -> None:
    make_agent()
    load_shipped()
    AlertRule.objects.exclude(slug="error-rate").update(is_active=False)
    AlertRule.objects.filter(slug="error-rate").update(pending_seconds=60)
    labels = {"agent": SLUG, "code": "timeout"}
    record([Measurement({"invocations": 1, "invocation_errors": 1}, labels) for _ in range(30)])
    if is_pending:
        tasks.watch()
        assert Alert.objects.get().state == "pending"
    path = f"/api/v1/agents/{SLUG}"
    http.patch(path, {"state": "paused"}, content_type="application/json",
               headers={"If-Match": http.get(path)["ETag"]})  # fmt: skip
    tasks.watch()
    for minutes in (1, 3, 5):
        AlertRule.objects.update(evaluated_at=None)
        alerts.evaluate(now=timezone.now() + timedelta(minutes=minutes))
    assert not Alert.objects.exclude(state="resolved").exists()
    assert not Incident.objects.exists()


def test_alerts_of_an_agent_end_when_it_is_paused_in_the_admin(
    firm: Client, admin_client: Http
) -> None:
    agent, *_ = make_agent()
    incident = failing([])
    page = f"/admin/agents/agent/{agent.pk}/change/"
    form = {"state": "paused", "state_reason": "it drifts", "limits": "{}", "fallback": ""}
    for inline in admin_client.get(page).context["inline_admin_formsets"]:
        prefix = inline.formset.prefix
        form |= {f"{prefix}-TOTAL_FORMS": "0", f"{prefix}-INITIAL_FORMS": "0"}
    assert admin_client.post(page, form).status_code == 302
    again()
    incident.refresh_from_db()
    assert (incident.state, Alert.objects.get().state) == ("resolved", "resolved")


def test_alerts_of_an_agent_last_while_an_incident_has_it_paused(
    firm: Client, staff: callers.Caller
) -> None:
    make_agent()
    incident = failing([{"kind": "pause_agent"}])
    agents_tasks.sweep()
    again()
    incident.refresh_from_db()
    assert (incident.actions.get().state, incident.state) == ("done", "open")


def rollout(staff: callers.Caller, firm: Client) -> Rollout:
    _, old, new = make_agent()
    return Rollout.objects.create(
        client_id=firm.pk, agent_slug=SLUG, from_version_id=old.pk, to_version_id=new.pk,
        stages=[5, 100], state=Rollout.State.RUNNING,
    )  # fmt: skip


def test_a_rollout_is_held_while_its_agent_fails_and_goes_on_afterwards(
    firm: Client, staff: callers.Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollouts, "sweep", lambda: None)
    row = rollout(staff, firm)
    incident = failing([{"kind": "pause_rollout"}])
    learning_tasks.sweep_comparisons()
    row.refresh_from_db()
    assert (row.state, row.state_by) == ("paused", "incident policy")
    over(incident)
    learning_tasks.sweep_comparisons()
    row.refresh_from_db()
    assert row.state == "running"


def test_a_rollout_that_broke_its_agent_goes_back_and_stays_back(
    firm: Client, staff: callers.Caller, monkeypatch: pytest.MonkeyPatch, http: Http
) -> None:
    monkeypatch.setattr(rollouts, "sweep", lambda: None)
    row = rollout(staff, firm)
    incident = failing([{"kind": "roll_back_rollout"}])
    # A wider incident takes its alerts over before the owner's sweep comes.
    wider = Incident.objects.create(cause="endpoint:x", title="x", severity="high",
                                    opened_at=incident.opened_at)  # fmt: skip
    Alert.objects.update(incident=wider)
    Incident.objects.filter(pk=incident.pk).update(merged_into=wider, state="merged")
    learning_tasks.sweep_comparisons()
    row.refresh_from_db()
    assert row.state == "rolled_back"
    assert row.breached_at is not None and row.breached_at <= incident.opened_at
    action = incident.actions.get()
    answer = http.post(f"/api/v1/incidents/{incident.pk}/actions/{action.pk}/undo")
    assert answer.status_code == 409
    over(incident)
    assert Action.objects.count() == 1


def test_a_web_hook_is_called_and_called_again_when_it_is_over(firm: Client) -> None:
    with receiving() as (url, got):
        Channel.objects.create(name="pager", kind="webhook", address=url, secret="s",
                               may_be_private=True)  # fmt: skip
        Channel.objects.filter(name="pager").update(is_active=False)  # told by nothing else
        incident = failing([{"kind": "call_webhook", "target": "pager"}])
        tasks.deliver()
        over(incident)
        tasks.deliver()
    assert [body["event"] for _, body in got] == ["action.asked", "action.undone"]
    assert got[0][0]["webhook-signature"].startswith("v1,")
    assert got[0][1]["incident"] == str(incident.pk)


def test_a_web_hook_that_refuses_is_on_record(firm: Client) -> None:
    Channel.objects.create(name="pager", kind="webhook", address="http://127.0.0.1:1/x",
                           is_active=False)  # fmt: skip
    incident = failing([{"kind": "call_webhook", "target": "pager"}])
    assert calling.respond() == 1
    action = incident.actions.get()
    assert action.state == "failed"
    assert "inside this network" in action.result["said"]


@pytest.mark.parametrize(
    ("responses", "said"),
    [
        ([{"kind": "reboot"}], "one of call_webhook"),
        ([{"kind": "call_webhook"}], "name of a web hook channel"),
        ({"kind": "pause_agent"}, "a list"),
        ([{"kind": "pause_agent", "agent": "x"}], "unknown agent"),
        ([{"kind": "trip_breaker"}], "about 'all' names nothing"),
    ],
)
def test_a_rule_cannot_ask_for_what_nobody_does(responses: Any, said: str) -> None:
    rule = AlertRule(slug="x", title="x", kind="heartbeat", limit=0, responses=responses)
    with pytest.raises(ValidationError, match=said):
        rule.full_clean()


def test_the_responses_of_what_joins_are_asked_and_those_of_what_was_taken_over_taken_back(
    firm: Client,
) -> None:
    first = failing([{"kind": "pause_agent"}], agent="a0")
    assert first.cause == "agent:a0"
    (taken,) = actions.take_actions(["pause_agent"])
    actions.report_action(taken.id, ok=True)
    for agent in ("a0", "a1", "a2"):
        labels = {"agent": agent, "domain": "tax", "code": "timeout", "endpoint": "one"}
        record([Measurement({"invocations": 1, "invocation_errors": 1}, labels)] * 30)
    AlertRule.objects.update(evaluated_at=None)
    tasks.watch()
    whole = Incident.objects.get(cause="endpoint:one")
    assert [a.target for a in actions.take_actions(["pause_agent"])] == ["a1", "a2"]  # a0 is paused
    over(whole)
    undone = Action.objects.filter(kind="resume_agent").values_list("target", flat=True)
    assert list(undone) == ["a0"]


def at_once(first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Any, Any]:
    """What both return; ``first`` commits when ``second`` waits for it or has ended."""
    acted, may_commit = threading.Event(), threading.Event()

    def held() -> Any:
        try:
            with transaction.atomic():
                found = first()
                acted.set()
                assert may_commit.wait(60)
            return found
        finally:
            acted.set()
            connection.close()

    def free() -> Any:
        try:
            return second()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(held)
        assert acted.wait(60)
        two = pool.submit(free)
        while not (two.done() or one.done() or waits()):
            time.sleep(0.01)
        may_commit.set()
        return one.result(60), two.result(60)


def waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("race", ["taken, then ended", "done, then ended", "ended, then done"])
def test_what_is_done_while_its_incident_ends_is_taken_back(race: str) -> None:
    incident = failing([{"kind": "pause_agent"}])
    action = incident.actions.get()

    def take() -> Any:
        return actions.take_actions(["pause_agent"])

    def report() -> bool:
        return actions.report_action(action.pk, ok=True)

    def end() -> Any:
        return incidents.resolve(incident.pk, actor="user:1", now=timezone.now())

    if race == "taken, then ended":
        ((asked,), _) = at_once(take, end)
        assert asked.id == action.pk
        assert report()
    else:
        take()
        both = at_once(report, end) if race == "done, then ended" else at_once(end, report)
        assert True in both, "the report is not refused"
    action.refresh_from_db()
    assert action.state == "done"
    assert [one.kind for one in actions.take_actions(["resume_agent"])] == ["resume_agent"]


@pytest.mark.django_db(transaction=True)
def test_an_incident_that_a_person_ends_during_a_grouping_pass_is_not_grown_by_it() -> None:
    incident = failing([])
    incident.alerts.update(severity="critical")  # the pass has something to say of it
    Incident.objects.filter(pk=incident.pk).update(severity="low")

    def end() -> Any:
        return incidents.resolve(incident.pk, actor="user:1", now=timezone.now())

    at_once(end, lambda: incidents.group(now=timezone.now()))
    incident.refresh_from_db()
    assert (incident.state, incident.severity) == ("resolved", "low")
    names = [event.name for event in incident.timeline.all()]
    assert names.count("resolved") == 1
    assert "worsened" not in names
    assert not incident.alerts.exclude(state="resolved").exists()


def test_what_a_dead_owner_took_is_undone_but_not_done_again_once_its_incident_is_over() -> None:
    incident = failing([{"kind": "pause_agent"}])
    (taken,) = actions.take_actions(["pause_agent"])
    over(incident)
    Action.objects.update(taken_at=timezone.now() - actions.TAKEN_FOR - timedelta(seconds=1))
    (undo,) = [
        one for _ in range(2) for one in actions.take_actions(["pause_agent", "resume_agent"])
    ]
    assert (undo.kind, undo.is_undo) == ("resume_agent", True)
    row = Action.objects.get(pk=taken.id)
    assert (row.state, row.result) == ("failed", {"said": "the incident ended first"})
