"""Quantiles and CUPED on live traffic, from the draft over HTTP to the verdict."""

from __future__ import annotations

import random
from datetime import timedelta
from uuid import UUID

import numpy as np
import pytest
from django.test import Client as Browser
from django.utils import timezone

from agents.domain import traffic
from agents.models import Invocation, TrafficSplit
from learning import experiments, metric_rows, rollouts
from learning.domain import quantiles
from learning.models import Experiment, Rollout, Score
from tests.learning.ground import SLUG, make_agent, meet
from tests.rows import insert

pytestmark = pytest.mark.django_db


def begun(api, metrics, **more):
    made = api("post", "experiments", {
        "agent": SLUG, "name": "n", "variants": [{"key": "a", "version": "1"},
                                                 {"key": "b", "version": "2"}],
        "metrics": metrics, "plan": {"minimum_days": 0}, **more,
    })  # fmt: skip
    assert made.status_code == 201, made.content
    path = f"experiments/{made.json()['id']}"
    assert api("post", f"{path}/start", {}).status_code == 200
    return path


def test_the_effect_of_a_percentile_is_drawn_over_time(api, firm, person):
    agent, old, new = make_agent()
    path = begun(api, [{"key": "p90", "measure": "seconds", "quantile": 0.9, "role": "primary"}])
    began = timezone.now() - timedelta(days=29)
    Experiment.objects.update(started_at=began)
    meet(agent, firm, units=580, success={old.pk: 1.0, new.pk: 1.0}, started=began, days=29)
    experiments.sweep()
    told = api("get", f"{path}/analysis").json()
    days = [point["period"] for point in told["path"]]
    assert days == sorted(days) and 8 <= len(days) <= 12
    assert days[-1] == (began + timedelta(days=28)).date().isoformat()
    last = told["metrics"][0]["comparisons"][0]
    assert told["path"][-1]["effect"]["estimate"] == pytest.approx(last["estimate"])
    browser = Browser()
    browser.force_login(person("reviewer"))
    assert "vector-effect" in browser.get(f"/dashboard/{path}").content.decode()


def test_a_guardrail_metric_that_is_a_percentile_has_a_path_and_leaves_the_primary_its_own(
    api, firm
):
    agent, old, new = make_agent()
    path = begun(api, [
        {"key": "success", "role": "primary"},
        {"key": "p90", "measure": "seconds", "quantile": 0.9, "role": "guardrail", "margin": 0.2},
    ])  # fmt: skip
    began = timezone.now() - timedelta(days=5)
    Experiment.objects.update(started_at=began)
    meet(agent, firm, units=900, success={old.pk: 0.8, new.pk: 0.8}, started=began, days=5)
    experiments.sweep()
    told = api("get", f"{path}/analysis").json()
    assert len(told["path"]) == 5
    primary, guard = (metric["comparisons"][0] for metric in told["metrics"])
    last = told["path"][-1]
    assert last["read"] == primary["read"] and last["guardrails"][0]["read"] == guard["read"]
    assert guard["read"]["margin"] == 0.2


@pytest.mark.parametrize(("factor", "verdict"), [(2.5, "rollback"), (1.0, "inconclusive")])
def test_a_percentile_of_live_units_decides(api, firm, person, factor, verdict):
    agent, old, new = make_agent()
    path = begun(api, [{"key": "p90", "measure": "seconds", "quantile": 0.9, "role": "primary"},
                       {"key": "seconds", "role": "secondary"}])  # fmt: skip
    rng = random.Random(5)

    def take_time(call):
        call.duration_seconds = rng.expovariate(1) * (factor if call.version_id == new.pk else 1)

    success = {old.pk: 1.0, new.pk: 1.0}
    calls = meet(agent, firm, units=900, success=success, each=take_time)
    experiments.sweep()
    found = api("get", f"{path}/analysis").json()
    assert found["verdict"] == verdict
    shown = found["metrics"][0]
    assert (shown["key"], shown["type"]) == ("p90", "quantile")
    for arm, version in zip(shown["arms"], (old, new), strict=True):
        exact = [c.duration_seconds for c in calls if c.version_id == version.pk]
        assert arm["mean"] == pytest.approx(np.quantile(exact, 0.9), rel=0.02)
        assert arm["n"] == len(exact)
    browser = Browser()
    browser.force_login(person("reviewer"))
    page = browser.get(f"/dashboard/{path}")
    assert page.status_code == 200 and b"p90" in page.content.lower()


def test_rounding_of_a_sketch_is_never_taken_for_a_difference():
    level = quantiles.read([quantiles.packed([10.0] * 5000)], 0.9)
    assert level["upper"] - level["lower"] >= 0.039 * level["value"]
    assert quantiles.read([], 0.5) == quantiles.NOTHING


