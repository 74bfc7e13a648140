"""The endpoints of experiments and rollouts, end to end."""

from __future__ import annotations

import pytest

from learning import experiments
from learning.analysis import analyse
from tests.learning.domain.analysis.test_documents import document
from tests.learning.ground import SLUG, make_agent, meet

pytestmark = pytest.mark.django_db


def test_given_statistics_get_the_document_that_the_command_gives(api):
    answer = api("post", "experiments/analysis", document())
    assert answer.status_code == 200 and answer.json() == analyse(document())
    refused = api("post", "experiments/analysis", {"arms": []})
    assert refused.status_code == 422 and refused.json()["field"] == "experiment.metrics"
    assert api("get", "experiments/analysis").json()["title"] == "Experiment statistics"


def test_a_plan_is_made(api):
    question = {"metric": {"type": "proportion", "baseline": 0.8}, "effect": 0.05}
    assert api("post", "experiments/plan", question).json()["total_units"] > 1000


@pytest.mark.parametrize("kind", ["sequential", "group_sequential", "fixed"])
def test_the_test_that_a_plan_names_is_the_one_to_start_with(api, firm, kind):
    make_agent()
    question = {"metric": {"type": "proportion", "baseline": 0.8}, "effect": 0.05,
                "test": {"kind": kind, "looks": 5}}  # fmt: skip
    planned = api("post", "experiments/plan", question).json()
    body = {"agent": SLUG, "name": "as planned", "test": planned["test"],
            "variants": [{"version": "1"}, {"version": "2"}],
            "metrics": [{"key": "success", "role": "primary"}],
            "plan": {"planned_units": planned["treatment_units"]}}  # fmt: skip
    made = api("post", "experiments", body)
    assert made.status_code == 201, made.content


def test_an_experiment_lives_through_the_api(api, firm):
    agent, old, new = make_agent()
    body = {
        "agent": SLUG, "name": "better", "variants": [{"version": "1"}, {"version": "2"}],
        "metrics": [{"key": "success", "role": "primary"}], "plan": {"minimum_days": 0},
    }  # fmt: skip
    made = api("post", "experiments", body)
    assert made.status_code == 201, made.content
    path = f"experiments/{made.json()['id']}"
    assert api("post", f"{path}/start", {}, role="professional").status_code == 403
    assert api("post", f"{path}/start", {}).json()["state"] == "running"
    meet(agent, firm, units=1500, success={old.pk: 0.6, new.pk: 0.9})
    experiments.sweep()
    analysis = api("get", f"{path}/analysis").json()
    assert analysis["verdict"] == "ship" and analysis["headline"].startswith("Ship v2: success")
    for action, state in (("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        assert api("post", f"{path}/{action}", {"reason": "why"}).json()["state"] == state
    assert api("post", f"{path}/stop", {}).status_code == 409
    assert api("get", f"experiments?agent={SLUG}&state=stopped").json()["results"]


def test_a_rollout_lives_through_the_api(api, firm):
    make_agent()
    made = api("post", "rollouts", {"agent": SLUG, "version": "2", "strategy": "canary"})
    assert made.status_code == 201, made.content
    path = f"rollouts/{made.json()['id']}"
    assert [stage["share"] for stage in made.json()["stages"]] == [0.05, 0.1, 0.25, 0.5, 1.0]
    assert api("post", f"{path}/advance", {}).json()["stage"] == 1
    assert api("post", f"{path}/pause", {}).json()["state"] == "paused"
    assert api("post", f"{path}/rollback", {}).status_code == 422
    assert api("post", f"{path}/rollback", {"reason": "x"}).json()["state"] == "rolled_back"
    again = api("post", "rollouts", {"agent": SLUG, "version": "2"})
    assert again.status_code == 409 and again.json()["code"] == "barred"
    assert api("get", path).json()["state_reason"] == "x"


@pytest.mark.parametrize(
    "body",
    ['{"experiment": {"metrics": [{"key": "m", "type": "mean"}]}, "arms": NaN}', "[1e999]",
     '{"experiment": {"metrics": [{"key": "m", "type": "\\ud800"}]}, "arms": []}',
     '{"experiment": {"metrics": [{"key": "m", "type": "mean"}], "test": {"alpha": 1e999}},'
     ' "arms": {"a": {"n": 1, "sum": 1, "sum_squares": 1}, "b": {"n": 1, "sum": 1,'
     ' "sum_squares": 1}}}'],
)  # fmt: skip
@pytest.mark.parametrize("path", ["analysis", "plan"])
def test_what_is_no_number_and_no_text_is_refused_over_http(api, body, path):
    answer = api("post", f"experiments/{path}", body=None, raw=body)
    assert 400 <= answer.status_code < 500 and answer.json()["code"], answer.content
