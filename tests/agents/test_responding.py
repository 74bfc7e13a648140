"""What an incident asks for is done by the agents' sweep, and can be taken back."""

from __future__ import annotations

import pytest

from agents import tasks
from agents.models import Agent, Endpoint
from monitoring import incidents
from monitoring.models import Action, Incident
from scaling import breaker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def incident() -> Incident:
    return Incident.objects.create(cause="endpoint:main", title="Endpoint fails", severity="high")


@pytest.fixture
def agent() -> Agent:
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


def test_an_agent_is_paused_and_resumed(incident: Incident, agent: Agent) -> None:
    incidents.ask(incident, "pause_agent", agent.slug, {})
    tasks.sweep()
    agent.refresh_from_db()
    assert agent.state == "paused"
    incidents.ask(incident, "resume_agent", agent.slug, {})
    tasks.sweep()
    agent.refresh_from_db()
    assert agent.state == "active"


def test_what_a_person_paused_is_not_resumed_by_a_policy(incident: Incident, agent: Agent) -> None:
    Agent.objects.filter(pk=agent.pk).update(state="paused", state_reason="wrong figures")
    incidents.ask(incident, "resume_agent", agent.slug, {})
    tasks.sweep()
    agent.refresh_from_db()
    assert agent.state == "paused"


def test_a_wish_that_cannot_be_met_is_reported(incident: Incident) -> None:
    incidents.ask(incident, "pause_agent", "nobody", {})
    tasks.sweep()
    action = _asked("pause_agent")
    assert action.state == "failed"
    assert "nobody" in action.result["said"]