def test_what_users_had_before_sharpens_what_they_have_now(api, firm):
    """CUPED: each user's cost of two weeks before takes away what differs between users."""
    agent, _, _ = make_agent()
    started, rng = timezone.now(), random.Random(2)
    usual = {UUID(int=rng.getrandbits(128)): rng.expovariate(1) for _ in range(500)}

    def calls(at, cost, split=None):
        rows = []
        for number, user in enumerate(usual):
            bucket = traffic.bucket_of(split.seed, str(user)) if split else None
            arm = traffic.arm_of(split.arms, bucket) if split else None
            rows.append(Invocation(
                client_id=firm.pk, agent_id=agent.pk, agent_slug=SLUG, version_number=1,
                version_id=UUID(arm) if arm else agent.versions.first().pk, user_id=user,
                split_id=split and split.pk, split_epoch=split and split.epoch,
                unit=str(user) if split else "", bucket=bucket, state="succeeded",
                cost_usd=f"{cost(user):.6f}", duration_seconds=1,
                started_at=at + timedelta(microseconds=number),
            ))  # fmt: skip
        insert(rows)

    calls(started - timedelta(days=3), lambda user: usual[user])
    metrics = [{"key": "cost_usd", "role": "primary", "cuped_days": 14},
               {"key": "plain", "measure": "cost_usd", "role": "secondary"}]  # fmt: skip
    path = begun(api, metrics, unit="user")
    split = TrafficSplit.objects.get(closed_at=None)
    calls(timezone.now(), lambda user: max(usual[user] + rng.gauss(0, 0.1), 0), split)
    experiments.sweep()
    found = api("get", f"{path}/analysis").json()
    sharp, plain = (m["comparisons"][0]["absolute"] for m in found["metrics"])
    assert sharp["standard_error"] < 0.2 * plain["standard_error"]
    assert sharp["lower"] < 0 < sharp["upper"] and found["verdict"] == "inconclusive"
    notes = [m["comparisons"][0]["note"] for m in found["metrics"]]
    assert notes[0].startswith("less what each unit had before the start (CUPED), which explains 9")
    assert "CUPED" not in notes[1]  # nothing is taken off there


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [("cost_usd", 0.0002217, "$0.000222"), ("latency_seconds", 0.0474, "47.4 ms"),
     ("input_tokens", 1234.1, "1,234"), ("errors", 0.021, "2.1 %"), ("input_text", None, "–")],
)  # fmt: skip
def test_what_has_drifted_is_shown_in_its_unit(metric, value, said):
    """A cost per call was shown as 0.000 before and 0.000 now."""
    assert metric_rows.of_drift(metric, value) == said


def test_units_without_a_past_are_said_to_sharpen_nothing(api):
    """Else an effect looks adjusted that is not, such as of users whom callers name themselves."""
    arm = {"units": 50, "weight": 0.5}
    metrics = [{"key": "m", "type": "mean", "role": "primary"}]
    sums = {"n": 50, "sum": 50, "sum_squares": 90, "covariate_sum": 0, "covariate_sum_squares": 0,
            "covariate_sum_product": 0}  # fmt: skip
    answer = api("post", "experiments/analysis", {
        "experiment": {"control": "a", "metrics": metrics},
        "arms": [{**arm, "key": key, "metrics": {"m": sums}} for key in "ab"],
    })  # fmt: skip
    note = answer.json()["metrics"][0]["comparisons"][0]["note"]
    assert note == "no unit's past differs, so nothing is taken off for it (CUPED)"


def test_a_percentile_is_not_looked_at_by_planned_looks(api):
    """Without days each sweep would be a first look that spends the whole error again."""
    make_agent()
    slow = {"key": "p90", "measure": "seconds", "quantile": 0.9, "role": "secondary"}
    metrics = [{"key": "success", "role": "primary"}, slow]
    looks = {"kind": "group_sequential"}
    variants = [{"version": "1"}, {"version": "2"}]
    given = {"agent": SLUG, "name": "n", "variants": variants, "metrics": metrics, "test": looks,
             "plan": {"planned_units": 1000}}  # fmt: skip
    refused = api("post", "experiments", given)
    assert (refused.status_code, refused.json()["field"]) == (422, "metrics[1].quantile")
    assert not Experiment.objects.exists()
    for kind in ("sequential", "fixed"):
        made = api("post", "experiments", {**given, "test": {"kind": kind}})
        assert made.status_code == 201, made.content
    assert api("post", "experiments", {**given, "metrics": metrics[:1]}).status_code == 201
    for shown in (metrics, metrics[:1]):
        begun = {"agent": SLUG, "version": "2", "metrics": shown, "test": looks}
        answer = api("post", "rollouts", begun)
        assert (answer.status_code, answer.json()["field"]) == (422, "test.kind")
    assert not Rollout.objects.exists()


