"""A judge of Ratchet's own: asked once about what people labelled, in both orders, and measured."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from django.test import Client as Browser
from django.utils import timezone

from agents import evidence, versions
from agents.errors import BudgetExceeded
from agents.models import Budget, Invocation
from config.access.models import Client
from config.errors import NotFound
from config.schedules import SCHEDULE
from learning import judge_asking, live_judging, replay, tasks
from learning.domain import replaying
from learning.models import Judge, Preference, Score
from tests.agents.conftest import make_key
from tests.workflows.http import post

# A model is asked between two writes, and holds no transaction.
pytestmark = pytest.mark.django_db(transaction=True)
CRITERION = "Every figure that the tools give is stated with its label."


@pytest.fixture
def labelled(agent, api):
    """Three answers that a person scored, one of them corrected."""
    ids = []
    for case in agent.cases[:3]:
        body = {"inputs": case["input"]}
        made = api("post", f"/api/v1/agents/{agent.slug}/invocations", body).json()
        ids.append(made["id"])
        about = {"subject_kind": "invocation", "subject_id": made["id"]}
        scored = {**about, "name": "labelled", "value": 1, "source": "human"}
        assert api("post", "/api/v1/scores", scored).status_code == 201
    corrected = {"subject_kind": "invocation", "subject_id": ids[0], "kind": "correction",
                 "corrected_output": "The difference is 0.00 EUR.", "text": "say it"}  # fmt: skip
    assert api("post", "/api/v1/feedback", corrected).status_code == 201
    return ids


@pytest.fixture
def sent(monkeypatch):
    """Messages that go out."""
    found = []
    monkeypatch.setattr(judge_asking.current_app, "send_task", lambda *a, **k: found.append(a))
    return found


def test_it_grades_labelled_answers_and_compares_corrections_once_and_is_measured(
    labelled, api, firm, sent
):
    body = {"name": "labelled", "criterion": CRITERION, "cap_usd": "0.5"}
    answer = api("post", "/api/v1/judges", body)
    assert answer.status_code == 202, answer.content
    ((name, arguments),) = sent
    assert name == "learning.ask_judge"
    tasks.ask_judge(*arguments)
    row = Judge.objects.get()
    scores = Score.objects.filter(source="judge", source_version=row.version)
    assert {str(one.subject_id) for one in scores} == set(labelled)
    # A model's reason may quote the answer: it stays in the record of its call.
    calls = {f"said in the call {one.pk}" for one in Invocation.objects.all()
             if one.agent_slug.startswith("ratchet-judge")}  # fmt: skip
    said = {*scores.values_list("reason", flat=True),
            *Preference.objects.values_list("reason", flat=True)}  # fmt: skip
    assert said == calls
    orders = set(Preference.objects.values_list("first_id", "second_id"))
    assert len(orders) == 2 and {(b, a) for a, b in orders} == orders
    # The offline model judges nothing, three labels say little, and that is what is said.
    assert row.state == "barred" and "3 labels of people" in row.faults[0]
    asked = Invocation.objects.filter(agent_slug__startswith="ratchet-judge")
    before = asked.count()
    assert before == 5 and set(asked.values_list("is_demo", flat=True)) == {True}
    tasks.ask_judge(*arguments)
    assert (asked.count(), scores.count(), Preference.objects.count()) == (before, 3, 2)


@pytest.mark.parametrize(
    ("change", "status"),
    [({"name": "unlabelled"}, 409), ({"cap_usd": "100"}, 422), ({"most": 0}, 422),
     ({"criterion": " "}, 422)],
)  # fmt: skip
def test_a_judge_that_could_not_be_measured_is_refused(labelled, api, change, status):
    body = {"name": "labelled", "criterion": CRITERION, **change}
    assert api("post", "/api/v1/judges", body).status_code == status
    assert not Judge.objects.exists()


def asked_of(client):
    return Invocation.objects.filter(agent_slug__startswith="ratchet-judge", client_id=client.pk)


def test_it_is_asked_only_what_whoever_began_it_may_see_and_in_the_answers_own_client(
    labelled, agent, api, firm, sent, monkeypatch
):
    other = Client.objects.create(slug="other", name="Another client")
    reviewer = {"Authorization": f"Bearer {make_key(other, 'reviewer')}"}
    body = {"name": "labelled", "criterion": CRITERION}
    assert post(Browser(), "judges", body, reviewer).status_code == 409
    mine = labelled.pop()
    Invocation.objects.filter(pk=mine).update(client_id=other.pk)
    Score.objects.filter(subject_id=mine).update(client_id=other.pk)
    assert post(Browser(), "judges", body, reviewer).status_code == 202
    tasks.ask_judge(*sent[-1][1])
    judged = Score.objects.filter(source="judge").values_list("subject_id", "client_id")
    assert [(str(one), client) for one, client in judged] == [(mine, other.pk)]
    assert asked_of(other).count() == 1 and not asked_of(firm).exists()
    assert not Preference.objects.exists()
    # Who sees both clients has the rest asked, each answer as a call of its own client.
    hidden = labelled.pop()
    calls = Invocation.objects.filter(pk=hidden)
    monkeypatch.setattr("agents.sight.hidden_invocations",
                        lambda caller: calls if caller.user_id else None)  # fmt: skip
    assert api("post", "/api/v1/judges", body).status_code == 202
    tasks.ask_judge(*sent[-1][1])
    assert (asked_of(other).count(), asked_of(firm).count()) == (1, 3)
    assert set(judged.values_list("client_id", flat=True)) == {other.pk, firm.pk}
    assert not judged.filter(subject_id=hidden).exists()


def test_a_higher_cap_raises_that_of_the_judge_and_a_lower_one_leaves_it(labelled, api, sent):
    body = {"name": "labelled", "criterion": CRITERION}
    caps = []
    for cap in ("0.000000001", "2", "1"):
        assert api("post", "/api/v1/judges", {**body, "cap_usd": cap}).status_code == 202
        tasks.ask_judge(*sent[-1][1])
        row = Judge.objects.get()
        caps.append((Budget.objects.get(scope="run", key=str(row.pk)).cap_usd, row.cap_usd,
                     Score.objects.filter(source="judge", superseded_at=None).count()))  # fmt: skip
    assert caps == [(Decimal("1e-9"), Decimal("1e-9"), 0), (2, 2, 3), (2, 2, 3)]


def test_a_judge_whose_message_was_lost_is_sent_again_until_it_was_asked(labelled, api, sent):
    body = {"name": "labelled", "criterion": CRITERION}
    assert api("post", "/api/v1/judges", body).status_code == 202
    sent.clear()  # lost with the broker
    tasks.resume()
    assert not [one for one in sent if one[0] == "learning.ask_judge"]
    row = Judge.objects.get()
    Judge.objects.update(worked_at=row.worked_at - 2 * judge_asking.LOST_AFTER)
    tasks.resume()
    ((_, arguments),) = [one for one in sent if one[0] == "learning.ask_judge"]
    tasks.ask_judge(*arguments)
    assert Score.objects.filter(source="judge", source_version=row.version).count() == 3
    row.refresh_from_db()
    assert row.measured_at and row.worked_at is None
    assert judge_asking.sweep() == 0


def replayed(api, agent, **more):
    content = versions.content_of(evidence.production(agent.slug))
    changed, _ = versions.publish(agent=agent, content=replace(content, prompt="State it."))
    body = {"agent": agent.slug, "candidate": str(changed.pk), "cap_usd": "2", **more}
    return api("post", "/api/v1/replays", body)


@pytest.fixture
def admitted(labelled, api, sent):
    api("post", "/api/v1/judges", {"name": "labelled", "criterion": CRITERION})
    Judge.objects.update(state="admitted", measured_at=timezone.now(), faults=[])
    return Judge.objects.get()


def test_an_admitted_judge_grades_both_versions_of_a_replay(admitted, agent, api, monkeypatch):
    made = replayed(api, agent, judge="labelled")
    assert made.status_code == 202, made.content
    told = []

    def grade(row, *, work_id, answer, effect, **_):
        told.append((row.version, str(work_id), effect))
        return 1.0 if effect.endswith(made.json()["baseline"]) else 0.0

    monkeypatch.setattr(judge_asking, "grade", grade)
    monkeypatch.setattr(replaying, "MIN_CASES", 2)
    replay.work(made.json()["id"])
    found = api("get", made["Location"]).json()
    result = found["result"]
    assert len(told) == 2 * result["cases"] and len(set(told)) == len(told)
    assert {one[:2] for one in told} == {(admitted.version, found["id"])}
    # The code sees no difference; the judge does, and its word counts.
    assert (result["verdict"], result["judge"]["verdict"]) == ("not_worse", "worse")
    assert (found["verdict"], result["judge"]["name"]) == ("worse", "labelled")
    assert {(c["baseline_judged"], c["candidate_judged"]) for c in found["cases"]} == {(1.0, 0.0)}


def test_a_judge_is_paid_by_the_replay_and_its_calls_are_no_traffic(admitted, agent, api):
    made = replayed(api, agent, judge="labelled", most_recorded=0)
    replay.work(made.json()["id"])
    asked = Invocation.objects.filter(run_id=made.json()["id"], agent_slug="ratchet-judge")
    assert asked.count() == 2 * api("get", made["Location"]).json()["result"]["cases"]
    assert set(asked.values_list("is_demo", flat=True)) == {True}


def test_a_judge_that_may_not_decide_grades_no_replay(admitted, agent, api):
    assert replayed(api, agent, judge="unknown").status_code == 404
    made = replayed(api, agent, judge="labelled", most_recorded=0)
    Judge.objects.update(state="barred", faults=["it prefers the first"])
    refused = replayed(api, agent, judge="labelled")
    assert (refused.status_code, "prefers the first" in refused.json()["detail"]) == (409, True)
    replay.work(made.json()["id"])
    result = api("get", made["Location"]).json()["result"]
    assert "not admitted any more" in result["judge"]["left_out"]


@pytest.fixture
def live(agent, api, settings):
    """Answers of a moment ago, all of them drawn."""
    settings.JUDGE_LIVE_PERCENT = 100
    path = f"/api/v1/agents/{agent.slug}/invocations"
    return {api("post", path, {"inputs": case["input"]}).json()["id"] for case in agent.cases[:3]}


def asked_live():
    return Invocation.objects.filter(agent_slug="ratchet-judge")


def test_an_admitted_judge_scores_live_answers_by_beat_within_its_budget(live, api):
    assert SCHEDULE["learning-judge-live"]["task"] == "learning.judge_live"
    tasks.judge_live()
    judge = Judge.objects.create(name="helpful", version="ratchet-1", criterion=CRITERION)
    tasks.judge_live()
    assert not asked_live().exists(), "none is admitted"
    Judge.objects.update(state="admitted", measured_at=timezone.now())
    tasks.judge_live()
    found = api("get", "/api/v1/scores?source=judge&name=helpful").json()["results"]
    assert {one["subject_id"] for one in found} == live
    assert {one["source_version"] for one in found} == {"ratchet-1"}
    budget = Budget.objects.get(key=str(live_judging.budget_of(judge, timezone.now())))
    assert budget.cap_usd == 1 and set(asked_live().values_list("is_demo", flat=True)) == {True}
    paid = sum(one.cost_usd for one in asked_live())
    assert (asked_live().count(), budget.spent_usd) == (3, paid) and paid > 0
    tasks.judge_live()
    assert asked_live().count() == 3, "each answer once"


def judge_of(name):
    return Judge.objects.create(name=name, version="ratchet-1", criterion=CRITERION,
                                state="admitted", measured_at=timezone.now())  # fmt: skip


def test_a_pass_of_slow_judges_ends_in_time_and_leaves_none_of_them_out(live, monkeypatch):
    judge_of("helpful"), judge_of("polite")
    clock, told = [1_000.0], []

    def grade(row, **_):
        told.append(row.name)
        clock[0] += 90.0
        return 1.0

    monkeypatch.setattr(judge_asking, "grade", grade)
    monkeypatch.setattr(live_judging.time, "monotonic", lambda: clock[0])
    tasks.judge_live()
    assert sorted(told) == ["helpful", "helpful", "polite"] or sorted(told) == [
        "helpful", "polite", "polite",
    ]  # fmt: skip
    assert clock[0] - 1_000 < SCHEDULE["learning-judge-live"]["schedule"]
    tasks.judge_live()
    assert sorted(told) == ["helpful"] * 3 + ["polite"] * 3, "the next pass asks about the rest"


def test_passes_do_not_overlap(live, monkeypatch):
    judge_of("helpful")
    told = []

    def grade(row, *, effect, **_):
        told.append(effect)
        if len(told) < 10:
            tasks.judge_live()  # the next tick, while this answer is waited for
        return 1.0

    monkeypatch.setattr(judge_asking, "grade", grade)
    tasks.judge_live()
    assert len(told) == len(set(told)) == 3


def test_a_day_that_is_spent_and_a_share_of_nothing_ask_nobody(live, settings):
    Judge.objects.create(name="helpful", version="ratchet-1", criterion=CRITERION,
                         state="admitted", measured_at=timezone.now())  # fmt: skip
    settings.JUDGE_LIVE_PERCENT = 0
    tasks.judge_live()
    settings.JUDGE_LIVE_PERCENT, settings.JUDGE_LIVE_USD_A_DAY = 100, Decimal("1e-9")
    tasks.judge_live()
    assert not Score.objects.filter(source="judge").exists()
    assert not asked_live().filter(cost_usd__gt=0).exists()


def test_a_client_whose_budget_is_spent_keeps_nobody_elses_answers_from_the_judge(
    live, monkeypatch
):
    judge_of("helpful")
    newest, told = max(live), []
    other = UUID(int=7)
    Invocation.objects.filter(pk=newest).update(client_id=other)

    def grade(row, *, client_id, effect, **_):
        if client_id == other:
            raise BudgetExceeded(f"client:{other}", Decimal(0), Decimal(1), "month")
        told.append(effect)
        if len(told) == 1:
            raise NotFound("invocation", effect)  # erased a moment ago
        return 1.0

    monkeypatch.setattr(judge_asking, "grade", grade)
    tasks.judge_live()
    assert len(told) == 2 and Score.objects.filter(source="judge").count() == 1


def test_the_sample_is_a_share_of_all_answers_drawn_by_their_ids(settings):
    settings.JUDGE_LIVE_PERCENT = 20
    judge = Judge(name="helpful", version="ratchet-1")
    drawn = [live_judging.drawn(judge, UUID(int=n)) for n in range(5_000)]
    assert 0.18 < sum(drawn) / 5_000 < 0.22
    assert drawn == [live_judging.drawn(judge, UUID(int=n)) for n in range(5_000)]
