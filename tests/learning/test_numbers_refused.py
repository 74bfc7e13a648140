"""Numbers that would silently count for something else are refused, with the field, by HTTP."""

from __future__ import annotations

import importlib
import json

import pytest
from django.apps import apps

from learning.models import Experiment, Rollout, TrialPolicy
from tests.learning.domain.analysis.test_documents import document
from tests.learning.ground import SLUG, make_agent

pytestmark = pytest.mark.django_db
MARGINS = [-0.2, "0.2", True, "nan", [0.2], 1e70]
GUARD = {"key": "seconds_per_call", "role": "guardrail"}


def refused(answer, field):
    assert answer.status_code == 422, answer.content[:300]
    found = answer.json()
    assert field in found.get("field", ""), found
    return found


def an_experiment(**changes):
    _, _, new = make_agent()
    return {"agent": SLUG, "name": "x", "variants": [
        {"key": "control", "version": "1", "is_control": True},
        {"key": "candidate", "version": str(new.pk), **changes.pop("variant", {})},
    ], **changes}  # fmt: skip


@pytest.mark.parametrize("margin", MARGINS)
def test_a_margin_has_no_sign_wherever_one_is_given(api, margin):
    metrics = [{"key": "success", "role": "primary"}, {**GUARD, "margin": margin}]
    found = refused(api("post", "experiments", an_experiment(metrics=metrics)), "margin")
    rollout = {"agent": SLUG, "version": "2", "metrics": metrics, "override": True, "reason": "x"}
    refused(api("post", "rollouts", rollout), "margin")
    assert not Experiment.objects.exists() and not Rollout.objects.exists()
    if margin == -0.2:
        assert "-0.2" in found["detail"] and "by how much it may get worse" in found["detail"]


def test_a_margin_has_no_sign_in_statistics_that_are_given(api):
    given = document()
    one = given["experiment"]["metrics"][0]
    given["experiment"]["metrics"] = [{**one, "margin": -0.02, "margin_type": "absolute"}]
    found = refused(api("post", "experiments/analysis", given), "experiment.metrics[0].margin")
    assert "-0.02" in found["detail"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"coverage_ratio": True}, "coverage_ratio"),
        ({"coverage_ratio": "nan"}, "coverage_ratio"),
        ({"coverage_ratio": -0.5}, "coverage_ratio"),
        ({"coverage_ratio": 1.5}, "coverage_ratio"),
        ({"maturity_hours": "nan"}, "maturity_hours"),
        ({"maturity_hours": "inf"}, "maturity_hours"),
        ({"maturity_hours": True}, "maturity_hours"),
        ({"maturity_hours": -1}, "maturity_hours"),
        ({"variant": {"weight": "nan"}}, "weight"),
        ({"variant": {"weight": True}}, "weight"),
        ({"variant": {"weight": -1}}, "weight"),
        ({"test": {"kind": "bandit"}, "batch_hours": True}, "batch_hours"),
        ({"test": {"kind": "bandit"}, "batch_hours": "nan"}, "batch_hours"),
        ({"test": {"kind": "sequential", "alpha": 0}}, "alpha"),
        ({"test": {"kind": "sequential", "alpha": 1}}, "alpha"),
        ({"test": {"kind": "sequential", "alpha": True}}, "alpha"),
        ({"test": {"kind": "sequential", "alpha": -0.05}}, "alpha"),
        ({"test": {"kind": "sequential", "tuning": True}}, "tuning"),
        ({"plan": {"minimum_days": -1}}, "minimum_days"),
        ({"plan": {"minimum_days": True}}, "minimum_days"),
        ({"plan": {"planned_days": "nan"}}, "planned_days"),
        ({"plan": {"minimum_units": True}}, "minimum_units"),
        ({"plan": {"minimum_units": 10.5}}, "minimum_units"),
        ({"plan": {"planned_units": -10}}, "planned_units"),
        ({"metrics": [{"key": "seconds", "cap": True}]}, "cap"),
        ({"metrics": [{"key": "seconds", "cap": -1}]}, "cap"),
        ({"metrics": [{"key": "seconds", "quantile": 1.5}]}, "quantile"),
        ({"rollout_plan": {"strategy": "custom", "stages": [{"share": True}]}}, "share"),
    ],
)  # fmt: skip
def test_an_experiment_with_a_number_that_is_none_is_refused(api, changes, field):
    refused(api("post", "experiments", an_experiment(**changes)), field)
    assert not Experiment.objects.exists()


