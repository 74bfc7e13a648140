from __future__ import annotations

import json
from dataclasses import replace

import pytest

from learning.domain.proposals import Facts, propose

QUIET = Facts("a", days=28, calls=1000, bad=0, cost_usd=0.0, tier="light")


def pattern(kind, title, count):
    return {"kind": kind, "key": "k1", "title": title, "trend": "new",
            "impact": {"count": count, "users": 2, "runs": 1}, "invocations": ["i"]}  # fmt: skip


def drift(metric, before, now):
    return {"metric": metric, "reference_mean": before, "current_mean": now, "effect": 0.5,
            "p_value": 0.001, "streak": 2, "reference_rows": 500, "current_rows": 200,
            "version_number": 1}  # fmt: skip


def test_a_quiet_agent_gets_no_proposal():
    assert propose(QUIET) == []


@pytest.mark.parametrize(
    ("given", "kind", "least"),
    [
        (pattern("failure", "bad_answer: not JSON", 5), "prompt", 5),
        (pattern("failure", "timeout: tool <*> took longer", 5), "routing", 5),
        (pattern("complaint", "vat, wrong", 3), "prompt", 3),
    ],
)
def test_a_pattern_is_answered_once_it_is_more_than_chance(given, kind, least):
    (found,) = propose(replace(QUIET, patterns=[given]))
    assert found.kind == kind
    fewer = {**given, "impact": {**given["impact"], "count": least - 1}}
    assert propose(replace(QUIET, patterns=[fewer])) == []


def test_no_wording_is_proposed_for_an_input_that_no_version_ever_saw():
    title = "guardrail_blocked: the injection guardrail blocked the {}: wording like known attacks"
    blocked = {where: pattern("failure", title.format(where), 9) for where in ("input", "answer")}
    assert propose(replace(QUIET, patterns=[blocked["input"]])) == []
    out = pattern("failure", "agent_tripped: version <num> of <text> keeps giving answers that", 9)
    assert propose(replace(QUIET, patterns=[out])) == []
    (found,) = propose(replace(QUIET, patterns=[blocked["answer"]]))
    assert found.kind == "prompt"


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (drift("latency_seconds", 1.0, 3.0), "tools"),
        (drift("cost_usd", 0.01, 0.02), "parameters"),
        (drift("errors", 0.01, 0.2), "prompt"),
        (drift("rating", 4.5, 3.0), "prompt"),
    ],
)
def test_a_drift_for_the_worse_is_answered_and_one_for_the_better_is_not(given, kind):
    facts = replace(QUIET, cost_usd=20.0)
    (found,) = propose(replace(facts, drifts=[given]))
    assert found.kind == kind
    back = {**given, "reference_mean": given["current_mean"],
            "current_mean": given["reference_mean"]}  # fmt: skip
    assert propose(replace(facts, drifts=[back])) == []


def test_a_tool_that_takes_most_of_the_time_is_named():
    tool = {"name": "bank.fetch", "calls": 100, "mean_seconds": 4.0, "total_seconds": 400.0}
    (found,) = propose(replace(QUIET, tools=[tool], seconds=500.0))
    assert "bank.fetch" in found.title
    assert propose(replace(QUIET, tools=[tool], seconds=5000.0)) == []


def test_a_dear_agent_that_hardly_fails_is_offered_a_lighter_model():
    facts = replace(QUIET, tier="strong", cost_usd=100.0)
    (found,) = propose(facts)
    assert found.change["model"] == {"tier": "standard"}
    assert propose(replace(facts, bad=100)) == []


def test_what_matters_most_comes_first():
    rare, frequent = (pattern("failure", f"bad_answer: {n}", n) for n in (5, 500))
    found = propose(replace(QUIET, patterns=[rare, frequent]))
    assert [p.evidence["count"] for p in found] == [500, 5]


def test_the_change_is_the_same_next_week_though_the_figures_are_not():
    first, later = (
        propose(replace(QUIET, patterns=[pattern("failure", "bad_answer: x", n)],
                        drifts=[drift("errors", 0.01, 0.02 * n)]))
        for n in (10, 20)
    )  # fmt: skip
    assert sorted(json.dumps(p.change) for p in first) == sorted(
        json.dumps(p.change) for p in later
    )


def failed(code, calls=6):
    return {"name": "tax_rate", "code": code, "calls": calls, "message": "no such tool",
            "arguments": [{"country": "DE"}] * calls, "good": [{"land": "DE"}],
            "invocations": ["i"]}  # fmt: skip


def test_a_tool_that_is_asked_for_in_vain_is_suggested_with_its_schema():
    (found,) = propose(replace(QUIET, failed_tools=[failed("not_found")]))
    assert (found.kind, found.title) == ("tools", "Add the tool tax_rate")
    assert found.evidence["suggested_tool"]["parameters"]["required"] == ["country"]
    assert "calls" not in json.dumps(dict(found.change))
    assert propose(replace(QUIET, failed_tools=[failed("not_found", calls=4)])) == []
    assert propose(replace(QUIET, failed_tools=[failed("timeout")])) == []


def test_arguments_that_a_tool_refuses_are_shown_beside_those_that_worked():
    (found,) = propose(replace(QUIET, failed_tools=[failed("invalid_input")]))
    assert found.change == {"rule": "refused_arguments", "tool": "tax_rate"}
    assert list(found.evidence["asked_with"]["properties"]) == ["country"]
    assert list(found.evidence["worked_with"]["properties"]) == ["land"]


def test_a_stronger_model_is_proposed_where_much_goes_wrong_and_it_pays():
    facts = replace(QUIET, bad=200, cost_usd=2.0, tier="light", calls=1000)
    (found,) = [p for p in propose(facts) if p.change["rule"] == "quality"]
    assert found.change["model"] == {"tier": "standard"}
    assert propose(replace(facts, bad=50)) == []
    assert propose(replace(facts, tier="strong")) == []
    dear = replace(facts, cost_usd=5000.0)
    assert not [p for p in propose(dear) if p.change["rule"] == "quality"]


def test_replies_that_were_cut_get_more_room_and_repeats_the_stored_answer():
    model = {"max_output_tokens": 500, "temperature": 0.7}
    facts = replace(QUIET, model=model, seconds=2000.0, cost_usd=4.0,
                    replies={"replies": 900, "cut": 30, "repeated": 400})  # fmt: skip
    found = {p.kind: p for p in propose(facts)}
    assert found["parameters"].change["model"] == {"max_output_tokens": 1000}
    assert found["cache"].change["model"] == {"temperature": 0.0}
    cold = replace(facts, model={**model, "temperature": 0.0, "max_output_tokens": 8000})
    assert propose(cold) == []
    assert "cache" not in {p.kind for p in propose(replace(facts, is_cacheable=False))}


def test_conversations_that_go_poorly_get_another_flow():
    talks = {"talks": 20, "poor": 6, "handed_over": 4, "quality_ratio": 0.5,
             "intents": {"vat": 3}, "shown": ["a"]}  # fmt: skip
    (found,) = propose(replace(QUIET, talks=talks))
    assert (found.kind, found.change["variations"]) == ("flow", ["conversation_flow"])
    assert found.evidence["went_poorly"] == 6
    assert not propose(replace(QUIET, talks={**talks, "poor": 3}))
    assert not propose(replace(QUIET, talks={**talks, "talks": 100}))
