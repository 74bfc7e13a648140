"""A version that fails while it is rolled out goes back by a shipped rule, unless all fail."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.core.management import call_command

from agents import services as agents
from agents import versions
from agents.models import Agent, Invocation, TrafficSplit
from learning import tasks as learning
from learning.models import Rollout, Tombstone
from monitoring import history, tasks
from monitoring.models import Action, AlertRule, AuditEntry, Incident
from tests.agents.conftest import ground, model, offline
from tests.learning.ground import SLUG

__all__ = ["ground", "model", "offline"]
pytestmark = pytest.mark.django_db
# No answer fits it, and that is nobody's fault but the version's.
NEVER = {"type": "object", "required": ["rate"],
         "properties": {"rate": {"type": "string", "pattern": "^never said$"}}}  # fmt: skip
STAGES = [{"share": 0.5, "minimum_hours": 24, "minimum_units": 20}, {"share": 1}]


@pytest.fixture
def shipped(ground, firm):
    call_command("load_monitoring", verbosity=0)
    history.forget()


def rolled_out(api, *, control_fails=False):
    """A rollout whose new version never answers; its own metric sees nothing of that."""
    agents.open_agent(SLUG, prompt="Answer with one word.")
    agent = Agent.objects.get(slug=SLUG)
    plain = versions.content_of(agent.labels.get(name="production").version)
    if control_fails:
        versions.publish(agent=agent, content=replace(plain, output_schema=NEVER),
                         label="production")  # fmt: skip
    broken = replace(plain, prompt="Answer with two words.", output_schema=NEVER)
    new, _ = versions.publish(agent=agent, content=broken)
    made = api("post", "rollouts", {
        "agent": SLUG, "version": str(new.number), "strategy": "custom", "stages": STAGES,
        "metrics": [{"key": "feedback", "role": "primary"}],
    })  # fmt: skip
    assert made.status_code == 201, made.content
    for number in range(60):
        api("post", f"agents/{SLUG}/invocations", {"inputs": {"n": number}})
    failed = Invocation.objects.filter(version_id=new.pk, state="failed").count()
    assert failed >= 20 and failed < 40
    return f"rollouts/{made.json()['id']}", new


def beat():
    tasks.watch()
    learning.sweep_comparisons()


def test_calls_that_fail_in_the_new_version_alone_take_it_back(api, shipped):
    path, new = rolled_out(api)
    beat()
    found = api("get", path).json()
    assert (found["state"], found["state_by"]) == ("rolled_back", "incident policy")
    assert not TrafficSplit.objects.filter(closed_at=None).exists()
    assert Tombstone.objects.filter(agent_slug=SLUG).exists()
    told = api("post", f"agents/{SLUG}/invocations", {"inputs": {"n": 99}})
    assert told.status_code == 200, told.content
    action = Action.objects.get(kind="roll_back_rollout", state="done")
    assert action.target == f"{SLUG}|{new.number}"
    line = action.incident.timeline.get(name="action_done", detail__kind="roll_back_rollout")
    assert "production answers everybody again" in line.detail["said"]
    assert AuditEntry.objects.filter(action="learning.rollout.rolled_back").exists()
    beat()  # what follows of the same incident finds nothing to do
    assert Rollout.objects.count() == 1


def test_what_fails_in_the_control_as_well_is_an_outage_and_holds_it(api, shipped):
    path, _ = rolled_out(api, control_fails=True)
    beat()
    found = api("get", path).json()
    assert (found["state"], found["state_by"]) == ("paused", "incident policy")
    assert "its control shows the same (version-error-rate)" in found["state_reason"]
    assert not Tombstone.objects.exists()
    assert api("post", f"{path}/resume", {}).json()["state"] == "running"


def test_an_alert_about_another_version_takes_nothing_back(api, shipped):
    agents.open_agent(SLUG, prompt="Answer with one word.")
    incident = Incident.objects.create(title="Errors", cause="agent:x", severity="high")
    action = Action.objects.create(incident=incident, kind="roll_back_rollout", target=f"{SLUG}|1",
                                   parameters={"rule": "version-error-rate"})  # fmt: skip
    learning.sweep_comparisons()
    action.refresh_from_db()
    assert action.state == "done" and "not being tried" in action.result["said"]


def test_the_first_response_of_a_rule_is_set_over_the_api_and_stays(api, shipped):
    rule = AlertRule.objects.get(slug="version-error-rate")
    assert rule.responses == [{"kind": "roll_back_rollout"}]
    path = "alert-rules/version-error-rate"
    refused = api("patch", path, {"responses": [{"kind": "reboot"}]}, role="administrator")
    assert refused.status_code == 422 and "reboot" in refused.content.decode()
    assert api("patch", path, {"scope": "all"}, role="administrator").status_code == 422
    set_ = api("patch", path, {"responses": [{"kind": "pause_rollout"}]}, role="administrator")
    assert set_.status_code == 200, set_.content
    call_command("load_monitoring", verbosity=0)
    told = api("get", path, role="administrator").json()
    assert told["responses"] == [{"kind": "pause_rollout"}] and told["tuned"] == ["responses"]
