"""The endpoints of experiments and rollouts, end to end."""

from __future__ import annotations

import pytest
from statsmodels.stats.power import NormalIndPower

from learning import experiments, improvements
from learning.analysis import analyse
from monitoring.models import AuditEntry
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


@pytest.mark.parametrize("effect", [0.06, -0.06])
def test_a_plan_of_the_units_there_are_names_the_smallest_effect_they_find(api, effect):
    asked = {"metric": {"type": "proportion", "baseline": 0.8}, "treatments": 2}
    needed = api("post", "experiments/plan", {**asked, "effect": effect, "effect_type": "absolute"})
    units = needed.json()["total_units"]
    found = api("post", "experiments/plan", {**asked, "total_units": units}).json()
    one = found["smallest_effect"]["rise" if effect > 0 else "fall"]
    assert one["absolute"] == pytest.approx(effect, rel=0.002)
    assert one["relative"] == pytest.approx(effect / 0.8, rel=0.002)
    assert f"{units} units in all find a rise of " in found["headline"]
    spelt = {**asked, "metric": {"type": "Binomial", "baseline": 0.8}, "total_units": units}
    assert api("post", "experiments/plan", spelt).json()["headline"] == found["headline"]
    few = api("post", "experiments/plan", {**asked, "total_units": 30}).json()
    assert few["smallest_effect"]["rise"] is None and "rise" not in few["headline"]
    both = api("post", "experiments/plan", {**asked, "total_units": units, "effect": 0.1})
    assert both.status_code == 422 and both.json()["field"] == "effect"


def test_a_mean_is_planned_in_its_own_scale(api):
    asked = {"metric": {"type": "mean", "baseline": 0.00002, "stddev": 0.00003}, "test": "fixed"}
    found = api("post", "experiments/plan", {**asked, "total_units": 4000}).json()
    rise, fall = found["smallest_effect"].values()
    size = NormalIndPower().solve_power(nobs1=2000, alpha=0.05, power=0.8)  # in deviations
    assert rise["absolute"] == -fall["absolute"] == pytest.approx(size * 0.00003, rel=0.001)
    again = api("post", "experiments/plan", {**asked, "effect": rise["relative"]}).json()
    assert again["total_units"] == pytest.approx(4000, abs=2)


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


def body_of(**changes):
    return {"agent": SLUG, "name": "x", "variants": [{"version": "1"}, {"version": "2"}], **changes}


@pytest.mark.parametrize(
    "changes, field, said",
    [
        ({"metrics": [{"key": "score:not a name!"}]}, "metrics[0].key", "score:<name>"),
        ({"autoconlude": True}, "autoconlude", "No such field"),
        ({"variants": [{"version": "1", "share": 1}, {"version": "2"}]}, "variants.0.share",
         "No such field"),
        ({"metrics": [{"key": "success", "cuped_days": 3}]}, "unit", "got 'run'; user"),
        ({"rollout_plan": {"strategy": "gradual", "stages": [{"share": 1}]}}, "stages",
         "only a custom rollout names its stages"),
    ],
)  # fmt: skip
def test_a_slip_in_a_draft_is_named_and_nothing_is_stored(api, firm, changes, field, said):
    make_agent()
    answer = api("post", "experiments", body_of(**changes))
    assert answer.status_code == 422, answer.content
    assert answer.json()["field"] == field and said in answer.json()["detail"]
    assert api("get", "experiments").json()["results"] == []


def test_an_improvement_that_is_named_has_to_be_there_and_of_the_agent(api, firm):
    _, _, new = make_agent()
    make_agent(slug="tax-eu-001")
    row, _ = improvements.propose(
        client_id=firm.pk, agent_slug="tax-eu-001", kind="prompt", title="x", proposal={"a": 1},
        evidence={}, impact=1, confidence=1,
    )  # fmt: skip
    assert api("post", "experiments", body_of(improvement_id=str(new.pk))).status_code == 404
    rollout = {"agent": SLUG, "version": "2", "improvement_id": str(row.pk)}
    for path, body in (("experiments", body_of(improvement_id=str(row.pk))), ("rollouts", rollout)):
        answer = api("post", path, body)
        assert answer.status_code == 422 and answer.json()["field"] == "improvement_id"
        assert "not tax-eu-001" in answer.json()["detail"]


