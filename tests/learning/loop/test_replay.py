from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from django.utils import timezone

from agents import evidence, tool_calls, versions
from agents.errors import ToolFailed
from agents.invoke import Call, invoke
from agents.models import Invocation
from agents.tools import registry
from agents.tools.registry import ToolContext, tool
from agents.tools.remote.tool import remote
from learning import asking, replay
from learning.models import Example, Replay
from monitoring.models import Measurement

pytestmark = pytest.mark.django_db
BETTER = "Work step by step and verify each figure."


@pytest.fixture
def sent(monkeypatch):
    """Replays that were sent to workers."""
    ids = []
    monkeypatch.setattr(replay, "_send", ids.append)
    return ids


@pytest.fixture
def recorded(agent, firm):
    """Twenty live calls of the agent, each with a question of its own."""
    for n in range(20):
        given = agent.cases[n % 5]["input"]
        invoke(Call(agent=agent.slug, inputs={**given, "note": f"n{n}"}, client_id=firm.pk))


def candidate_of(agent, suffix):
    content = versions.content_of(evidence.production(agent.slug))
    version, _ = versions.publish(
        agent=agent, content=replace(content, prompt=f"{content.prompt}\n{suffix}")
    )
    return version


def begin(agent, firm, version, **changes):
    given = {"cap_usd": Decimal(1), "most_recorded": 30}
    return replay.start(
        agent=agent.slug, candidate_id=version.pk, client_id=firm.pk, **{**given, **changes}
    )


@pytest.mark.django_db(transaction=True)
def test_a_better_candidate_is_told_from_a_worse_one(agent, firm, recorded, model, sent):
    version = candidate_of(agent, BETTER)
    rule = {"when": {"prompt_contains": BETTER}, "accuracy_ratio": 1.0}
    model.behave({"accuracy_ratio": 0.3, "rules": [rule]})
    done = replay.work(begin(agent, firm, version).pk)
    assert (done.state, done.verdict) == ("done", "better")
    assert done.result["cases"] == 25
    assert done.result["sources"] == {"catalogue": 5, "recorded": 20}
    assert done.result["gained"] > done.result["lost"]
    assert Decimal(done.result["cost_usd"]) > 0
    assert sent == [done.pk]

    model.behave({"accuracy_ratio": 1.0, "rules": [{**rule, "accuracy_ratio": 0.3}]})
    assert replay.work(begin(agent, firm, version).pk).verdict == "worse"


@pytest.mark.django_db(transaction=True)
def test_a_replay_goes_on_where_it_died_and_stays_out_of_live_figures(agent, firm, recorded, sent):
    version = candidate_of(agent, BETTER)
    made = begin(agent, firm, version)
    live = evidence.call_counts(made.created_at - replay.RECORDED, made.created_at)
    first, *_ = replay.questions_for(made)
    replay._ask_both(made, first)
    before = Invocation.objects.filter(run_id=made.pk).count()
    done = replay.work(made.pk)
    assert (done.result["cases"], done.verdict) == (25, "not_worse")
    assert Invocation.objects.filter(run_id=made.pk).count() == before + 2 * 24
    assert evidence.call_counts(made.created_at - replay.RECORDED, timezone.now()) == live
    assert replay.work(made.pk).ended_at == done.ended_at
    names = [set(m.names) for m in Measurement.objects.all()]
    assert sum("invocations" in n for n in names) == 20  # the live calls
    assert sum("cost_usd" in n for n in names) == 20 + 2 * 25  # money is money


@pytest.mark.django_db(transaction=True)
def test_a_replay_stops_at_its_cap(agent, firm, recorded, sent):
    version = candidate_of(agent, BETTER)
    done = replay.work(begin(agent, firm, version, cap_usd=Decimal("0.004")).pk)
    assert done.state == "stopped"
    assert Decimal(done.result["cost_usd"]) <= Decimal("0.004")
    assert done.verdict == "too_few"


@pytest.mark.django_db(transaction=True)
def test_an_endpoint_that_is_away_is_no_fault_of_the_candidate(agent, firm, model, sent):
    version = candidate_of(agent, BETTER)
    model.behave({"faults": [{"kind": "server_error", "when": {"prompt_contains": BETTER}}]})
    done = replay.work(begin(agent, firm, version, most_recorded=0).pk)
    assert (done.result["cases"], done.verdict) == (0, "too_few")
    assert done.result["not_compared"] == {"nobody answered (unavailable)": 5}


def test_five_cases_are_too_few_for_a_verdict(agent, firm, sent):
    version = candidate_of(agent, BETTER)
    made = begin(agent, firm, version, most_recorded=0)
    assert len(replay.questions_for(made)) == 5


