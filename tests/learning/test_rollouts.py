"""Rollouts: stages that widen, go back by themselves, and survive crashes and two sweeps."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from agents.domain import traffic
from agents.models import Invocation, Label, TrafficSplit
from agents.resolving import resolve
from config.access.audiences import forget
from config.access.models import Audience, Client
from config.errors import Conflict, InvalidInput
from learning import improvements, rollouts, saying
from learning.models import Improvement, Rollout, Tombstone
from tests.learning.ground import SLUG, make_agent, meet

pytestmark = pytest.mark.django_db
STAGES = [{"share": s, "minimum_hours": 0, "minimum_units": 20} for s in (0.05, 0.25, 0.5, 1)]
METRICS = [{"key": "success", "role": "primary"}]


@pytest.fixture
def ground(firm):
    return (firm, *make_agent())


def begin(firm, new, **changes):
    given = {"strategy": "custom", "stages": STAGES, "metrics": METRICS, **changes}
    return rollouts.begin(client_id=firm.pk, agent_slug=SLUG, to_version=new.pk, **given)


def the_split(agent):
    return TrafficSplit.objects.filter(agent=agent, closed_at=None).first()


def production(agent):
    return Label.objects.get(agent=agent, name="production").version_id


def test_nobody_leaves_the_treatment_as_stages_grow(engineer, ground):
    firm, agent, old, new = ground
    row = begin(firm, new)
    before, seeds = the_split(agent).arms, {the_split(agent).seed}
    for share in (0.25, 0.5, 0.95):
        rollouts.advance(caller=engineer, rollout_id=row.pk)
        after = the_split(agent).arms
        seeds.add(the_split(agent).seed)
        assert traffic.shares(after)[str(new.pk)] == pytest.approx(share)
        met = [b for b in range(10_000) if traffic.arm_of(before, b) == str(new.pk)]
        assert all(traffic.arm_of(after, bucket) == str(new.pk) for bucket in met)
        before = after
    assert len(seeds) == 1 and traffic.shares(before)[str(old.pk)] == pytest.approx(0.05)


def test_up_to_half_the_control_is_as_large_as_the_treatment(ground):
    firm, agent, old, new = ground
    begin(firm, new)
    found = traffic.shares(the_split(agent).arms)
    assert found[str(old.pk)] == found[str(new.pk)] == pytest.approx(0.05)


def test_a_sound_version_reaches_everybody(ground):
    firm, agent, old, new = ground
    row = begin(firm, new)
    for stage in range(4):
        meet(agent, firm, units=900, success={old.pk: 0.8, new.pk: 0.85}, seed=stage)
        rollouts.sweep()
    row.refresh_from_db()
    assert row.state == "done" and production(agent) == new.pk and the_split(agent) is None


def test_a_harmful_version_goes_back_before_a_quarter_met_it(ground):
    firm, agent, old, new = ground
    row = begin(firm, new)
    for stage in range(4):
        meet(agent, firm, units=3000, success={old.pk: 0.95, new.pk: 0.5}, seed=stage)
        rollouts.sweep()
        if the_split(agent) is None:
            break
    row.refresh_from_db()
    assert row.state == "rolled_back" and production(agent) == old.pk
    calls = Invocation.objects.filter(agent_slug=SLUG)
    assert calls.filter(version_id=new.pk).count() < 0.25 * calls.count()
    assert Tombstone.objects.get().evidence["rollout"] == str(row.pk)
    assert "worse" in row.state_reason
    with pytest.raises(improvements.Barred):
        begin(firm, new)
    rollouts.sweep()
    row.refresh_from_db()
    assert row.last_exposure_at is not None


def test_no_data_is_never_success(ground):
    firm, _, _, new = ground
    row = begin(firm, new)
    assert rollouts.sweep() == {"rolled_back": 0, "advanced": 0, "held": 0}
    Rollout.objects.update(stage_started_at=timezone.now() - timedelta(hours=25))
    rollouts.sweep()
    row.refresh_from_db()
    assert row.state == "rolled_back" and "no unit" in row.state_reason


def test_where_it_is_stands_in_whole_words(ground):
    """It said ``since 79.6 ms``, and audiences as ``a and b and c``."""
    firm, _, _, new = ground
    row = begin(firm, new)
    row.refresh_from_db()
    row.stages[0]["audience"] = ["department:audit", "region:emea", "group:pilots"]
    said = saying.of_rollout(row, row.stage_started_at + timedelta(seconds=125))
    of = "5 % of department:audit, region:emea and group:pilots"
    assert said == f"At stage 1 of {len(row.stages)}, {of}, for 2 min."


def test_a_person_who_pauses_is_not_overruled_but_harm_is_stopped(engineer, ground):
    firm, agent, old, new = ground
    row = begin(firm, new)
    rollouts.pause(caller=engineer, rollout_id=row.pk, reason="quarter end")
    meet(agent, firm, units=900, success={old.pk: 0.8, new.pk: 0.8})
    rollouts.sweep()
    row.refresh_from_db()
    assert (row.state, row.stage) == ("paused", 0)
    meet(agent, firm, units=2000, success={old.pk: 0.9, new.pk: 0.2}, seed=2)
    rollouts.sweep()
    row.refresh_from_db()
    assert row.state == "rolled_back"


def test_a_gate_waits_for_a_person(engineer, ground):
    firm, agent, old, new = ground
    row = begin(firm, new, stages=[{**STAGES[0], "gate": True}, STAGES[3]])
    meet(agent, firm, units=900, success={old.pk: 0.8, new.pk: 0.8})
    rollouts.sweep()
    row.refresh_from_db()
    assert row.state == "paused" and "gate" in row.state_reason
    assert rollouts.advance(caller=engineer, rollout_id=row.pk).stage == 1


def test_a_finished_rollout_can_still_be_taken_back(engineer, ground):
    firm, agent, old, new = ground
    row = begin(firm, new, strategy="immediate", stages=None)
    rollouts.advance(caller=engineer, rollout_id=row.pk)
    assert production(agent) == new.pk
    rollouts.rollback(caller=engineer, rollout_id=row.pk, reason="complaints")
    assert production(agent) == old.pk
    with pytest.raises(Conflict):
        rollouts.rollback(caller=engineer, rollout_id=row.pk, reason="again")


def test_its_improvement_moves_along(engineer, ground):
    firm, _, _, new = ground
    one, _ = improvements.propose(
        client_id=firm.pk, agent_slug=SLUG, kind="prompt", title="Better", proposal={"a": 1},
        evidence={}, impact=2, confidence=0.5, effort=2, candidate_version_id=new.pk,
    )  # fmt: skip
    assert one.priority == 0.5
    improvements.approve(caller=engineer, improvement_id=one.pk)
    row = begin(firm, new, improvement_id=one.pk)
    one.refresh_from_db()
    assert one.state == "rolling_out"
    rollouts.rollback(caller=engineer, rollout_id=row.pk, reason="complaints")
    one.refresh_from_db()
    assert one.state == Improvement.State.ROLLED_BACK


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"stages": []}, "stages"),
        ({"stages": [{"share": 0.5}]}, "stages"),
        ({"stages": [{"share": 0.5}, {"share": 0.4}]}, "stages[1].share"),
        ({"stages": [{"share": 1, "speed": 9}]}, "stages[0].speed"),
        ({"strategy": "yolo"}, "strategy"),
    ],
)
def test_stages_that_make_no_sense_are_refused(ground, changes, field):
    firm, _, _, new = ground
    with pytest.raises(InvalidInput) as refused:
        begin(firm, new, **changes)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("stage", "field"),
    [
        ({"share": "half"}, "share"),
        ({"share": None}, "share"),
        ({"share": 0.00001}, "share"),
        ({"share": 0.5, "minimum_hours": "a day"}, "minimum_hours"),
        ({"share": 0.5, "minimum_hours": 1e300}, "minimum_hours"),
        ({"share": 0.5, "minimum_units": 2.5}, "minimum_units"),
        ({"share": 0.5, "gate": "no"}, "gate"),
        ({"share": 0.5, "audience": "group:internal"}, "audience"),
    ],
)
def test_a_stage_that_is_none_is_refused_by_field(api, ground, stage, field):
    stages = [stage, {"share": 1}]
    given = {"agent": SLUG, "version": "2", "strategy": "custom", "stages": stages}
    answer = api("post", "rollouts", given)
    assert (answer.status_code, answer.json()["field"]) == (422, f"stages[0].{field}")


def test_waves_reach_their_audience_first_and_nobody_leaves(engineer, ground, person):
    firm, _, old, new = ground
    other = Client.objects.create(slug="other", name="Other")
    inside, outside = person("professional"), person("external", other)
    stages = [
        {"share": 0.95, "minimum_hours": 0, "minimum_units": 20, "audience": ["group:internal"]},
        {"share": 1, "minimum_hours": 0, "minimum_units": 20},
    ]
    row = begin(firm, new, stages=stages, unit="user")
    forget()

    def met(user, client):
        units = {"user": str(user.pk), "client": str(client.pk)}
        return resolve(SLUG, units)

    treated = next(u for u in [inside, *[person("professional") for _ in range(20)]]
                   if met(u, firm).version.id == new.pk)  # fmt: skip
    stranger = met(outside, other)
    assert (stranger.version.id, stranger.split_epoch, stranger.bucket) == (old.pk, None, None)
    rollouts.advance(caller=engineer, rollout_id=row.pk)
    assert met(treated, firm).version.id == new.pk
    assert met(outside, other).split_epoch == 2


@pytest.mark.parametrize(
    ("stages", "field"),
    [
        ([{"share": 1, "audience": ["department:nowhere"]}], "stages[0].audience"),
        ([{"share": 1, "audience": ["group:internal"]}], "stages"),
        ([{"share": 0.5}, {"share": 1, "audience": ["group:internal"]}], "stages[1].audience"),
    ],
)
def test_waves_that_somebody_would_leave_are_refused(ground, stages, field):
    firm, _, _, new = ground
    with pytest.raises(InvalidInput) as refused:
        begin(firm, new, stages=stages)
    assert refused.value.field == field


def test_an_audience_that_nobody_is_in_is_refused_with_those_that_there_are(ground, person):
    firm, _, _, new = ground
    Audience.objects.create(user=person("professional"), kind="department", name="tax")
    with pytest.raises(InvalidInput, match="group:external, department:tax"):
        begin(firm, new, stages=[{"share": 1, "audience": ["department:audit"]}])


@pytest.mark.parametrize("kind", ["fixed", "bayesian", "bandit", "group_sequential"])
def test_a_test_for_one_look_is_refused_for_a_rollout(api, ground, kind):
    given = {"agent": SLUG, "version": "2", "metrics": METRICS, "test": {"kind": kind}}
    answer = api("post", "rollouts", given)
    assert (answer.status_code, answer.json()["field"]) == (422, "test.kind")
    assert "judged every minute" in answer.json()["detail"]


def test_a_shipped_strategy_begins_with_an_audience(api, ground):
    _, agent, _, _ = ground
    given = {"agent": SLUG, "version": "2", "strategy": "gradual", "audience": ["group:internal"]}
    custom = {**given, "strategy": "custom", "stages": STAGES}
    assert api("post", "rollouts", custom).json()["field"] == "audience"
    nowhere = {**given, "audience": ["department:nowhere"]}
    assert api("post", "rollouts", nowhere).json()["field"] == "audience"
    made = api("post", "rollouts", given).json()
    assert [stage["share"] for stage in made["stages"]] == [0.1, 0.1, 0.25, 0.5, 1.0]
    assert the_split(agent).audience == ["group:internal"]
    assert api("post", f"rollouts/{made['id']}/advance", {}).json()["stage"] == 1
    assert the_split(agent).audience == []
