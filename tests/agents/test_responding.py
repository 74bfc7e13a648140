"""What an incident asks for is done by the agents' sweep, and can be taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from agents import tasks, versions
from agents.errors import AgentTripped
from agents.invoke import invoke
from agents.models import Agent, Endpoint
from agents.versions import Content
from monitoring import actions, history, incidents
from monitoring import tasks as monitoring
from monitoring.models import Action, Alert, AlertRule, Incident
from monitoring.services import Measurement, record
from scaling import breaker
from tests.agents.conftest import publish

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def incident() -> Incident:
    return Incident.objects.create(cause="endpoint:main", title="Endpoint fails", severity="high")


@pytest.fixture
def plain() -> Agent:
    return Agent.objects.create(slug="aud-x-001", name="X", domain="audit", purpose="try")


def _asked(kind: str) -> Action:
    return Action.objects.get(kind=kind)


def test_an_endpoint_is_taken_out_and_put_back(incident: Incident) -> None:
    Endpoint.objects.create(name="main", base_url="http://127.0.0.1:1/v1")
    incidents.ask(incident, "trip_breaker", "main", {})
    tasks.sweep()
    assert breaker.look("endpoint:main").is_open
    assert _asked("trip_breaker").state == "done"
    incidents.ask(incident, "close_breaker", "main", {})
    tasks.sweep()
    assert not breaker.look("endpoint:main").is_open


def test_an_agent_is_paused_and_resumed(incident: Incident, plain: Agent) -> None:
    incidents.ask(incident, "pause_agent", plain.slug, {})
    tasks.sweep()
    plain.refresh_from_db()
    assert plain.state == "paused"
    incidents.ask(incident, "resume_agent", plain.slug, {})
    tasks.sweep()
    plain.refresh_from_db()
    assert plain.state == "active"


def test_what_a_person_paused_is_not_resumed_by_a_policy(incident: Incident, plain: Agent) -> None:
    Agent.objects.filter(pk=plain.pk).update(state="paused", state_reason="wrong figures")
    incidents.ask(incident, "resume_agent", plain.slug, {})
    tasks.sweep()
    plain.refresh_from_db()
    assert plain.state == "paused"


def test_a_wish_that_cannot_be_met_is_reported(incident: Incident) -> None:
    incidents.ask(incident, "pause_agent", "nobody", {})
    tasks.sweep()
    action = _asked("pause_agent")
    assert action.state == "failed"
    assert "nobody" in action.result["said"]


def _failing(agent: str, rule: str, responses: list[dict[str, Any]], **labels: str) -> None:
    """Thirty failed calls of an agent, judged by one rule with these first responses."""
    call_command("load_monitoring", verbosity=0)
    AlertRule.objects.exclude(slug=rule).update(is_active=False)
    AlertRule.objects.filter(slug=rule).update(responses=responses)
    history.forget()
    labels = {"agent": agent, "code": "timeout", **labels}
    record([Measurement({"invocations": 1, "invocation_errors": 1}, labels) for _ in range(30)])
    monitoring.watch()


def test_an_agent_whose_calls_fail_is_taken_out_by_itself_and_comes_back(
    agent: Agent, call_of: Callable[..., Any], api: Callable[..., Any]
) -> None:
    other = publish("acct-receivables-003")
    _failing(agent.slug, "error-rate", [{"kind": "trip_breaker"}], endpoint="offline-model")
    tasks.sweep()
    action = _asked("trip_breaker")
    assert (action.state, action.target) == ("done", f"agent:{agent.slug}")
    call = call_of(use_cache=False, allow_fallback=False)
    with pytest.raises(AgentTripped):
        invoke(call)
    # Others of the same endpoint are well, and it is not blamed.
    assert not breaker.look("endpoint:offline-model").is_open
    fine = call_of(agent=other.slug, inputs=other.cases[0]["input"], use_cache=False)
    assert not invoke(fine).is_fallback

    path = f"/api/v1/incidents/{action.incident_id}/actions/{action.pk}/undo"
    assert api("post", path).status_code == 200
    tasks.sweep()
    assert _asked("close_breaker").state == "done"
    assert not invoke(call).is_fallback


def test_a_version_that_fails_is_tripped_alone_and_closed_when_its_incident_ends(
    agent: Agent,
) -> None:
    content = Content(prompt="Another one.", tools=["core.echo"])
    versions.publish(agent=agent, content=content, label="candidate")
    AlertRule.objects.create(slug="bad", title="Bad", kind="threshold", scope="version", limit=0.1,
                             metric="invocation_errors", denominator="invocations",
                             statistic="ratio")  # fmt: skip
    _failing(agent.slug, "bad", [{"kind": "trip_breaker"}], version="2")
    tasks.sweep()
    assert _asked("trip_breaker").target == f"agent:{agent.slug}@2"
    assert breaker.state_of(f"agent:{agent.slug}@2") == "open"
    assert breaker.state_of(f"agent:{agent.slug}@1") == "closed"
    Alert.objects.update(state="resolved")
    incidents.group(now=timezone.now())
    tasks.sweep()
    assert breaker.state_of(f"agent:{agent.slug}@2") == "closed"


def test_what_waited_when_its_incident_ended_is_not_done_and_what_was_under_way_is_undone(
    incident: Incident, plain: Agent
) -> None:
    incidents.ask(incident, "pause_agent", plain.slug, {})
    incidents.ask(incident, "trip_breaker", f"agent:{plain.slug}", {})
    (taken,) = actions.take_actions(["trip_breaker"])
    incidents.resolve(incident.pk, actor="user:1", now=timezone.now())
    actions.report_action(taken.id, ok=True)
    tasks.sweep()
    plain.refresh_from_db()
    assert plain.state == "active"
    assert _asked("pause_agent").result == {"said": "the incident ended first"}
    assert _asked("close_breaker").state == "done"