def test_a_lost_replay_is_sent_again(agent, firm, sent):
    made = begin(agent, firm, candidate_of(agent, BETTER))
    assert replay.sweep() == 0
    Replay.objects.update(worked_at=made.created_at - 2 * replay.LOST_AFTER)
    assert replay.sweep() == 1
    assert sent == [made.pk]
    assert replay.sweep() == 0


def test_a_tool_with_effects_repeats_its_recorded_result():
    happened = []

    @tool("core.test_payment", idempotent=False)
    def pay(amount: int) -> dict:
        """Pay."""
        happened.append(amount)
        return {"paid": amount}

    try:
        given = registry.get("core.test_payment")
        played = asking.stand_in_for([("core.test_payment", {"amount": 5}, {"paid": 5})])(given)
        assert played.call({"amount": 5}) == {"paid": 5}
        assert played.call({"amount": 6}) == {"paid": 5}
        with pytest.raises(ToolFailed, match="suppressed"):
            asking.stand_in_for([])(given).call({"amount": 5})
        assert happened == []
    finally:
        registry._tools.pop("core.test_payment")


def test_what_a_tool_leaves_to_another_has_no_effect_and_its_defaults_are_no_other_question():
    happened = []

    @tool("core.test_payment", idempotent=False)
    def pay(amount: int, currency: str = "EUR") -> dict:
        """Pay."""
        happened.append(amount)
        return {"paid": amount}

    @tool("core.test_quote", fallback="core.test_payment")
    def quote(amount: int, currency: str = "EUR") -> dict:
        """Say what it costs."""
        raise ToolFailed("core.test_quote", "it is away")

    try:
        for name in ("core.test_quote", "core.test_payment"):
            played = asking.stand_in_for([])(registry.get(name))
            ran = tool_calls.run(played, {"amount": 5}, ToolContext())
            assert ran.error is not None
            assert ran.error.code == "tool_failed"
        known = [("core.test_payment", {"amount": n}, {"paid": n}) for n in (5, 6)]
        played = asking.stand_in_for(known)(registry.get("core.test_payment"))
        assert played.call({"amount": 6}) == {"paid": 6}
        assert happened == []
    finally:
        for name in ("core.test_quote", "core.test_payment"):
            registry._tools.pop(name)


def test_a_tool_without_effects_works_when_asked_anew():
    given = registry.get("core.echo")
    played = asking.stand_in_for([("core.echo", {"value": 1}, {"value": "then"})])(given)
    assert played.call({"value": 1}) == {"value": "then"}
    assert played.call({"value": 2}) == given.call({"value": 2})


def test_a_tool_of_a_source_answers_as_recorded_also_where_its_fallback_has_gone():
    asked = []
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}

    def look(arguments, context):
        asked.append(arguments)
        return {"city": arguments["city"], "rain": False}

    given = remote("data.weather", "Weather.", schema, look, fallback="data.mirror")
    known = [("data.weather", {"city": "Bonn"}, {"city": "Bonn", "rain": True})]
    played = asking.stand_in_for(known)(given)
    assert played.fallback is None
    assert tool_calls.run(played, {"city": "Bonn"}, ToolContext()).result["rain"] is True
    assert asked == []
    ran = tool_calls.run(played, {"city": "Rome"}, ToolContext())
    assert (ran.result, asked) == ({"city": "Rome", "rain": False}, [{"city": "Rome"}])


def test_replays_are_asked_for_and_read_over_http(agent, firm, api, sent):
    version = candidate_of(agent, BETTER)
    body = {"agent": agent.slug, "candidate": str(version.pk), "cap_usd": "0.5"}
    made = api("post", "/api/v1/replays", body)
    assert made.status_code == 202
    shown = api("get", made["Location"]).json()
    assert (shown["state"], shown["cases"]) == ("running", [])
    assert len(api("get", "/api/v1/replays").json()["results"]) == 1
    same = {**body, "candidate": str(evidence.production(agent.slug).pk)}
    assert api("post", "/api/v1/replays", same).status_code == 422
    assert api("post", "/api/v1/replays", {**body, "cap_usd": "0"}).status_code == 422


