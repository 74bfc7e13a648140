"""A judge is measured against people before its scores decide anything."""

from __future__ import annotations

import random

import pytest
from django.test import Client as Browser
from django.utils import timezone

from agents import versions
from agents.models import Agent
from learning import experiments, feedback
from learning.models import Example, Judge, Score
from monitoring.models import Measurement
from tests.learning.ground import SLUG, make_agent, meet

pytestmark = pytest.mark.django_db
NAME, VERSION = "helpful", "j1"


@pytest.fixture
def running(api, firm):
    """An experiment on the score that only a judge gives to all; its calls."""
    agent, old, new = make_agent()
    made = api("post", "experiments", {
        "agent": SLUG, "name": "n", "variants": [{"version": "1"}, {"version": "2"}],
        "metrics": [{"key": f"score:{NAME}", "role": "primary"}], "plan": {"minimum_days": 0},
    }).json()  # fmt: skip
    api("post", f"experiments/{made['id']}/start", {})
    rng = random.Random(4)

    def answer(call):
        call.output = {"text": "x" * rng.randrange(20, 400)}

    calls = meet(agent, firm, units=700, success={old.pk: 1.0, new.pk: 1.0}, each=answer)
    truth = {c.pk: float(rng.random() < (0.9 if c.version_id == new.pk else 0.4)) for c in calls}
    return f"experiments/{made['id']}", calls, truth


def judge(engineer, values, source="judge", version=VERSION):
    feedback.score_all(
        caller=engineer, name=NAME, source=source, values=values,
        source_version=version if source == "judge" else "",
    )  # fmt: skip


def compare(api, calls, winner):
    """Twelve pairs in both orders; ``winner(first, second)`` says which place wins."""
    for one, other in zip(calls[:12], calls[12:24], strict=True):
        for first, second in ((one, other), (other, one)):
            answer = api("post", "judges/preferences", {
                "name": NAME, "source_version": VERSION, "first_id": str(first.pk),
                "second_id": str(second.pk), "preferred": winner(first, second),
            })  # fmt: skip
            assert answer.status_code == 201, answer.content


def measured(api):
    return api("post", "judges/measure", {"name": NAME, "version": VERSION}).json()


def steadily(first, second):
    return "first" if first.pk < second.pk else "second"


def test_scores_of_a_judge_count_once_it_agrees_with_people_and_not_before(api, engineer, running):
    path, calls, truth = running
    judge(engineer, truth)
    experiments.sweep()
    before = api("get", f"{path}/analysis").json()
    assert before["metrics"][0]["arms"][0]["mean"] is None or before["verdict"] == "inconclusive"
    assert any("by the judge j1 are left out" in note for note in before["notes"])
    (row,) = api("get", "judges").json()["results"]
    assert (row["state"], row["faults"]) == ("barred", ["it was never measured"])
    judge(engineer, {call.pk: truth[call.pk] for call in calls[:80]}, source="human")
    compare(api, calls, steadily)
    told = measured(api)
    assert (told["state"], told["faults"]) == ("admitted", [])
    assert told["measured"]["agreement"]["kappa"] == 1.0
    experiments.sweep()
    after = api("get", f"{path}/analysis").json()
    assert after["verdict"] == "ship" and not any("judge" in note for note in after["notes"])


def test_the_page_shows_judges_with_what_bars_them_issues_and_examples_in_use(
    api, engineer, person, running, firm
):
    _, calls, truth = running
    judge(engineer, truth)
    measured(api)
    api("post", "feedback", {"subject_kind": "invocation", "subject_id": str(calls[0].pk),
                             "kind": "complaint", "text": "so slow"})  # fmt: skip
    agent = Agent.objects.get(slug=SLUG)
    example = {"input": "What is due?", "output": "19 %"}
    versions.publish(agent=agent, label="production",
                     content=versions.Content("Answer.", examples=[example]))  # fmt: skip
    for number, question in enumerate(("What is due?", "And then?")):
        Example.objects.create(
            client_id=firm.pk, agent_slug=SLUG, source="correction", question=question,
            answer="19 %", digest=str(number), state="approved", decided_at=timezone.now(),
        )  # fmt: skip
    browser = Browser()
    browser.force_login(person("reviewer"))
    page = browser.get("/dashboard/learning").content.decode()
    assert "0 labels of people; 30 are needed" in page and VERSION in page
    assert "Speed" in page and "1 in use, 2 collected" in page


def test_a_judge_that_disagrees_or_follows_order_or_length_is_barred_and_says_why(
    api, engineer, running
):
    _, calls, truth = running
    labelled = calls[:80]
    people = {call.pk: truth[call.pk] for call in labelled}
    judge(engineer, people, source="human")
    judge(engineer, truth)
    compare(api, calls, lambda first, second: "first")
    assert ["12 of 12 pairs follow the order" in fault for fault in measured(api)["faults"]] == [
        True
    ]  # fmt: skip
    long = {call.pk: float(len(call.output["text"]) > 200) for call in calls}
    judge(engineer, long)
    faults = measured(api)["faults"]
    assert any("kappa" in fault for fault in faults)
    assert any("favours longer answers" in fault for fault in faults)
    assert Judge.objects.get().state == "barred"


def test_a_judge_that_was_admitted_is_barred_again_when_it_drifts_from_people(
    api, engineer, running
):
    _, calls, truth = running
    judge(engineer, {call.pk: truth[call.pk] for call in calls[:80]}, source="human")
    judge(engineer, truth)
    compare(api, calls, steadily)
    assert measured(api)["state"] == "admitted"
    judge(engineer, {one: 1 - value for one, value in truth.items()})
    from learning import judging  # the daily cycle's piece

    judging.remeasure()
    assert api("get", "judges").json()["results"][0]["state"] == "barred"


def test_accuracy_by_a_judge_reaches_objectives_only_once_it_is_admitted(api, engineer, running):
    _, calls, _ = running
    body = {"subject_kind": "invocation", "subject_id": str(calls[0].pk), "name": "accuracy",
            "value": 0.1, "source": "judge", "source_version": "a1"}  # fmt: skip
    rows = Measurement.objects.filter(names__contains=["accuracy_ratio"])
    assert api("post", "scores", body).status_code == 201
    assert not rows.exists() and Score.objects.filter(name="accuracy").exists()
    api("post", "scores", {**body, "source": "code", "source_version": ""})
    assert rows.count() == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [({"preferred": "neither"}, 422), ({"second_id": None}, 422),
     ({"first_id": "0190a000-0000-7000-8000-00000000dead"}, 404)],
)  # fmt: skip
def test_a_preference_that_makes_no_sense_is_refused(api, running, change, status):
    _, calls, _ = running
    body = {"name": NAME, "source_version": VERSION, "first_id": str(calls[0].pk),
            "second_id": str(calls[1].pk), "preferred": "tie"}  # fmt: skip
    if change.get("second_id", "") is None:
        change = {"second_id": body["first_id"]}
    assert api("post", "judges/preferences", {**body, **change}).status_code == status
    assert api("post", "judges/preferences", body).status_code == 201
    assert api("post", "judges/preferences", body).status_code == 409
    assert api("post", "judges/measure", {"name": "nobody", "version": "0"}).status_code == 404
