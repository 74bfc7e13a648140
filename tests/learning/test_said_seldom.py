"""Few ratings prove nothing, and total failure is seen though nothing varies."""

from __future__ import annotations

import pytest

from agents.models import Invocation
from learning import experiments, tasks
from learning.models import Experiment, Feedback, Rollout, Tombstone
from tests.learning.domain.analysis.test_documents import document
from tests.learning.ground import SLUG, make_agent, meet, said_of
from tests.learning.test_apart import agent_client, an_incident, running
from tests.learning.test_watched_rollouts import begun, calls_of, scored

pytestmark = pytest.mark.django_db
RATING = [{"key": "rating", "role": "primary"}]


def rate(api, version, stars):
    """The first calls of the version get these ratings, one each."""
    rows = Invocation.objects.filter(version_id=version.pk).exclude(split_epoch=None)
    calls = rows.order_by("unit")[: len(stars)]
    ratings = {call: {"rating": stars[number]} for number, call in enumerate(calls)}
    given = {"subject_kind": "invocation", "subject_id": str(calls[0].pk), "kind": "rating",
             **ratings.pop(calls[0])}  # fmt: skip
    assert api("post", "feedback", given).status_code == 201
    said_of(Feedback, calls[0], ratings)


@pytest.mark.parametrize(
    "stars",
    [([5], [4]), pytest.param(([5, 5], [1, 1]), marks=pytest.mark.slow), ([5, 5, 4], [1, 1, 2])],
)
def test_a_few_ratings_take_nothing_back(api, firm, stars):
    agent, old, new = make_agent()
    make_agent(slug="tax-vat-002")
    uid, began = running(api, metrics=RATING)
    meet(agent, agent_client(), units=300, success={old.pk: 1.0, new.pk: 1.0}, started=began)
    for version, given in zip((old, new), stars, strict=True):
        rate(api, version, given)
    experiments.sweep()
    row = Experiment.objects.get(pk=uid)
    assert (row.state, row.verdict) == ("running", "inconclusive")
    assert not Tombstone.objects.exists()
    found = api("get", f"experiments/{uid}/analysis").json()
    note = found["metrics"][0]["comparisons"][0]["note"]
    assert "measured in too few units" in note, note
    # Twenty of each side are read.
    rate(api, old, [5] * 20)
    rate(api, new, [1] * 20)
    experiments.sweep()
    assert Experiment.objects.get(pk=uid).verdict == "rollback"


def test_a_version_that_is_always_wrong_goes_back_though_nothing_varies(api, firm):
    agent, old, new = make_agent()
    begun(api)
    before, after = calls_of(agent, firm, old, new)
    scored(api, before[:40], 0), scored(api, after[:40], 40)
    tasks.sweep_comparisons()
    row = Rollout.objects.get(agent_slug=SLUG)
    assert (row.state, row.state_by) == ("rolled_back", "system:learning")
    assert "accuracy got worse" in row.state_reason


def test_total_failure_since_an_incident_began_is_seen_though_nothing_varies(api, firm):
    agent, old, new = make_agent()
    make_agent(slug="tax-vat-002")
    uid, began = running(api, metrics=[{"key": "score:accuracy", "role": "primary"}])
    meet(agent, agent_client(), units=300, success={old.pk: 1.0, new.pk: 1.0}, started=began)
    for version, wrong in ((old, 0), (new, 40)):
        rows = Invocation.objects.filter(version_id=version.pk).exclude(split_epoch=None)
        scored(api, list(rows.order_by("unit"))[:40], wrong)
    an_incident(began.replace(microsecond=0))
    experiments.sweep()
    assert Experiment.objects.get(pk=uid).verdict == "rollback"


def test_an_empty_stage_hides_no_total_failure_of_given_statistics(api):
    given = document()
    metric = {"key": "score", "type": "ratio", "role": "primary", "minimum_measured": 20}
    given["experiment"] |= {"metrics": [metric], "minimum_days": 0, "minimum_units": 20}
    weights = given.pop("arms") and {"control": 0.5, "b": 0.5}

    def stage(name, units, right):
        return {"name": name, "weights": weights, "arms": [
            {"key": key, "metrics": {"score": {
                "n": units, "numerator_sum": value, "numerator_sum_squares": value,
                "denominator_sum": units, "denominator_sum_squares": units,
                "numerator_denominator_sum_product": value}}}
            for key, value in zip(("control", "b"), right, strict=True)]}  # fmt: skip

    given["stages"] = [stage("0", 0, (0, 0)), stage("1", 100, (100, 0))]
    found = api("post", "experiments/analysis", given).json()
    assert found["verdict"] == "rollback", found["headline"]
    given["stages"] = [stage("1", 100, (100, 100))]
    found = api("post", "experiments/analysis", given).json()
    assert found["verdict"] == "inconclusive", found["headline"]
