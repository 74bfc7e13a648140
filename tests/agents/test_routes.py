"""Routes to endpoints: policies, hedging, pausing; and a version that is taken out."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection

from agents import versions
from agents.calls import Call
from agents.endpoints.directory import _Seen, forget, seen
from agents.errors import AgentTripped
from agents.invoke import invoke
from agents.models import (
    Agent,
    Budget,
    Conversation,
    Endpoint,
    Hold,
    Invocation,
    ModelCall,
    PriceList,
)
from config.access.models import User
from scaling import breaker

pytestmark = pytest.mark.django_db

# Any wait of the slow one would outlast the test's patience with it.
SLOW_SECONDS = 25
MODELS = {
    "slow-one": {"latency": {"first_token": {"fixed_seconds": SLOW_SECONDS}}},
    "quick-one": {},
    "offline-standard": {},
    "offline-light": {},
    "offline-strong": {},
}


def served(name: str) -> list[dict[str, Any]]:
    return [{"name": name, "tier": "standard", "context_tokens": 128_000,
             "capabilities": ["tools"]}]  # fmt: skip


def route(agent: Any, **model: Any) -> None:
    content = versions.content_of(versions.version_of(agent, "production"))
    content = replace(content, model={**content.model, "tier": "standard", **model})
    versions.publish(agent=agent, content=content, label="production")


@pytest.fixture
def two(model: Any, agent: Any) -> None:
    """A slow endpoint that is asked first, and a quick one behind it."""
    model.behave({"models": MODELS})
    Endpoint.objects.update(state="paused")
    Agent.objects.update(limits={})  # a model without a price counts as dear
    for place, name in enumerate(("slow-one", "quick-one"), start=1):
        Endpoint.objects.create(name=name, base_url=model.url, priority=place, served=served(name))
    seen.latency.clear()
    seen.errors.clear()
    forget()


@pytest.mark.django_db(transaction=True)
def test_a_hedged_call_is_answered_by_the_quicker_and_both_are_paid(
    two: None, agent: Any, call_of: Any
) -> None:
    route(agent, hedge_after_seconds=0.05)
    answer = invoke(call_of(use_cache=False))
    assert answer.model == "quick-one"
    row = Invocation.objects.get()
    calls = list(ModelCall.objects.order_by("number"))
    lost = [one for one in calls if one.endpoint == "slow-one"]
    won = [one for one in calls if one.endpoint == "quick-one"]
    assert {one.error_code for one in lost} == {"cancelled"}
    assert all(one.cost_usd > 0 and one.input_tokens > 0 for one in lost)
    assert row.input_tokens == sum(one.input_tokens for one in calls)
    assert len(won) == len(lost) >= 2  # each reply was asked for twice
    assert row.cost_usd == sum(one.cost_usd for one in calls) == answer.cost_usd
    for budget in Budget.objects.exclude(key="*"):
        assert (budget.spent_usd, budget.held_usd) == (row.cost_usd, 0)
    assert not Hold.objects.exists()
    assert not breaker.look("endpoint:slow-one").is_open  # slow is not broken
    assert seen.in_flight["slow-one"] == seen.in_flight["quick-one"] == 0


@pytest.mark.django_db(transaction=True)
def test_a_hedged_call_whose_first_answers_in_time_asks_nobody_else(
    two: None, agent: Any, call_of: Any
) -> None:
    route(agent, hedge_after_seconds=60)
    Endpoint.objects.filter(name="quick-one").update(priority=0)
    forget()
    invoke(call_of(use_cache=False))
    assert set(ModelCall.objects.values_list("endpoint", flat=True)) == {"quick-one"}


@pytest.mark.django_db(transaction=True)
def test_a_hedged_call_whose_first_fails_is_answered_by_the_next(
    two: None, agent: Any, call_of: Any
) -> None:
    route(agent, hedge_after_seconds=5)
    Endpoint.objects.filter(name="slow-one").update(base_url="http://127.0.0.1:9/v1")
    forget()
    assert invoke(call_of(use_cache=False)).model == "quick-one"
    assert not Hold.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_probe_that_is_hedged_and_let_go_is_given_back(
    two: None, agent: Any, call_of: Any
) -> None:
    route(agent, hedge_after_seconds=0.05)
    breaker.trip("endpoint:slow-one", seconds=0.2)
    time.sleep(0.5)
    assert invoke(call_of(use_cache=False)).model == "quick-one"
    assert ModelCall.objects.filter(endpoint="slow-one", error_code="cancelled").exists()
    assert breaker.look("endpoint:slow-one").is_probe  # the next may ask at once


@pytest.mark.django_db(transaction=True)
def test_a_probe_that_is_hedged_and_refused_for_its_rate_closes_the_breaker(
    two: None, agent: Any, call_of: Any, model: Any
) -> None:
    route(agent, hedge_after_seconds=5)
    full = {"kind": "rate_limited", "retry_after_seconds": 1, "when": {"model": "slow-one"}}
    model.behave({"models": {**MODELS, "slow-one": {}}, "faults": [full]})
    breaker.trip("endpoint:slow-one", seconds=0.2)
    time.sleep(0.5)
    assert invoke(call_of(use_cache=False)).model == "quick-one"
    assert breaker.state_of("endpoint:slow-one") == "closed"


@pytest.mark.django_db(transaction=True)
def test_who_asked_to_be_left_alone_is_not_asked_beside_another(
    two: None, agent: Any, call_of: Any, model: Any
) -> None:
    route(agent, hedge_after_seconds=0.05)
    full = {"kind": "rate_limited", "retry_after_seconds": 50, "when": {"model": "quick-one"}}
    late = {"latency": {"first_token": {"fixed_seconds": 0.5}}}
    model.behave({"models": {**MODELS, "slow-one": late}, "faults": [full]})
    assert invoke(call_of(use_cache=False)).model == "slow-one"
    asked = list(ModelCall.objects.values_list("endpoint", flat=True))
    assert asked.count("quick-one") == 1 < asked.count("slow-one")


@pytest.mark.parametrize(
    ("policy", "first"),
    [
        ("cheapest", "quick-one"), ("fastest", "quick-one"), ("least_in_flight", "quick-one"),
        ("health", "quick-one"), ("round_robin", None), ("weighted", None), ("affinity", None),
    ],
)  # fmt: skip
def test_every_policy_can_be_published_and_routes(
    two: None,
    agent: Any,
    firm: Any,
    offline: Any,
    api: Any,
    monkeypatch: pytest.MonkeyPatch,
    policy: str,
    first: str | None,
) -> None:
    # For all others the cheapest is the wrong one, so that none passes for want of a policy.
    slow, quick = ("9", "1") if policy == "cheapest" else ("1", "9")
    prices = {
        "slow-one": {"input": slow, "output": slow},
        "quick-one": {"input": quick, "output": quick},
        "*": {"input": "5", "output": "5"},
    }
    PriceList.objects.update(prices=prices)
    Endpoint.objects.filter(name__in=["slow-one", "quick-one"]).update(priority=5)
    forget()
    seen.latency.update({"slow-one": 9.0, "quick-one": 0.000_001})
    for name in ("slow-one", "quick-one"):
        monkeypatch.setitem(seen.noted_at, name, time.monotonic())
    monkeypatch.setitem(seen.in_flight, "slow-one", 3)
    monkeypatch.setattr(_Seen, "note", lambda *args, **more: None)
    offline.behave({"models": {**MODELS, "slow-one": {}}})

    wanted = {"model": {"tier": "standard", "policy": policy}, "label": "production"}
    answer = api("post", f"/api/v1/agents/{agent.slug}/versions", wanted)
    assert answer.status_code in (200, 201), answer.content

    def went(number: int, talk: UUID | None = None) -> str:
        body: dict[str, Any] = {"inputs": {"question": f"What is {number}?"}}
        if talk is not None:
            Conversation.objects.get_or_create(
                pk=talk,
                defaults={
                    "agent_id": agent.pk,
                    "agent_slug": agent.slug,
                    "client_id": firm.pk,
                },
            )
            body["conversation_id"] = str(talk)
        asked = api("post", f"/api/v1/agents/{agent.slug}/invocations", body)
        assert asked.status_code == 200, asked.content
        return str(Invocation.objects.get(pk=asked.json()["id"]).endpoint)

    if policy == "affinity":
        talk = uuid4()
        assert len({went(number, talk) for number in range(4)}) == 1
        assert len({went(4 + number, uuid4()) for number in range(12)}) == 2
        return
    found = [went(number) for number in range(12 if policy == "weighted" else 4)]
    if first:
        assert set(found) == {first}
    elif policy == "round_robin":
        assert found[0] != found[1] and found[0] == found[2]
    else:
        assert len(set(found)) == 2


@pytest.mark.django_db(transaction=True)
def test_no_more_calls_are_at_an_endpoint_at_once_than_it_says(
    two: None, agent: Any, api: Any, model: Any
) -> None:
    model.behave({"models": {**MODELS, "slow-one": {"latency": {"first_token": {
        "fixed_seconds": 3.0}}}}})  # fmt: skip
    path = "/api/v1/endpoints/slow-one"
    assert api("patch", path, {"max_in_flight": 2}).status_code == 200
    content = versions.content_of(versions.version_of(agent, "production"))
    versions.publish(agent=agent, content=replace(content, tools=[]), label="production")

    def ask(number: int) -> str:
        try:
            body = {"inputs": {"question": f"What is {number}?"}}
            asked = api("post", f"/api/v1/agents/{agent.slug}/invocations", body)
            return str(Invocation.objects.get(pk=asked.json()["id"]).endpoint)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        went = list(pool.map(ask, range(6)))
    assert 1 <= went.count("slow-one") <= 3, went


def test_an_endpoints_requests_and_tokens_a_minute_send_the_next_call_elsewhere(
    two: None, agent: Any, api: Any, model: Any
) -> None:
    model.behave({"models": {**MODELS, "slow-one": {}}})
    content = versions.content_of(versions.version_of(agent, "production"))
    versions.publish(agent=agent, content=replace(content, tools=[]), label="production")

    def went(limits: dict[str, int], *numbers: int) -> list[str]:
        api("patch", "/api/v1/endpoints/slow-one", {"limits": limits})
        found = []
        for number in numbers:
            body = {"inputs": {"question": f"What is {number}?"}}
            asked = api("post", f"/api/v1/agents/{agent.slug}/invocations", body)
            found.append(Invocation.objects.get(pk=asked.json()["id"]).endpoint)
        return found

    # A minute may end meanwhile, and then begins anew.
    assert went({"requests_per_minute": 2}, 1, 2, 3, 4, 5, 6).count("quick-one") >= 2
    assert went({"tokens_per_minute": 1}, 7, 8, 9).count("quick-one") >= 1
    assert went({}, 10, 11) == ["slow-one", "slow-one"]


def test_a_route_that_is_none_is_refused_by_name(agent: Any, api: Any) -> None:
    path = f"/api/v1/agents/{agent.slug}/versions"
    for model, field in (
        ({"tier": "standard", "policy": "luck"}, "model.policy"),
        ({"tier": "standard", "hedge_after_seconds": 0}, "model.hedge_after_seconds"),
    ):
        answer = api("post", path, {"model": model})
        assert answer.status_code == 422
        assert answer.json()["field"] == field


def test_an_endpoint_is_paused_weighted_and_seen_over_http(agent: Any, api: Any) -> None:
    path = "/api/v1/endpoints/offline-model"
    assert api("get", path).json()["health"]["breaker"] == "closed"
    changed = api("patch", path, {"weight": 7, "is_paused": True}).json()
    assert (changed["weight"], changed["state"]) == (7, "paused")
    asked = f"/api/v1/agents/{agent.slug}/invocations"
    refused = api("post", asked, {"inputs": agent.cases[0]["input"]})
    assert refused.json()["state"] == "fallback"  # nobody serves it: the declared answer
    assert api("patch", path, {"state": "active"}).json()["weight"] == 7
    for wrong, field in (({"paused": True}, "paused"), ({"state": "off"}, "state"),
                         ({"limits": {"request_per_minute": 5}}, "limits")):  # fmt: skip
        refused = api("patch", path, wrong)
        assert (refused.status_code, refused.json()["field"]) == (422, field)
    answered = api("post", asked, {"inputs": agent.cases[0]["input"]}).json()
    assert answered["state"] == "succeeded"
    breaker.trip("endpoint:offline-model", seconds=60)
    assert api("get", path).json()["health"]["breaker"] == "open"
    assert api("patch", path, {"weight": 0}).status_code == 422
    assert api("get", path).json()["provider"] == "offline"
    assert api("patch", path, {"provider": "our-cluster"}).json()["provider"] == "our-cluster"
    assert api("patch", path, {"provider": "a|b"}).json()["field"] == "provider"
    assert api("patch", "/api/v1/endpoints/nobody", {}).status_code == 404


# ---------------------------------------------------------------- a version that keeps failing


@pytest.fixture
def shaped(ground: None, firm: Any) -> Any:
    """A call of an agent whose answers must fit a schema."""
    agent = Agent.objects.create(
        slug="shaped", name="S", domain="operations", purpose="x", fallback="Ask a colleague."
    )
    schema = {"type": "object", "required": ["value"], "additionalProperties": False,
              "properties": {"value": {"type": "string"}}}  # fmt: skip
    content = versions.Content(prompt="Answer.", tools=["core.echo"], output_schema=schema)
    versions.publish(agent=agent, content=content, label="production")
    return Call(agent="shaped", inputs={"value": "blue"}, client_id=firm.pk, use_cache=False)


def test_a_version_whose_answers_keep_failing_is_taken_out_and_probed(
    model: Any, shaped: Call, api: Any, client: Any
) -> None:
    def told_of() -> Any:
        return api("get", "/api/v1/agents/shaped").json()["taken_out"]

    assert told_of() == {}
    model.behave({"faults": [{"kind": "wrong_schema"}]})
    for _ in range(breaker.FAILURES_TO_OPEN):
        assert invoke(shaped).is_fallback
    asked = ModelCall.objects.count()
    answer = invoke(shaped)  # out: the declared answer, and no model is asked
    assert (answer.is_fallback, answer.output["text"]) == (True, "Ask a colleague.")
    assert Invocation.objects.order_by("-id")[0].error_code == "agent_tripped"
    assert ModelCall.objects.count() == asked
    with pytest.raises(AgentTripped) as told:
        invoke(replace(shaped, allow_fallback=False))
    assert told.value.retryable
    assert told.value.retry_after_seconds >= 1
    assert not breaker.look("endpoint:offline-model").is_open  # the provider is not to blame

    assert told_of() == {"1": "open"}
    client.force_login(User.objects.get(memberships__role="administrator"))
    assert b"v1 is taken out" in client.get("/dashboard/agents/shaped").content

    breaker.trip("agent:shaped@1", seconds=0.01)
    model.behave({})
    time.sleep(0.3)  # past its end and past what this process remembers
    assert told_of() == {"1": "half_open"}
    assert not invoke(shaped).is_fallback  # the probe closed it
    assert breaker.state_of("agent:shaped@1") == "closed"
    assert told_of() == {}
    assert not Hold.objects.exists()


def test_a_failing_provider_does_not_take_the_agent_out(model: Any, shaped: Call) -> None:
    model.behave({"faults": [{"kind": "server_error"}]})
    for _ in range(breaker.FAILURES_TO_OPEN):
        assert invoke(shaped).is_fallback
    assert breaker.state_of("agent:shaped@1") == "closed"


def test_a_new_version_is_not_held_back_by_the_old_ones_breaker(model: Any, shaped: Call) -> None:
    breaker.trip("agent:shaped@1", seconds=60)
    assert invoke(shaped).is_fallback
    route(Agent.objects.get(slug="shaped"), max_output_tokens=900)
    assert not invoke(shaped).is_fallback


def test_what_a_callers_own_form_or_length_makes_fail_takes_no_version_from_others(
    model: Any, shaped: Call, agent: Any, api: Any
) -> None:
    form = {"type": "object", "required": ["sum"], "additionalProperties": False,
            "properties": {"sum": {"type": "integer"}}}  # fmt: skip
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": form}}
    model.behave({"faults": [{"kind": "wrong_schema"}]})
    number = versions.version_of(agent, "production").number
    ask_in_vain(api, agent.slug, response_format=wanted)
    assert breaker.state_of(f"agent:{agent.slug}@{number}") == "closed"

    model.behave({})
    ask_in_vain(api, "shaped", max_completion_tokens=1)
    assert breaker.state_of("agent:shaped@1") == "closed"
    breaker.trip("agent:shaped@1", seconds=0.01)
    time.sleep(0.3)
    ask_in_vain(api, "shaped", max_completion_tokens=1)  # such a probe found nothing out
    assert not invoke(shaped).is_fallback
    assert breaker.state_of("agent:shaped@1") == "closed"


def ask_in_vain(api: Any, slug: str, **asked: Any) -> None:
    """As many answers that can't be used as open a breaker, if they count."""
    for place in range(breaker.FAILURES_TO_OPEN):
        messages = [{"role": "user", "content": f"Say the value of item {place}."}]
        answer = api("post", "/v1/chat/completions",
                     {"model": f"agent:{slug}", "messages": messages, **asked})  # fmt: skip
        assert answer.status_code == 200 and answer.json()["is_fallback"], answer.content
        row = Invocation.objects.order_by("-id")[0]
        assert row.error_code == "bad_answer", row.error_code