@pytest.mark.parametrize(
    ("metric", "more", "field"),
    [
        ({"key": "success", "quantile": 0.5}, {}, "metrics[0].quantile"),
        ({"key": "p", "measure": "rating"}, {}, None),
        ({"key": "p", "measure": "mood"}, {}, "metrics[0].measure"),
        ({"key": "seconds", "quantile": 1.5}, {}, "metrics[0].quantile"),
        ({"key": "seconds", "quantile": "high"}, {}, "metrics[0].quantile"),
        ({"key": "cost_usd", "cap": "high"}, {}, "metrics[0].cap"),
        ({"key": "success", "cap": 0.5}, {}, "metrics[0].cap"),
        ({"key": "success", "cap_percentile": 0.9}, {}, "metrics[0].cap_percentile"),
        ({"key": "cost_usd", "cap_percentile": 1}, {}, "metrics[0].cap_percentile"),
        ({"key": "cost_usd", "cap_percentile": 0.9, "cap": 2}, {}, "metrics[0].cap_percentile"),
        (
            {"key": "success"},
            {"test": {"kind": "bandit"}, "plan": {"minimum_days": "x"}},
            "plan.minimum_days",
        ),
        ({"key": "success"}, {"test": {"kind": "bandit"}, "plan": {"minimum_days": None}}, None),
        (
            {"key": "success"},
            {"variants": [{"version": "1", "weight": 1e308}, {"version": "2"}]},
            "variants",
        ),
        ({"key": "cost_usd", "cuped_days": 14}, {}, "unit"),
        ({"key": "cost_usd", "cuped_days": 0}, {"unit": "user"}, "metrics[0].cuped_days"),
        ({"key": "rating", "cuped_days": 7}, {"unit": "user"}, "metrics[0].cuped_days"),
    ],
)
def test_metrics_that_make_no_sense_live_are_refused(api, firm, metric, more, field):
    make_agent()
    answer = api("post", "experiments", {
        "agent": SLUG, "name": "n", "variants": [{"version": "1"}, {"version": "2"}],
        "metrics": [{**metric, "role": "primary"}], **more,
    })  # fmt: skip
    if field is None:
        assert answer.status_code == 201
    else:
        assert (answer.status_code, answer.json()["field"].partition(".0.")[0]) == (422, field)
    refused = api("post", "rollouts", {
        "agent": SLUG, "version": "2",
        "metrics": [{"key": "cost_usd", "cuped_days": 7, "role": "primary"}],
    })  # fmt: skip
    assert refused.status_code == 422


def test_an_experiment_in_which_nothing_ever_fails_ends_at_its_planned_size(api, firm):
    agent, old, new = make_agent()
    path = begun(api, [{"key": "success", "role": "primary"}], autoconclude=True,
                 plan={"minimum_days": 0, "planned_units": 150})  # fmt: skip
    meet(agent, firm, units=400, success={old.pk: 1.0, new.pk: 1.0})
    experiments.sweep()
    found = api("get", path).json()
    assert found["state"] == "concluded"
    assert found["headline"] == "No difference was shown at the planned size: keep the control."


def test_a_guardrail_score_that_nobody_gave_ships_nothing(api, firm):
    agent, old, new = make_agent()
    path = begun(api, [{"key": "success", "role": "primary"},
                       {"key": "score:safety", "role": "guardrail", "margin": 0.05}],
                 autoconclude=True)  # fmt: skip
    meet(agent, firm, units=1200, success={old.pk: 0.5, new.pk: 0.9})
    experiments.sweep()
    found = api("get", path).json()
    assert (found["state"], found["verdict"]) == ("running", "inconclusive")
    assert "but safety is not yet shown to hold" in found["headline"]


def test_a_stage_of_which_nothing_was_measured_is_held_for_a_person(api, firm):
    """Calls came, but whoever should have graded them did not."""
    agent, old, new = make_agent()
    stages = [{"share": share, "minimum_hours": 0, "minimum_units": 20} for share in (0.5, 1)]
    made = api("post", "rollouts", {
        "agent": SLUG, "version": "2", "strategy": "custom", "stages": stages,
        "metrics": [{"key": "score:quality", "role": "primary"}],
    })  # fmt: skip
    meet(agent, firm, units=300, success={old.pk: 1.0, new.pk: 1.0})
    path = f"rollouts/{made.json()['id']}"
    rollouts.sweep()
    assert api("get", path).json()["state"] == "running"
    rollouts.sweep(timezone.now() + timedelta(hours=25))
    found = api("get", path).json()
    assert (found["state"], found["stage"]) == ("paused", 0)
    assert "nothing was measured of score:quality" in found["state_reason"]