@pytest.mark.django_db(transaction=True)
def test_what_a_version_shows_as_an_example_is_not_asked_of_it(agent, firm, recorded, model, sent):
    """The figures it was given would only come back: they say nothing of other questions."""
    calls = list(Invocation.objects.filter(agent_slug=agent.slug).order_by("id"))[:2]
    content = versions.content_of(evidence.production(agent.slug))
    shown = [{"input": json.dumps(call.inputs), "output": "As it should be."} for call in calls]
    version, _ = versions.publish(agent=agent, content=replace(content, examples=shown))
    done = replay.work(begin(agent, firm, version).pk)
    # Two graded cases, and the eight calls that ask them with another note.
    assert done.result["cases"] == 25 - 10
    assert done.result["not_compared"] == {"a version has learnt from it": 10}
    assert done.cases.filter(candidate_score=None).count() == 10


@pytest.mark.django_db(transaction=True)
def test_what_a_version_was_shown_is_not_asked_of_it_in_other_words_either(
    agent, firm, model, sent, api
):
    """Near-copies of a lesson are left out; a question of its own and other fields are asked."""
    shown = "Which VAT is due on a sale of 1,200 EUR to a customer in Spain?"
    again = [
        "which vat  is due on a sale of 1,200 EUR to a customer in Spain",
        "Which VAT is due on a sale of 87,310.55 EUR to a customer in Spain?",
        "Which VAT is due on a sale of 1,200 EUR, to a customer in SPAIN?!",
    ]
    others = ["Which VAT is due on a sale of 1,200 EUR to a customer in Chile, by air?",
              "When is the return of the second quarter due?"]  # fmt: skip
    calls = {}
    for text in (*again, *others):
        body = {"model": f"agent:{agent.slug}", "messages": [{"role": "user", "content": text}]}
        told = api("post", "/v1/chat/completions", body).json()
        calls[text] = UUID(told["id"].removeprefix("chatcmpl-"))
    for amount in (10, 20):
        body = {"inputs": {"amount": amount, "currency": "EUR"}}
        told = api("post", f"/api/v1/agents/{agent.slug}/invocations", body).json()
        calls[amount] = UUID(told["id"])
    content = versions.content_of(evidence.production(agent.slug))
    lessons = [shown, json.dumps({"amount": 10, "currency": "EUR"})]
    examples = [{"input": one, "output": "Right."} for one in lessons]
    version, _ = versions.publish(agent=agent, content=replace(content, examples=examples))
    made = api("post", "/api/v1/replays",
               {"agent": agent.slug, "candidate": str(version.pk), "cap_usd": "1"})  # fmt: skip
    done = replay.work(made.json()["id"])
    left_out = done.cases.filter(note="a version has learnt from it")
    assert set(left_out.values_list("recorded_id", flat=True)) == {
        calls[one] for one in (*again, 10)
    }


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("odd", ["[" * 1200, '{"a":' * 1200, "[" * 400 + "]" * 400])
def test_brackets_without_end_that_somebody_asked_stop_no_replay(agent, firm, model, sent, odd):
    for asked in (odd, "What is due?"):
        invoke(Call(agent=agent.slug, messages=[{"role": "user", "content": asked}], inputs={},
                    client_id=firm.pk))  # fmt: skip
    content = versions.content_of(evidence.production(agent.slug))
    shown = [{"input": one, "output": "Nothing."} for one in (odd, "Who is there?")]
    version, _ = versions.publish(agent=agent, content=replace(content, examples=shown))
    done = replay.work(begin(agent, firm, version).pk)
    assert done.state == "done"
    assert done.result["not_compared"] == {"a version has learnt from it": 1}


@pytest.mark.django_db(transaction=True)
def test_a_conversation_was_learnt_from_as_a_whole_and_not_by_its_last_word(
    agent, firm, model, sent
):
    def talk(question, last="yes", whole=True):
        said = (("user", question), ("assistant", "Shall I?"), ("user", last))
        turns = [{"role": role, "content": text} for role, text in said]
        turns = turns if whole else turns[-1:]
        call = Call(agent=agent.slug, messages=turns, inputs={}, client_id=firm.pk)
        return invoke(call).invocation_id

    talk("Close the books of May.")
    alone = talk("", whole=False)
    corrected = talk("Close the books of June.", last="go on")
    talk("Close the books of July.", last="go on")
    Example.objects.create(
        client_id=firm.pk, agent_slug=agent.slug, source="correction", digest="d", state="approved",
        question="go on", answer="June is closed.", invocation_id=corrected,
        decided_at=timezone.now(),
    )  # fmt: skip
    content = versions.content_of(evidence.production(agent.slug))
    shown = [{"input": one, "output": "Done."} for one in ("yes", "go on")]
    version, _ = versions.publish(agent=agent, content=replace(content, examples=shown))
    done = replay.work(begin(agent, firm, version).pk)
    left_out = done.cases.exclude(note="").values_list("recorded_id", flat=True)
    assert set(left_out) == {alone, corrected}
