"""Fine-tuning jobs over the offline model's socket: handed in, asked after, brought back."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from agents import endpoints
from agents.domain.scoring import Needs
from agents.endpoints import training
from agents.invoke import Call, invoke
from agents.models import AgentVersion, Budget, Endpoint, Hold
from config.errors import Unavailable
from learning import finetuning, replay, tasks
from learning.finetuning import working
from learning.models import Example, Improvement, Replay, TuningJob
from workflows import artifacts

pytestmark = pytest.mark.django_db
# Workers on threads see only what is committed.
on_threads = pytest.mark.django_db(transaction=True)


@pytest.fixture
def library(agent, firm):
    """Fourteen reviewed examples of one agent."""
    places = ("Arles", "Bergen", "Cadiz", "Delft", "Espoo", "Faro", "Ghent", "Hull", "Ivrea",
              "Jena", "Kiel", "Leiden", "Metz", "Nantes")  # fmt: skip
    for place in places:
        Example.objects.create(
            client_id=firm.pk, agent_slug=agent.slug, source="correction", digest=place,
            question=f"Which branch keeps the {place} {place.lower()}stone register?",
            answer=f"The {place} branch keeps it.", state="approved", decided_at=timezone.now(),
        )  # fmt: skip
    return agent


def start(api, agent, **more):
    return api("post", "/api/v1/tuning-jobs", {"agent": agent.slug, "cap_usd": "1", **more})


def due(job_id):
    TuningJob.objects.filter(pk=job_id).update(next_at=Now(), lease_until=None)


def died(*args, **named):
    raise KeyboardInterrupt


def jobs_at(model):
    return [j for j in model.client().fine_tuning.jobs.list(limit=50).data
            if (j.metadata or {}).get(training.MARK)]  # fmt: skip


def test_a_job_comes_back_as_a_candidate_that_waits_for_review(library, api, model, firm):
    made = start(api, library)
    assert made.status_code == 202, made.content
    body = made.json()
    assert (body["state"], body["data"]["training"] >= 10) == ("queued", True)
    assert body["artifacts"]["data_card"] and body["data"]["leak_rate"]["planted"] > 0
    tasks.fine_tune(body["id"])
    held = Hold.objects.get()
    assert held.amount_usd > 0
    tasks.fine_tune(body["id"])
    told = api("get", f"/api/v1/tuning-jobs/{body['id']}").json()
    assert told["state"] == "succeeded", told
    assert told["tuned_model"].startswith("ft:offline-") and told["trained_tokens"] > 0
    assert 0 < float(told["cost_usd"]) <= 1 and not Hold.objects.exists()
    assert (
        Budget.objects.get(scope="all", window="month").spent_usd
        == TuningJob.objects.get().cost_usd
    )
    row = Improvement.objects.get(pk=told["improvement_id"])
    assert (row.kind, row.state, row.risk) == ("model", "proposed", "high")
    version = AgentVersion.objects.get(pk=told["candidate_version_id"])
    assert version.model["name"] == told["tuned_model"]
    assert Replay.objects.get().improvement_id == row.pk
    lesson = json.loads(
        artifacts.read(body["artifacts"]["training"], client_id=firm.pk).splitlines()[0]
    )["messages"]
    call = Call(agent=library.slug, messages=[lesson[1]], inputs={}, client_id=firm.pk,
                version_id=version.pk)  # fmt: skip
    assert invoke(call).output["text"] == lesson[2]["content"]
    # A replay does not ask it what it was taught.
    again = replay.start(
        agent=library.slug, candidate_id=version.pk, client_id=firm.pk, cap_usd=Decimal(1)
    )
    assert replay.work(again.pk).result["not_compared"] == {"a version has learnt from it": 1}
    # Nobody else meets the tuned model, however cheap it is.
    needs = Needs(tier=version.model["tier"], context_tokens=100)
    served = {one.model for one in endpoints.candidates(needs)}
    assert served and told["tuned_model"] not in served
    assert api("post", f"/api/v1/tuning-jobs/{body['id']}/cancel", {}).status_code == 409


def test_a_worker_that_died_after_handing_in_costs_no_second_job(library, api, model, monkeypatch):
    before = len(jobs_at(model))
    job_id = start(api, library).json()["id"]
    submit = training.submit

    def die(*args, **named):
        submit(*args, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "submit", die)
    with pytest.raises(KeyboardInterrupt):
        finetuning.work(job_id)
    monkeypatch.undo()
    assert finetuning.work(job_id) == "queued"  # the dead worker's lease still stands
    due(job_id)
    assert finetuning.work(job_id) == "submitted"
    assert finetuning.work(job_id) == "succeeded"
    assert len(jobs_at(model)) == before + 1
    assert finetuning.work(job_id) == "succeeded"
    assert Improvement.objects.count() == 1


def test_a_worker_that_died_while_bringing_back_is_followed_by_another(
    library, api, model, monkeypatch
):
    job_id = start(api, library).json()["id"]
    finetuning.work(job_id)
    monkeypatch.setattr(working, "_end", lambda *a, **n: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        finetuning.work(job_id)
    monkeypatch.undo()
    due(job_id)
    assert finetuning.work(job_id) == "succeeded"
    assert Improvement.objects.count() == 1
    assert (
        len(
            [m for m in Endpoint.objects.get(is_offline=True).served if m["name"].startswith("ft:")]
        )
        == 1
    )


@pytest.mark.parametrize("handed_in", [False, True])
def test_a_job_is_called_off_before_and_after_it_was_handed_in(library, api, model, handed_in):
    job_id = start(api, library).json()["id"]
    if handed_in:
        finetuning.work(job_id)
    said = api("post", f"/api/v1/tuning-jobs/{job_id}/cancel", {"reason": "the examples are old"})
    assert (said.status_code, said.json()["state"]) == (202, "cancelling")
    assert finetuning.work(job_id) == "cancelled"
    row = TuningJob.objects.get()
    assert row.reason == "the examples are old" and row.cost_usd == 0
    assert not Hold.objects.exists() and not Improvement.objects.exists()
    assert finetuning.sweep() == 0


def test_a_provider_that_is_away_is_asked_again_and_at_last_given_up(library, api, monkeypatch):
    job_id = start(api, library).json()["id"]

    def away(*args, **named):
        raise Unavailable("fine-tuning", "away", 30)

    monkeypatch.setattr(training, "submit", away)
    assert finetuning.work(job_id) == "queued"
    row = TuningJob.objects.get()
    assert row.tries == 1 and row.next_at > timezone.now() and row.lease_until is None
    assert finetuning.sweep() == 0
    TuningJob.objects.update(tries=finetuning.MOST_TRIES - 1)
    assert finetuning.work(job_id) == "failed"
    assert "given up" in TuningJob.objects.get().reason and not Hold.objects.exists()


def test_a_job_that_the_provider_refuses_fails_with_its_words(library, api):
    job_id = start(api, library).json()["id"]
    TuningJob.objects.update(model="nobody-has-this")
    assert finetuning.work(job_id) == "failed"
    assert "nobody-has-this" in TuningJob.objects.get().reason


def test_what_cannot_be_tuned_is_refused(library, api, agent):
    assert start(api, library, cap_usd="0.000001").status_code == 409
    assert start(api, library, cap_usd="0").status_code == 422
    assert start(api, library, endpoint="nowhere").status_code == 404
    assert start(api, library).status_code == 202
    twin = start(api, library)
    assert twin.status_code == 409 and "under way" in twin.json()["detail"]
    TuningJob.objects.all().delete()
    Example.objects.filter(question__contains="a").delete()
    few = start(api, library)
    assert few.status_code == 409 and not TuningJob.objects.exists()


def test_the_same_examples_are_tuned_on_twice_only_if_that_is_asked_for(library, api, model):
    first = start(api, library).json()["id"]
    twin = start(api, library)
    assert twin.status_code == 409 and first in twin.json()["detail"]
    assert start(api, library, again=True).status_code == 409, "not two at a time"
    tasks.fine_tune(first)
    due(first)
    tasks.fine_tune(first)
    done = api("get", f"/api/v1/tuning-jobs/{first}").json()
    assert done["state"] == "succeeded"
    twin = start(api, library)
    assert twin.status_code == 409 and TuningJob.objects.count() == 1
    assert all(part in twin.json()["detail"] for part in (first, done["tuned_model"], "again"))
    assert start(api, library, again=True).status_code == 202
    TuningJob.objects.exclude(pk=first).update(state="failed", ended_at=Now())
    Example.objects.filter(digest="Arles").delete()
    assert start(api, library).status_code == 202, "fewer examples are others"


def test_what_failed_or_was_called_off_is_begun_anew_without_asking(library, api):
    for _ in range(2):
        assert start(api, library).status_code == 202
        TuningJob.objects.update(state="failed", ended_at=Now())


@on_threads
def test_two_workers_at_once_hand_in_one_job(library, api, model):
    before = len(jobs_at(model))
    job_id = start(api, library).json()["id"]

    def go(_):
        try:
            return finetuning.work(job_id)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(go, range(4)))
    assert len(jobs_at(model)) == before + 1
    due(job_id)
    assert finetuning.work(job_id) == "succeeded"