def graded(calls, firm):
    insert(
        Score(client_id=firm.pk, subject_kind="invocation", subject_id=call.pk, agent_slug=SLUG,
              version_id=call.version_id, unit=call.unit, split_epoch=call.split_epoch,
              name="quality", value=0.6 + number % 5 / 10, source="human")
        for number, call in enumerate(calls)
    )  # fmt: skip


@pytest.mark.parametrize(("is_graded", "reached"), [(True, 2), (False, 1)])
def test_a_stage_that_a_person_let_pass_unmeasured_holds_no_later_one(
    api, firm, is_graded, reached
):
    """What was graded since is read; a later stage that nobody graded is held as the first was."""
    agent, old, new = make_agent()
    stages = [{"share": share, "minimum_hours": 0, "minimum_units": 20} for share in (0.25, 0.5, 1)]
    made = api("post", "rollouts", {
        "agent": SLUG, "version": "2", "strategy": "custom", "stages": stages,
        "metrics": [{"key": "score:quality", "role": "primary"}],
    })  # fmt: skip
    path = f"rollouts/{made.json()['id']}"
    always = {old.pk: 1.0, new.pk: 1.0}
    meet(agent, firm, units=300, success=always)
    rollouts.sweep(timezone.now() + timedelta(hours=25))
    assert api("get", path).json()["state"] == "paused"
    assert api("post", f"{path}/advance", {}).status_code == 200
    calls = meet(agent, firm, units=300, success=always, seed=2)
    if is_graded:
        graded([one for one in calls if one.unit], firm)
    rollouts.sweep(timezone.now() + timedelta(hours=25))
    found = api("get", path).json()
    assert (found["state"], found["stage"]) == ("running" if is_graded else "paused", reached)
    if is_graded:
        (shown,) = (one for one in found["analysis"]["metrics"] if one["role"] == "primary")
        assert shown["comparisons"][0]["estimate"] is not None


def test_one_unit_beyond_the_percentile_of_both_arms_does_not_decide(api, firm):
    agent, old, new = make_agent()
    made = api("post", "experiments", {
        "agent": SLUG, "name": "n", "variants": [{"version": "1"}, {"version": "2"}],
        "plan": {"minimum_days": 0}, "metrics": [
            {"key": "success", "role": "primary"},
            {"key": "cost_usd_per_call", "role": "guardrail", "margin": 0.2},
            {"key": "held", "measure": "cost_usd_per_call", "cap_percentile": 0.99},
            {"key": "total", "measure": "cost_usd", "cap_percentile": 0.99},
        ],
    })  # fmt: skip
    assert made.status_code == 201, made.content
    path = f"experiments/{made.json()['id']}"
    assert api("post", f"{path}/start", {}).status_code == 200
    rows = meet(agent, firm, units=600, success={old.pk: 0.8, new.pk: 0.8})
    dear = next(row.pk for row in rows if row.version_id == new.pk)
    Invocation.objects.filter(pk=dear).update(cost_usd="900")
    experiments.sweep()
    found = {m["key"]: m for m in api("get", f"{path}/analysis").json()["metrics"]}
    means = {key: max(arm["mean"] for arm in metric["arms"]) for key, metric in found.items()}
    assert means["cost_usd_per_call"] > 1
    assert means["held"] == pytest.approx(0.01) and means["total"] == pytest.approx(0.01)


def test_the_correction_over_secondary_metrics_is_the_one_that_was_asked_for(api, firm):
    agent, old, new = make_agent()
    keys = ("success", "calls", "seconds", "cost_usd")
    metrics = [{"key": key, "role": "primary" if key == "success" else "secondary"} for key in keys]
    found = {}
    for kind in ("holm", "benjamini_hochberg"):
        body = {"agent": SLUG, "name": kind, "variants": [{"version": "1"}, {"version": "2"}],
                "metrics": metrics, "plan": {"minimum_days": 0}, "correction": kind}  # fmt: skip
        made = api("post", "experiments", body)
        assert made.status_code == 201, made.content
        path = f"experiments/{made.json()['id']}"
        assert api("post", f"{path}/start", {}).status_code == 200
        meet(agent, firm, units=300, success={old.pk: 0.7, new.pk: 0.75})
        experiments.sweep()
        analysis = api("get", f"{path}/analysis").json()
        found[kind] = analysis["test"]["correction"]
        api("post", f"{path}/stop", {})
    assert found == {"holm": "holm", "benjamini_hochberg": "benjamini_hochberg"}
    assert api("post", "experiments", {**body, "correction": "bonferroni"}).status_code == 422
