"""Rollouts at their own times: the shipped stages, incidents, and stages that were passed over."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from agents.models import Invocation, TrafficSplit
from learning import tasks
from learning.models import Rollout, Tombstone
from learning.rollouts import judging
from monitoring.models import Incident
from tests.learning.ground import SLUG, make_agent, meet
from tests.learning.test_apart import an_incident

pytestmark = pytest.mark.django_db
METRICS = [{"key": "success", "role": "primary"}]
HOUR = timedelta(hours=1)


@pytest.fixture
def ground(firm):
    return (firm, *make_agent())


def begun(api, strategy, **changes):
    made = api("post", "rollouts", {"agent": SLUG, "version": "2", "strategy": strategy,
                                    "metrics": METRICS, **changes})  # fmt: skip
    assert made.status_code == 201, made.content
    return f"rollouts/{made.json()['id']}"


def pass_time(by):
    for field in ("created_at", "stage_started_at", "analysed_at"):
        Rollout.objects.exclude(**{field: None}).update(**{field: F(field) - by})
    Invocation.objects.update(started_at=F("started_at") - by)
    Incident.objects.update(opened_at=F("opened_at") - by, resolved_at=F("resolved_at") - by)


def swept(api, path):
    tasks.sweep_comparisons()
    return api("get", path).json()


@pytest.mark.parametrize(
    ("strategy", "shares"),
    [
        pytest.param("canary", [0.05, 0.1, 0.25, 0.5, 1.0], marks=pytest.mark.slow),
        ("gradual", [0.1, 0.25, 0.5, 1.0]),
    ],
)
def test_a_shipped_strategy_takes_a_day_a_stage_and_not_an_hour_less(api, ground, strategy, shares):
    firm, agent, old, new = ground
    path = begun(api, strategy)
    rates = {old.pk: 0.8, new.pk: 0.82}
    for stage, share in enumerate(shares):
        told = api("get", path).json()
        assert (told["stage"], told["state"]) == (stage, "running")
        split = TrafficSplit.objects.get(agent=agent, closed_at=None)
        treated = sum(end - start for start, end in split.arms[str(new.pk)]) / 10_000
        assert treated == pytest.approx(min(share, 0.95))
        # Two hundred of each side: a stage asks for a hundred.
        units = round(200 / min(treated, 1 - treated))
        meet(agent, firm, units=units, success=rates, seed=stage)
        pass_time(23 * HOUR)
        assert swept(api, path)["stage"] == stage, "not after 23 hours"
        pass_time(2 * HOUR)
        told = swept(api, path)
    assert told["state"] == "done"


def test_holding_starts_a_stage_s_time_anew(api, ground):
    firm, agent, old, new = ground
    path = begun(api, "gradual")
    meet(agent, firm, units=2000, success={old.pk: 0.8, new.pk: 0.8})
    pass_time(20 * HOUR)
    assert api("post", f"{path}/pause", {"reason": "quarter end"}).status_code == 200
    pass_time(30 * HOUR)
    assert swept(api, path)["stage"] == 0
    assert api("post", f"{path}/resume", {}).status_code == 200
    pass_time(20 * HOUR)
    assert swept(api, path)["stage"] == 0
    pass_time(5 * HOUR)
    assert swept(api, path)["stage"] == 1


def test_an_incident_of_a_day_is_not_a_day_without_data(api, ground):
    firm, agent, old, new = ground
    path = begun(api, "gradual")
    meet(agent, firm, units=900, success={old.pk: 0.8, new.pk: 0.8},
         started=timezone.now() + timedelta(minutes=2))  # fmt: skip
    incident = an_incident(timezone.now())
    pass_time(26 * HOUR)
    incident.refresh_from_db()
    incident.alerts.update(pending_since=F("pending_since") - 26 * HOUR)
    assert swept(api, path)["state"] == "running"
    incident.resolved_at, incident.state = timezone.now(), "resolved"
    incident.save()
    pass_time(HOUR)
    told = swept(api, path)
    assert (told["state"], told["stage"]) == ("running", 0)
    assert not Tombstone.objects.exists()
    pass_time(24 * HOUR)
    told = swept(api, path)
    assert told["state"] == "rolled_back" and "in 25 hours" in told["state_reason"]


def skewed(agent, firm, rates, new, seed=1):
    """Units of which every third that should meet the candidate is lost."""
    rows = meet(agent, firm, units=3000, success=rates, seed=seed)
    treated = [row.pk for row in rows if row.version_id == new.pk and row.bucket is not None]
    Invocation.objects.filter(pk__in=treated[::3]).delete()


def test_a_stage_that_a_person_went_on_from_hides_no_later_harm(api, ground):
    firm, agent, old, new = ground
    stages = [{"share": s, "minimum_hours": 0, "minimum_units": 20} for s in (0.4, 0.5, 1)]
    path = begun(api, "custom", stages=stages)
    skewed(agent, firm, {old.pk: 0.8, new.pk: 0.8}, new)
    told = swept(api, path)
    assert told["state"] == "paused" and "Sample ratio mismatch" in told["state_reason"]
    assert api("post", f"{path}/advance", {}).json()["stage"] == 1
    meet(agent, firm, units=600, success={old.pk: 0.8, new.pk: 0.8}, seed=2)
    told = swept(api, path)
    assert (told["state"], told["stage"]) == ("running", 2), told["state_reason"]
    assert any("is left out: a person went on" in note for note in told["analysis"]["notes"])
    meet(agent, firm, units=3000, success={old.pk: 0.9, new.pk: 0.2}, seed=3)
    assert swept(api, path)["state"] == "rolled_back"


def test_a_gate_and_a_late_no_are_a_person_s(api, ground):
    firm, agent, old, new = ground
    stages = [{"share": 0.3, "minimum_hours": 0, "minimum_units": 20, "gate": True}, {"share": 1}]
    path = begun(api, "custom", stages=stages)
    meet(agent, firm, units=900, success={old.pk: 0.8, new.pk: 0.8})
    told = swept(api, path)
    assert told["state"] == "paused" and "gate" in told["state_reason"]
    assert swept(api, path)["stage"] == 0
    assert api("post", f"{path}/advance", {}).json()["stage"] == 1
    assert api("post", f"{path}/rollback", {"reason": ""}).status_code == 422
    assert api("post", f"{path}/rollback", {"reason": "complaints"}).json()["state"] == (
        "rolled_back"
    )


def test_a_rollback_waits_for_no_dating_and_fails_with_none(api, ground, monkeypatch):
    firm, agent, old, new = ground
    stages = [{"share": 0.4, "minimum_hours": 0, "minimum_units": 20}, {"share": 1}]
    path = begun(api, "custom", stages=stages)
    meet(agent, firm, units=900, success={old.pk: 0.9, new.pk: 0.3})
    seen = []

    def dated(*args, **kwargs):
        seen.append(TrafficSplit.objects.filter(agent=agent, closed_at=None).exists())
        raise RuntimeError("the sums can't be read")

    monkeypatch.setattr(judging, "first_breach", dated)
    told = swept(api, path)
    assert told["state"] == "rolled_back" and "worse" in told["state_reason"]
    assert seen == [False]
    assert told["breached_at"] == told["ended_at"]
