"""Experiments on rows of calls: what is opened, folded, judged and concluded."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from agents.models import TrafficSplit
from config.errors import Conflict, InvalidInput
from learning import experiments, improvements, rollouts
from learning.models import ArmDay, Experiment, Rollout, Tombstone
from tests.learning.ground import SLUG, make_agent, meet

pytestmark = pytest.mark.django_db


@pytest.fixture
def ground(firm):
    return (firm, *make_agent())


def draft(engineer, old, new, **changes):
    given = {
        "agent_slug": SLUG, "name": "better prompt",
        "variants": [{"key": "control", "version": old.pk}, {"key": "b", "version": new.pk}],
        "metrics": [{"key": "success", "role": "primary"}], "plan": {"minimum_days": 0},
    }  # fmt: skip
    return experiments.create(caller=engineer, **{**given, **changes})


def test_a_started_experiment_opens_equal_arms(engineer, ground):
    _, agent, old, new = ground
    experiment = draft(engineer, old, new, coverage_ratio=0.4)
    assert not TrafficSplit.objects.exists()
    experiments.start(caller=engineer, experiment_id=experiment.pk)
    split = TrafficSplit.objects.get(agent=agent, closed_at=None)
    assert split.arms == {str(old.pk): [[8000, 10000]], str(new.pk): [[0, 2000]]}
    assert split.seed == experiment.seed


def test_no_data_is_inconclusive(engineer, ground):
    _, _, old, new = ground
    experiment = draft(engineer, old, new)
    experiments.start(caller=engineer, experiment_id=experiment.pk)
    assert experiments.sweep() == 0
    experiment.refresh_from_db()
    assert experiment.verdict == "inconclusive" and "No data" in experiment.headline


def test_outcomes_are_folded_per_arm_and_day_and_folding_again_changes_nothing(engineer, ground):
    firm, agent, old, new = ground
    experiment = draft(engineer, old, new)
    experiment = experiments.start(caller=engineer, experiment_id=experiment.pk)
    Experiment.objects.update(started_at=timezone.now() - timedelta(days=5))
    experiment.refresh_from_db()
    meet(agent, firm, units=900, success={old.pk: 0.8, new.pk: 0.8}, days=3,
         started=timezone.now() - timedelta(days=4))  # fmt: skip
    first = experiments.refresh(experiment)
    rows = list(ArmDay.objects.values("arm", "day", "units", "statistics"))
    assert len(rows) in (6, 8) and sum(row["units"] for row in rows) == 900
    assert experiments.refresh(experiment)["metrics"] == first["metrics"]
    assert list(ArmDay.objects.values("arm", "day", "units", "statistics")) == rows


def test_a_unit_counts_once_however_often_it_calls(engineer, ground):
    firm, agent, old, new = ground
    experiment = draft(engineer, old, new)
    experiments.start(caller=engineer, experiment_id=experiment.pk)
    for _ in range(3):
        meet(agent, firm, units=100, success={old.pk: 1, new.pk: 1})
    experiment.refresh_from_db()
    found = experiments.refresh(experiment)
    assert sum(found["progress"]["units"].values()) == 100


def test_a_harmful_arm_is_stopped_and_leaves_a_tombstone(engineer, ground):
    firm, agent, old, new = ground
    experiment = draft(engineer, old, new)
    experiments.start(caller=engineer, experiment_id=experiment.pk)
    meet(agent, firm, units=1200, success={old.pk: 0.9, new.pk: 0.5})
    assert experiments.sweep() == 1
    experiment.refresh_from_db()
    assert experiment.state == "concluded" and experiment.verdict == "rollback"
    assert not TrafficSplit.objects.filter(agent=agent, closed_at=None).exists()
    assert Tombstone.objects.get().version_id == new.pk
    with pytest.raises(improvements.Barred):
        draft(engineer, old, new)
    improvements.lift(caller=engineer, tombstone_id=Tombstone.objects.get().pk)
    draft(engineer, old, new)


@pytest.mark.parametrize(
    ("autoconclude", "state", "begun"), [(True, "concluded", 1), (False, "running", 0)]
)
def test_a_better_arm_ships_by_itself_only_if_asked(engineer, ground, autoconclude, state, begun):
    firm, agent, old, new = ground
    experiment = draft(engineer, old, new, autoconclude=autoconclude)
    experiments.start(caller=engineer, experiment_id=experiment.pk)
    meet(agent, firm, units=1200, success={old.pk: 0.5, new.pk: 0.9})
    experiments.sweep()
    experiment.refresh_from_db()
    assert (experiment.state, experiment.verdict) == (state, "ship")
    assert Rollout.objects.filter(to_version_id=new.pk).count() == begun


def test_a_winner_by_planned_looks_is_rolled_out_by_a_test_that_needs_no_plan(engineer, ground):
    firm, agent, old, new = ground
    looks = {"kind": "group_sequential", "spending": "pocock", "alpha": 0.04}
    experiment = draft(engineer, old, new, autoconclude=True, test=looks,
                       plan={"minimum_days": 0, "planned_units": 600})  # fmt: skip
    experiments.start(caller=engineer, experiment_id=experiment.pk)
    Experiment.objects.update(started_at=timezone.now() - timedelta(days=3))
    meet(agent, firm, units=1200, success={old.pk: 0.5, new.pk: 0.9},
         started=timezone.now() - timedelta(days=2))  # fmt: skip
    experiments.sweep()
    row = Rollout.objects.get(to_version_id=new.pk)
    assert row.test == {"kind": "sequential", "alpha": 0.04}
    assert rollouts.read(row)["verdict"] == "inconclusive"


def test_the_truth_inverted_inverts_the_verdict(engineer, ground):
    firm, agent, old, new = ground
    verdicts = {}
    for better in (old, new):
        experiment = draft(engineer, old, new)
        experiments.start(caller=engineer, experiment_id=experiment.pk)
        rates = {version.pk: 0.9 if version == better else 0.6 for version in (old, new)}
        meet(agent, firm, units=1500, success=rates, seed=better.number)
        experiment.refresh_from_db()
        verdicts[better] = experiments.refresh(experiment)["verdict"]
        experiments.stop(caller=engineer, experiment_id=experiment.pk)
    assert verdicts == {old: "rollback", new: "ship"}


def test_one_experiment_that_cannot_be_analysed_does_not_shield_another(engineer, ground):
    firm, agent, old, new = ground
    good = draft(engineer, old, new)
    experiments.start(caller=engineer, experiment_id=good.pk)
    meet(agent, firm, units=1200, success={old.pk: 0.9, new.pk: 0.5})
    broken = draft(engineer, old, new)
    Experiment.objects.filter(pk=broken.pk).update(
        state="running", started_at=timezone.now(), agent_slug="gone"
    )
    assert experiments.sweep() == 1


def test_a_paused_experiment_resumes_with_the_same_assignment(engineer, ground):
    _, agent, old, new = ground
    experiment = draft(engineer, old, new)
    experiments.start(caller=engineer, experiment_id=experiment.pk)
    before = TrafficSplit.objects.get(agent=agent, closed_at=None)
    experiments.pause(caller=engineer, experiment_id=experiment.pk, reason="month end")
    assert not TrafficSplit.objects.filter(agent=agent, closed_at=None).exists()
    experiments.resume(caller=engineer, experiment_id=experiment.pk)
    after = TrafficSplit.objects.get(agent=agent, closed_at=None)
    assert (after.seed, after.arms) == (before.seed, before.arms) and after.epoch > before.epoch


def test_one_agent_has_one_open_comparison(engineer, ground):
    firm, _, old, new = ground
    experiments.start(caller=engineer, experiment_id=draft(engineer, old, new).pk)
    with pytest.raises(Conflict):
        experiments.start(caller=engineer, experiment_id=draft(engineer, old, new).pk)
    with pytest.raises(Conflict):
        rollouts.begin(client_id=firm.pk, agent_slug=SLUG, to_version=new.pk)


def test_an_aa_test_has_one_version_in_two_arms(engineer, ground):
    firm, agent, old, _ = ground
    experiment = draft(engineer, old, old)
    experiments.start(caller=engineer, experiment_id=experiment.pk)
    meet(agent, firm, units=600, success={old.pk: 0.7})
    experiment.refresh_from_db()
    found = experiments.refresh(experiment)
    assert min(found["progress"]["units"].values()) > 200 and found["verdict"] == "inconclusive"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"variants": []}, "variants"),
        ({"metrics": [{"key": "vibes"}]}, "metrics[0].key"),
        ({"test": {"kind": "tea"}}, "test.kind"),
        ({"plan": {"patience": 3}}, "plan.patience"),
        ({"test": {"kind": "group_sequential"}}, "plan.planned_units"),
    ],
)
def test_an_experiment_that_could_not_be_analysed_is_refused(engineer, ground, changes, field):
    _, _, old, new = ground
    with pytest.raises(InvalidInput) as refused:
        draft(engineer, old, new, **changes)
    assert refused.value.field == field
    assert not Experiment.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_starts_at_once_open_one_split(engineer, ground):
    _, agent, old, new = ground
    experiment = draft(engineer, old, new)

    def begin(_):
        try:
            experiments.start(caller=engineer, experiment_id=experiment.pk)
            return True
        except Conflict:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(begin, range(4))) == 1
    assert TrafficSplit.objects.filter(agent=agent).count() == 1
