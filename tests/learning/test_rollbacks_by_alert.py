"""A version that fails while it is rolled out goes back by a shipped rule, unless others do too."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from agents import services as agents
from agents import versions
from agents.models import Agent, Invocation, TrafficSplit
from learning import tasks as learning
from learning.models import Rollout, Tombstone
from monitoring import history, tasks
from monitoring.models import Action, Alert, AlertRule, AuditEntry, Incident
from monitoring.services import Measurement, record
from tests.agents.conftest import ground, model, offline
from tests.learning.ground import SLUG, make_agent
from tests.monitoring.alarming import load_shipped

__all__ = ["ground", "model", "offline"]
pytestmark = pytest.mark.django_db
# No answer fits it, and that is nobody's fault but the version's.
NEVER = {"type": "object", "required": ["rate"],
         "properties": {"rate": {"type": "string", "pattern": "^never said$"}}}  # fmt: skip
STAGES = [{"share": 0.5, "minimum_hours": 24, "minimum_units": 20}, {"share": 1}]


@pytest.fixture
def shipped(ground, firm):
    load_shipped()
    AlertRule.objects.filter(slug__startswith="version-").update(min_count=20)
    history.forget()


def measured(version, *, failed, of=60, at=None):
    """So many calls of a version, as they are measured."""
    labels = {"agent": SLUG, "version": str(version), "domain": "tax"}
    record([
        Measurement({"invocations": 1, "invocation_errors": int(n < failed)}, labels, at)
        for n in range(of)
    ])  # fmt: skip


def yesterday():
    return timezone.now() - timedelta(days=1)


def by_figures(api, *, share=0.5):
    """A rollout of version 2 whose calls are known by their measurements alone."""
    make_agent()
    stages = [{"share": share, "minimum_hours": 24, "minimum_units": 20}]
    stages += [{"share": 1}] if share < 1 else []
    given = {"agent": SLUG, "version": "2", "strategy": "custom", "stages": stages,
             "metrics": [{"key": "feedback", "role": "primary"}]}  # fmt: skip
    made = api("post", "rollouts", given)
    assert made.status_code == 201, made.content
    return f"rollouts/{made.json()['id']}"


def rolled_out(api, *, control_fails=False, fallback=""):
    """A rollout whose new version never answers; its own metric sees nothing of that."""
    agents.open_agent(SLUG, prompt="Answer with one word.")
    Agent.objects.filter(slug=SLUG).update(fallback=fallback)
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
    for number in range(70):
        api("post", f"agents/{SLUG}/invocations", {"inputs": {"n": number}})
    state = "fallback" if fallback else "failed"
    assert Invocation.objects.filter(version_id=new.pk, state=state).count() >= 20
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


def test_a_version_for_which_only_the_fallback_answers_goes_back_as_well(api, shipped):
    """No call of it is an error, and what is measured of a fallback is cheap and fast."""
    path, _ = rolled_out(api, fallback="Ask the tax team.")
    beat()
    found = api("get", path).json()
    assert (found["state"], found["state_by"]) == ("rolled_back", "incident policy")
    assert Tombstone.objects.filter(agent_slug=SLUG).exists()


def test_a_breach_is_dated_by_the_versions_own_alerts(api, shipped):
    """In an incident of several agents it was dated by the first one's, long before the rollout."""
    _, new = rolled_out(api)
    tasks.watch()
    own = Alert.objects.get(key=f"{SLUG}|{new.number}")
    Alert.objects.create(rule=own.rule, key="other|1", state="firing", incident=own.incident,
                         pending_since=yesterday())  # fmt: skip
    learning.sweep_comparisons()
    row = Rollout.objects.get()
    assert row.state == "rolled_back"
    first = Alert.objects.filter(key__startswith=SLUG).earliest("pending_since").pending_since
    assert row.breached_at == max(first, row.created_at)


def test_what_fails_in_the_control_as_well_is_an_outage_and_holds_it(api, shipped):
    path, new = rolled_out(api, control_fails=True)
    measured(new.number - 1, failed=2, of=200, at=yesterday())
    beat()
    found = api("get", path).json()
    assert (found["state"], found["state_by"]) == ("paused", "incident policy")
    assert "its control fails as well" in found["state_reason"]
    assert not Tombstone.objects.exists()
    assert api("post", f"{path}/resume", {}).json()["state"] == "running"


@pytest.mark.parametrize(
    ("now", "control", "before", "state"),
    [
        (30, 0, 12, "rolled_back"),
        (40, 8, 12, "rolled_back"),  # both fail more, the new one far more
        (8, 7, 120, "running"),  # production fails as often: nothing is wrong with the new one
        (7, 2, 30, "running"),  # over the limit, and surely worse it is not
    ],
)
def test_it_goes_back_where_it_is_surely_worse_than_its_control(
    api, shipped, now, control, before, state
):
    path = by_figures(api)
    measured(1, failed=before, of=1000, at=yesterday())
    measured(1, failed=control), measured(2, failed=now)
    beat()
    assert api("get", path).json()["state"] == state