@pytest.mark.parametrize(
    ("stage", "field"),
    [
        ({"share": -0.1}, "share"), ({"share": 1.5}, "share"), ({"share": True}, "share"),
        ({"share": "nan"}, "share"), ({"minimum_hours": -1}, "minimum_hours"),
        ({"minimum_hours": True}, "minimum_hours"), ({"minimum_units": -1}, "minimum_units"),
        ({"minimum_units": True}, "minimum_units"), ({"minimum_units": 2.5}, "minimum_units"),
        ({"gate": 1}, "gate"),
    ],
)  # fmt: skip
def test_a_rollout_with_a_number_that_is_none_is_refused(api, stage, field):
    make_agent()
    stages = [{"share": 0.1, **stage}, {"share": 1}]
    given = {"agent": SLUG, "version": "2", "strategy": "custom", "stages": stages,
             "override": True, "reason": "x"}  # fmt: skip
    refused(api("post", "rollouts", given), field)
    assert not Rollout.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"alpha": 0}, "alpha"), ({"alpha": 1}, "alpha"), ({"alpha": True}, "alpha"),
        ({"power": 1}, "power"), ({"power": True}, "power"), ({"treated_share": 1.2}, "treated"),
        ({"treated_share": -0.1}, "treated"), ({"treated_share": True}, "treated"),
        ({"units_per_day": -5}, "units_per_day"), ({"minimum_days": -3}, "minimum_days"),
        ({"minimum_days": 1e9, "units_per_day": 5}, "minimum_days"),
        ({"treatments": True}, "treatments"), ({"effect": True}, "effect"),
        ({"effect": "nan"}, "effect"), ({"minimum_units": -5}, "minimum_units"),
        ({"metric": {"type": "proportion", "baseline": True}}, "baseline"),
        ({"metric": {"type": "proportion", "baseline": -0.2}}, "metric"),
        ({"metric": {"type": "proportion", "baseline": 1.2}}, "metric"),
        ({"metric": {"type": "mean", "baseline": 5, "stddev": -2}}, "stddev"),
    ],
)  # fmt: skip
def test_a_plan_with_a_number_that_is_none_is_refused(api, changes, field):
    given = {"metric": {"type": "proportion", "baseline": 0.5}, "effect": 0.1, **changes}
    refused(api("post", "experiments/plan", given), field)


@pytest.mark.parametrize(
    ("path", "given", "field"),
    [
        ("holdouts", {"share_ratio": True}, "share_ratio"),
        ("holdouts", {"share_ratio": "nan"}, "share_ratio"),
        ("rollouts/drills", {"seconds": "nan"}, "seconds"),
        ("rollouts/drills", {"seconds": True}, "seconds"),
        (
            "scores",
            {
                "subject_kind": "run",
                "subject_id": "0190a000-0000-7000-8000-000000000001",
                "name": "accuracy",
                "value": True,
                "source": "code",
            },
            "value",
        ),
    ],
)
def test_neighbours_refuse_the_same(api, path, given, field):
    refused(api("post", path, given), field)


def test_what_was_stored_with_a_negative_margin_counts_as_it_did(firm):
    metrics = [{"key": "success", "role": "primary"}, {**GUARD, "margin": -0.2}]
    Experiment.objects.create(client_id=firm.pk, agent_slug=SLUG, name="x", metrics=metrics)
    TrialPolicy.objects.create(metrics=metrics, effect=0.1, baseline=0.5)
    migration = importlib.import_module("learning.migrations.0033_margins_have_no_sign")
    migration.take_signs(apps, None)
    for row in (Experiment.objects.get(), TrialPolicy.objects.get()):
        assert json.loads(json.dumps(row.metrics))[1]["margin"] == 0.2
        assert row.metrics[0] == metrics[0]
