from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from agents import evidence
from agents.models import AgentVersion
from learning import improvements, patterns, proposing
from learning.domain import variations
from learning.models import Example, Improvement, Study

pytestmark = pytest.mark.django_db
# Questions are asked on threads, which see only what is committed.
on_threads = pytest.mark.django_db(transaction=True)


def ask(api, agent, **changes):
    body = {"goals": ["improve_accuracy"], "cap_usd": "1", **changes}
    return api("post", f"/api/v1/agents/{agent.slug}/prompt-variations", body)


@on_threads
def test_the_variant_that_helps_is_found_and_checked_on_what_was_held_out(agent, api, model):
    good = {"when": {"prompt_contains": variations.ANTI_HALLUCINATION[:40]}, "accuracy_ratio": 1.0}
    model.behave({"accuracy_ratio": 0.0, "rules": [good]})
    body = ask(api, agent, propose=True).json()
    by_kind = {v["kind"]: v for v in body["variants"]}
    assert {"explicit", "error_handling", "anti_hallucination"} <= set(by_kind)
    best = by_kind["anti_hallucination"]
    assert best["effect"]["score_difference"] > 0.5
    assert best["is_best"] is True
    assert best["held_out"]["cases"] == body["split"]["held_out"] == 2
    assert by_kind["explicit"]["effect"]["score_difference"] == pytest.approx(0.0, abs=0.2)
    assert body["bottlenecks"][0]["kind"] == "missed_facts"
    assert 0 < Decimal(body["cost_usd"]) <= 1
    made = Improvement.objects.get(pk=body["improvements"][0]["improvement"])
    assert str(made.candidate_version_id) == best["version_id"]
    assert "USD a month" in made.evidence["priority"]


def test_without_measuring_nothing_is_spent_and_the_estimate_says_so(agent, api):
    body = ask(api, agent, goals=["reduce_cost"], measure=False).json()
    assert Decimal(body["cost_usd"]) == 0
    assert {v["kind"] for v in body["variants"]} <= {"compressed", "brief", "lighter_model"}
    assert all("not measured" in v["effect"]["how"] for v in body["variants"])
    assert AgentVersion.objects.filter(agent=agent).count() == 1


@on_threads
def test_the_cap_stops_the_search(agent, api):
    body = ask(api, agent, cap_usd="0.002").json()
    assert body["split"]["stopped"] == "the cap was reached"
    assert any("USD left; this call may need" in note for note in body["notes"])
    assert Decimal(body["cost_usd"]) <= Decimal("0.002")
    assert Study.objects.get().cost_usd == Decimal(body["cost_usd"])


def test_better_examples_come_from_the_approved_library(agent, api, firm):
    Example.objects.create(client_id=firm.pk, agent_slug=agent.slug, source="correction",
                           question="Reconcile", answer="Done so", digest="d", state="approved",
                           decided_at=timezone.now())  # fmt: skip
    body = ask(api, agent, goals=["better_examples"], measure=False).json()
    (found,) = body["variants"]
    assert found["examples"] == [{"input": "Reconcile", "output": "Done so"}]


@on_threads
def test_an_example_that_tells_a_held_out_answer_in_other_spacing_is_not_shown(agent, api, firm):
    """Which cases are held out is drawn by their content, so each case has an example here."""
    for place, case in enumerate(agent.cases):
        told = json.dumps(case["input"], indent=2)
        Example.objects.create(client_id=firm.pk, agent_slug=agent.slug, source="correction",
                               question=told, answer=f"Answer {place}", digest=str(place),
                               state="approved", decided_at=timezone.now())  # fmt: skip
    body = ask(api, agent, goals=["better_examples"]).json()
    held = body["split"]["held_out"]
    shown = {one["output"] for found in body["variants"] for one in found["examples"]
             if found["kind"].startswith("few_shot")}  # fmt: skip
    assert held == 2 and len(shown) == len(agent.cases) - held


def test_a_goal_that_is_none_is_refused(agent, api):
    refused = ask(api, agent, goals=["win"])
    assert refused.status_code == 422
    assert "one of reduce_cost, improve_accuracy, better_examples" in refused.json()["detail"]
    assert api("post", "/api/v1/agents/nobody/prompt-variations",
               {"goals": ["reduce_cost"]}).status_code == 404  # fmt: skip


@on_threads
def test_a_variant_that_was_rolled_back_is_not_proposed_again(agent, api, firm):
    content = variations.compressed(evidence.production(agent.slug).prompt)
    assert content
    body = ask(api, agent, goals=["reduce_cost"]).json()
    for variant in body["variants"]:
        improvements.bury(client_id=firm.pk, agent_slug=agent.slug, reason="it was worse",
                          version_id=variant["version_id"], evidence={}, by="test")  # fmt: skip
    again = ask(api, agent, goals=["reduce_cost"], propose=True).json()
    assert ["is barred" in i["refused"] for i in again["improvements"]] == [True], again
    kept = [
        {v["kind"]: (v["effect"], v.get("held_out")) for v in told["variants"]}
        for told in (body, again)
    ]
    assert kept[0] == kept[1]  # the same evidence, asked twice
    assert not Improvement.objects.exists()


def test_rules_propose_from_what_happened_and_respect_a_refusal(bare, call, firm):
    now = timezone.now()
    for n in range(9):
        call(bare, now - timedelta(hours=1, minutes=n), state="failed", error_code="bad_answer",
             error={"code": "bad_answer", "message": f"no JSON at place {n}"})  # fmt: skip
    patterns.find_patterns(now)
    found = proposing.propose_by_rule(bare.slug, now, client_id=firm.pk)
    assert found["new"] == 1
    row = Improvement.objects.get()
    assert row.evidence["count"] == 9
    assert row.priority == pytest.approx(row.impact * row.confidence / row.effort)
    assert proposing.propose_by_rule(bare.slug, now, client_id=firm.pk)["new"] == 0
    Improvement.objects.update(state="rejected")
    improvements._bury(client_id=firm.pk, agent_slug=bare.slug, digest=row.digest,
                       version_id=row.pk, reason="rejected: no", evidence={}, by="t")  # fmt: skip
    again = proposing.propose_by_rule(bare.slug, now, client_id=firm.pk)
    assert (again["new"], len(again["refused"])) == (0, 1)


def test_the_facts_of_a_quiet_agent_are_zero(bare):
    facts = proposing.gather(bare.slug, timezone.now())
    assert replace(facts, slug="x").calls == 0


@on_threads
def test_a_model_that_nobody_reaches_is_no_verdict_on_the_variants(agent, api, model):
    model.behave({"faults": [{"kind": "server_error", "status": 500}]})
    body = ask(api, agent, propose=True).json()
    assert body["pareto"] is None
    assert any("nobody answered (unavailable)" in note for note in body["notes"]), body["notes"]
    assert body["improvements"] == [
        {"goal": "improve_accuracy", "refused": "nothing could be measured"}
    ]