def test_few_calls_of_the_control_keep_no_failing_version_alive(api, shipped):
    path = by_figures(api, share=1)
    measured(1, failed=20, of=1000, at=yesterday())
    measured(1, failed=1, of=2), measured(2, failed=30)
    beat()
    assert api("get", path).json()["state"] == "rolled_back"


def test_what_was_no_reason_yet_is_looked_at_again_while_the_incident_lasts(api, shipped):
    """The alert fired before the version was rolled out."""
    measured(1, failed=10, of=1000, at=yesterday())
    measured(1, failed=0), measured(2, failed=30)
    beat()
    action = Action.objects.get(kind="roll_back_rollout")
    assert (action.target, action.state) == (f"{SLUG}|2", "taken")
    path = by_figures(api)
    beat()
    assert api("get", path).json()["state"] == "running"
    Action.objects.update(taken_at=timezone.now() - timedelta(minutes=3))
    beat()
    assert api("get", path).json()["state"] == "rolled_back"


@pytest.mark.slow
def test_a_second_rule_about_the_same_version_is_asked_as_well(api, shipped):
    """The first one held the rollout, for its control fails too; the other sees who is worse."""
    made = api("post", "alert-rules", {
        "slug": "version-accuracy", "title": "A version answers wrong", "kind": "threshold",
        "metric": "accuracy_ratio", "statistic": "mean", "scope": "version", "above": False,
        "limit": 0.8, "min_count": 20, "window_seconds": 3600, "severity": "low",
        "responses": [{"kind": "roll_back_rollout"}],
    }, role="administrator")  # fmt: skip
    assert made.status_code == 201, made.content
    path = by_figures(api)
    measured(1, failed=12, of=1000, at=yesterday())
    measured(1, failed=30), measured(2, failed=30)
    beat()
    held = api("get", path).json()
    assert (held["state"], held["state_by"]) == ("paused", "incident policy"), held["state_reason"]
    for version, right in ((1, 0.95), (2, 0.3)):
        labels = {"agent": SLUG, "version": str(version), "domain": "tax"}
        record([Measurement({"accuracy_ratio": float(n < 60 * right)}, labels) for n in range(60)])
    AlertRule.objects.update(evaluated_at=None)
    beat()
    assert api("get", path).json()["state"] == "rolled_back"
    action = Action.objects.get(kind="roll_back_rollout", target=f"{SLUG}|2")
    about = {"detail__kind": action.kind, "detail__target": action.target}
    asked = action.incident.timeline.filter(name="action_asked", **about).order_by("id")
    assert len(asked) == 2 and asked.last().detail["rule"] == "version-accuracy"
    # A third one finds it gone already, and what was done stays done.
    Action.objects.filter(pk=action.pk).update(state="asked", taken_at=None)
    beat()
    action.refresh_from_db()
    assert (action.state, "has gone back already" in action.result["said"]) == ("done", True)


def test_the_first_response_of_a_rule_is_set_over_the_api_and_stays(api, shipped):
    rule = AlertRule.objects.get(slug="version-error-rate")
    assert rule.responses == [{"kind": "roll_back_rollout"}]
    path = "alert-rules/version-error-rate"
    for wrong in ({"kind": "reboot"}, {"kind": ["x"]}, {"kind": "pause_agent", "parameters": None},
                  {"kind": "pause_agent", "target": 7}):  # fmt: skip
        refused = api("patch", path, {"responses": [wrong]}, role="administrator")
        assert refused.status_code == 422 and refused.json()["field"].startswith("responses")
    given = {"responses": [{"kind": "pause_rollout"}]}
    assert api("patch", path, given, role="operator").status_code == 403
    assert api("patch", path, {"limit": 0.2}, role="operator").status_code == 200
    assert api("patch", path, {"scope": "all"}, role="administrator").status_code == 422
    set_ = api("patch", path, {"responses": [{"kind": "pause_rollout"}]}, role="administrator")
    assert set_.status_code == 200, set_.content
    load_shipped()
    told = api("get", path, role="administrator").json()
    assert told["responses"] == [{"kind": "pause_rollout"}]
    assert told["tuned"] == ["limit", "responses"]


def test_a_rule_that_asks_for_nonsense_keeps_no_incident_from_being_told(api, shipped):
    AlertRule.objects.filter(slug="version-error-rate").update(
        responses=[{"kind": "pause_agent", "parameters": "x"}]
    )
    measured(2, failed=60)
    beat()
    assert Incident.objects.get().cause == f"agent:{SLUG}"