def test_stages_beside_a_shipped_strategy_are_refused_instead_of_dropped(api, firm):
    make_agent()
    given = {"agent": SLUG, "version": "2", "strategy": "gradual", "stages": [{"share": 1}]}
    answer = api("post", "rollouts", given)
    assert answer.status_code == 422 and answer.json()["field"] == "stages"
    assert api("get", "rollouts?state=funny").json()["field"] == "state"


def test_a_draft_can_be_discarded_and_what_was_started_can_not(api, firm):
    make_agent()
    one, two = (f"experiments/{api('post', 'experiments', body_of()).json()['id']}" for _ in "12")
    refused = api("post", f"{one}/stop", {})
    assert refused.status_code == 409 and "needs running or paused" in refused.json()["detail"]
    assert api("delete", one, role="professional").status_code == 403
    assert api("delete", one).status_code == 204 and api("get", one).status_code == 404
    assert AuditEntry.objects.filter(action="learning.experiment.discarded").exists()
    assert api("post", f"{two}/start", {}).status_code == 200
    refused = api("delete", two)
    assert refused.status_code == 409 and "is running; this needs draft" in refused.json()["detail"]
    assert api("get", two).json()["state"] == "running"
    stopped = api("post", f"{two}/stop", {"reason": "drafted by mistake"}).json()
    assert (stopped["state"], stopped["says"]) == ("stopped", "Ended before its first look.")


def test_an_experiment_lives_through_the_api(api, firm):
    agent, old, new = make_agent()
    body = {
        "agent": SLUG, "name": "better", "variants": [{"version": "1"}, {"version": "2"}],
        "metrics": [{"key": "success", "role": "primary"}], "plan": {"minimum_days": 0},
    }  # fmt: skip
    made = api("post", "experiments", body)
    assert made.status_code == 201 and made.json()["says"] == "Not started yet.", made.content
    path = f"experiments/{made.json()['id']}"
    assert api("post", f"{path}/start", {}, role="professional").status_code == 403
    begun = api("post", f"{path}/start", {}).json()
    assert (begun["state"], begun["says"]) == ("running", "Not looked at yet.")
    meet(agent, firm, units=1500, success={old.pk: 0.6, new.pk: 0.9})
    experiments.sweep()
    analysis = api("get", f"{path}/analysis").json()
    assert analysis["verdict"] == "ship" and analysis["headline"].startswith("Ship v2: success")
    assert api("get", path).json()["says"] == analysis["headline"]
    for action, state in (("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        assert api("post", f"{path}/{action}", {"reason": "why"}).json()["state"] == state
    assert api("post", f"{path}/stop", {}).status_code == 409
    assert api("get", f"experiments?agent={SLUG}&state=stopped").json()["results"]


@pytest.mark.parametrize(
    ("path", "said"),
    [("improvements?state=open", "one of proposed, approved"), ("rollouts?state=open", "paused"),
     ("experiments?state=open", "running"), ("examples?state=new", "one of proposed, approved"),
     ("tuning-jobs?state=done", "succeeded"), ("cycles?cadence=yearly", "monthly"),
     ("patterns?kind=praise", "complaint")],
)  # fmt: skip
def test_a_list_of_what_there_is_not_is_refused_instead_of_empty(api, firm, path, said):
    refused = api("get", path)
    assert refused.status_code == 422 and said in refused.json()["detail"]
    name, _, _ = path.partition("=")
    assert api("get", name.partition("?")[0]).status_code == 200


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
    assert "lifts that in the admin, under tombstones" in again.json()["detail"]
    told = api("get", path).json()
    assert (told["state_reason"], told["says"]) == (
        "x", "Taken back at stage 2 of 5, 10 % of all units: x",
    )  # fmt: skip


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
