"""Reflective rewriting through the public door, by rule and by a (tuned) model."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from django.utils import timezone

from agents import evidence, loading, versions
from agents.domain import messages
from agents.models import AgentVersion
from learning import rewriting
from learning.domain import reflection
from learning.domain.reflection import Reason, Source
from learning.models import Example

# Questions are asked on threads, which see only what is committed.
pytestmark = pytest.mark.django_db(transaction=True)


def ask(api, agent, **changes):
    body = {"goals": ["improve_accuracy"], "cap_usd": "1", **changes}
    return api("post", f"/api/v1/agents/{agent.slug}/prompt-variations", body)


def test_a_prompt_is_rewritten_from_what_its_answers_lacked_and_joins_the_pareto_set(
    agent, api, model
):
    learnt = {"when": {"prompt_contains": reflection.HEADING}, "accuracy_ratio": 1.0}
    model.behave({"accuracy_ratio": 0.0, "rules": [learnt]})
    body = ask(api, agent, propose=True).json()
    (found,) = [v for v in body["variants"] if v["kind"] == "reflective"]
    assert found["effect"]["score_difference"] > 0.5 and found["is_best"]
    assert found["held_out"]["score_difference"] > 0.5
    assert "State each figure" in found["prompt"] or "state each figure" in found["prompt"]
    first = body["pareto"]["rounds"][0]
    assert (first["outcome"], first["how"][:7]) == ("kept", "by rule")
    assert [m["variant"] for m in body["pareto"]["members"]] == [found["name"]]
    version = AgentVersion.objects.get(pk=found["version_id"])
    assert version.prompt == found["prompt"]
    assert body["improvements"][0]["is_new"]


def test_a_rewriting_that_is_no_better_on_its_own_cases_is_dropped(agent, api, model):
    model.behave({"accuracy_ratio": 0.0})
    body = ask(api, agent).json()
    assert not [v for v in body["variants"] if v["kind"] == "reflective"]
    assert "no better" in body["pareto"]["rounds"][0]["outcome"]


def test_reasons_of_reviewers_reach_the_prompt_without_their_figures(agent, api, model, firm):
    Example.objects.create(
        client_id=firm.pk, agent_slug=agent.slug, source="correction", question="Reconcile",
        answer="Done", reason="name the stale cheques of 2024 first", digest="d",
        state="approved", decided_at=timezone.now(),
    )  # fmt: skip
    learnt = {"when": {"prompt_contains": "name the stale cheques"}, "accuracy_ratio": 1.0}
    model.behave({"accuracy_ratio": 0.0, "rules": [learnt]})
    body = ask(api, agent).json()
    (found,) = [v for v in body["variants"] if v["kind"] == "reflective"]
    assert "stale cheques" in found["prompt"] and "2024" not in found["prompt"]


def test_a_models_own_rewriting_is_used_if_it_keeps_the_template(agent, model, firm, monkeypatch):
    """The model is a tuned one: it has learnt what to answer to this very question."""
    content = versions.content_of(evidence.production(agent.slug))
    reasons = [Reason("number 5", Source.CASE)]
    better = f"{content.prompt}\nName what is unmatched first.\n"
    learnt = {"new_prompt": better, "changes": "order"}
    name = tune(model, rewriting.question(content, reasons), learnt)
    asks = replace(rewriting.CONTENT, model={**rewriting.CONTENT.model, "name": name})
    monkeypatch.setattr(rewriting, "CONTENT", asks)
    made = rewriting.rewrite(
        work_id=firm.pk, client_id=firm.pk, content=content, reasons=reasons, number=1
    )
    assert made is not None
    assert (made.prompt, made.how, made.changes) == (better, "by a model", "order")
    assert made.cost_usd >= 0


def tune(model, question, answer):
    """Let the offline model learn one answer; the name of the model that has."""
    client = model.client()
    asked = messages.text_of(messages.user_message(question))
    lines = [(asked, json.dumps(answer))] + [(f"filler {n}", "none") for n in range(9)]
    text = "\n".join(
        json.dumps({"messages": [{"role": "user", "content": q},
                                 {"role": "assistant", "content": a}]}) for q, a in lines
    )  # fmt: skip
    file = client.files.create(file=("t.jsonl", text.encode()), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(training_file=file.id, model="offline-strong")
    done = client.fine_tuning.jobs.retrieve(job.id)
    loading.add_tuned_model(loading.OFFLINE, str(done.fine_tuned_model), base="offline-strong")
    return done.fine_tuned_model
