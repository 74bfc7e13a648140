"""A version that answers worse goes back by its scores and ratings, whatever its own metric is."""

from __future__ import annotations

import pytest
from django.test import Client as Browser

from agents.models import Invocation
from learning import tasks
from learning.models import Feedback, Score
from tests.learning.ground import SLUG, make_agent, meet, said_of

pytestmark = pytest.mark.django_db
STAGES = [{"share": 0.5, "minimum_hours": 24, "minimum_units": 20}, {"share": 1}]


def begun(api, **more):
    given = {"agent": SLUG, "version": "2", "strategy": "custom", "stages": STAGES, **more}
    made = api("post", "rollouts", given)
    assert made.status_code == 201, made.content
    return f"rollouts/{made.json()['id']}"


def calls_of(agent, firm, old, new, units=160):
    meet(agent, firm, units=units, success={old.pk: 1.0, new.pk: 1.0})
    for version in (old, new):
        rows = Invocation.objects.filter(version_id=version.pk).exclude(split_epoch=None)
        yield list(rows.order_by("unit"))


def scored(api, calls, wrong):
    """Each call gets a score; so many of them are wrong."""
    values = {call: {"value": float(number >= wrong)} for number, call in enumerate(calls)}
    given = {"subject_kind": "invocation", "subject_id": str(calls[0].pk), "name": "accuracy",
             "source": "code", **values.pop(calls[0])}  # fmt: skip
    assert api("post", "scores", given).status_code == 201
    said_of(Score, calls[0], values)


def rated(api, calls, low):
    ratings = {call: {"rating": 1 if number < low else 5 - number % 2}
               for number, call in enumerate(calls)}  # fmt: skip
    given = {"subject_kind": "invocation", "subject_id": str(calls[0].pk), "kind": "rating",
             **ratings.pop(calls[0])}  # fmt: skip
    assert api("post", "feedback", given).status_code == 201
    said_of(Feedback, calls[0], ratings)


def shown(person, path):
    browser = Browser()
    browser.force_login(person("reviewer"))
    return browser.get(f"/dashboard/{path}").content.decode()


@pytest.mark.parametrize(
    ("say", "key", "name"),
    [
        (scored, "score:accuracy", "Accuracy score"),
        pytest.param(rated, "rating", "Rating", marks=pytest.mark.slow),
    ],
)
def test_what_answers_worse_than_its_control_goes_back(api, firm, person, say, key, name):
    agent, old, new = make_agent()
    path = begun(api)
    before, after = calls_of(agent, firm, old, new)
    say(api, before[:40], 2), say(api, after[:40], 24)
    tasks.sweep_comparisons()
    found = api("get", path).json()
    assert found["state"] == "rolled_back", found["headline"]
    assert "Guardrail failing" in found["headline"] and "treatment" in found["headline"]
    (metric,) = (one for one in found["analysis"]["metrics"] if one["key"] == key)
    assert metric["comparisons"][0]["guardrail"] == "breached"
    page = shown(person, path)
    assert "Guardrail failing" in page and name in page
    again = api("post", "rollouts", {"agent": SLUG, "version": "2", "strategy": "gradual"})
    assert again.status_code == 409  # its tombstone


def test_both_arms_that_answer_as_badly_stay_and_the_page_says_what_is_watched(api, firm, person):
    agent, old, new = make_agent()
    path = begun(api)
    before, after = calls_of(agent, firm, old, new)
    scored(api, before[:40], 18), scored(api, after[:40], 18)
    tasks.sweep_comparisons()
    assert api("get", path).json()["state"] == "running"
    assert "watched from 20 in each arm of a stage" in shown(person, path)  # of ratings


def test_too_few_scores_take_nothing_back_and_hold_nothing_up(api, firm):
    agent, old, new = make_agent()
    path = begun(
        api, stages=[{"share": 0.5, "minimum_hours": 0, "minimum_units": 20}, {"share": 1}]
    )
    before, after = calls_of(agent, firm, old, new)
    scored(api, before[:19], 0), scored(api, after[:19], 15)
    tasks.sweep_comparisons()
    found = api("get", path).json()
    assert (found["state"], found["stage"]) == ("running", 1)


def test_a_metric_of_ones_own_stands_in_the_place_of_what_is_watched(api, firm):
    make_agent()
    own = {"key": "score:accuracy", "role": "primary"}
    told = api("get", begun(api, metrics=[own])).json()
    assert [(one["key"], one["role"]) for one in told["metrics"]] == [
        ("score:accuracy", "primary"), ("rating", "guardrail"),
    ]  # fmt: skip


@pytest.mark.slow
def test_a_rating_that_is_only_told_of_beside_others_is_watched_all_the_same(api, firm):
    agent, old, new = make_agent()
    metrics = [{"key": "success", "role": "primary"}, {"key": "stars", "measure": "rating"}]
    path = begun(api, metrics=metrics)
    told = {one["key"]: one["role"] for one in api("get", path).json()["metrics"]}
    assert told == {"success": "primary", "stars": "guardrail", "score:accuracy": "guardrail"}
    before, after = calls_of(agent, firm, old, new)
    rated(api, before[:40], 2), rated(api, after[:40], 30)
    tasks.sweep_comparisons()
    assert api("get", path).json()["state"] == "rolled_back"
