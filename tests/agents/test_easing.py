"""Easy tasks go to light models and hard ones to strong ones, where a version lets them."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from agents import invoke, queueing
from agents.domain.cost import Usage, cost_usd
from agents.domain.difficulty import Task, estimate, tier_for
from agents.endpoints.directory import directory
from agents.models import Agent, Batch, Budget, Hold, Invocation, ModelCall
from scaling import shared
from tests.agents.offline_model.process import Server

pytestmark = pytest.mark.django_db
Api = Callable[..., Any]
EASY = "What is VAT?"
HARD = "Reconcile these, then explain why each of them differs: " + ", ".join(
    f"account {n} has {n * 37}.50 and {n * 41}.25" for n in range(1, 30)
)
FAULT = {"kind": "wrong_schema", "when": {"model": "offline-light"}}
SCHEMA = {"type": "object", "required": ["summary"], "additionalProperties": False,
          "properties": {"summary": {"type": "string"}}}  # fmt: skip


@pytest.fixture
def publish(ground: None, api: Api) -> Callable[..., Any]:
    Agent.objects.create(slug="eased", name="Eased", domain="operations", purpose="x")

    def make(model: dict[str, Any], **more: Any) -> Any:
        body = {"prompt": "Answer.", "model": model, "label": "production", **more}
        return api("post", "/api/v1/agents/eased/versions", body)

    return make


def ask(api: Api, text: str) -> dict[str, Any]:
    """The record of a chat as the API shows it."""
    body = {"model": "agent:eased", "messages": [{"role": "user", "content": text}]}
    answer = api("post", "/v1/chat/completions", body)
    row = Invocation.objects.latest("id")
    shown: dict[str, Any] = api("get", f"/api/v1/invocations/{row.pk}").json()
    assert answer.status_code == 200 or shown["state"] == "failed", answer.content
    return shown


def test_a_task_goes_to_the_lightest_model_that_its_difficulty_is_worth(
    api: Api, publish: Any, client: Any
) -> None:
    assert (
        publish({"tier": "standard", "tiers": ["light", "standard", "strong"]}).status_code == 201
    )
    easy, hard = ask(api, EASY), ask(api, HARD)
    assert (easy["model"], hard["model"]) == ("offline-light", "offline-strong")
    assert easy["route"]["score"] < 0.3 and (hard["route"]["tier"]) == "strong"
    assert {"figures", "steps", "length"} <= set(hard["route"]["signs"])
    from config.access.models import User

    client.force_login(User.objects.create_superuser("root", password="x"))
    page = client.get(f"/dashboard/invocations/{hard['id']}").content.decode()
    assert f"difficulty {hard['route']['score']}" in page


def test_without_a_choice_of_tiers_each_call_goes_where_the_version_says(
    api: Api, publish: Any, settings: Any
) -> None:
    publish({"tier": "standard"})
    shown = ask(api, EASY)
    assert (shown["model"], shown["route"]) == ("offline-standard", None)
    publish({"tier": "standard", "tiers": ["light", "standard"]})
    settings.MODEL_ROUTING = False
    shown = ask(api, EASY)
    assert (shown["model"], shown["route"]) == ("offline-strong", None)


def test_what_a_light_model_fails_at_goes_to_a_stronger_one(
    api: Api, publish: Any, model: Server
) -> None:
    publish({"tier": "strong", "tiers": ["light", "strong"]}, output_schema=SCHEMA)
    model.behave({"faults": [
        {"kind": "wrong_schema", "rate": 0.6, "when": {"model": "offline-light"}}
    ]})  # fmt: skip
    went = [ask(api, f"What is due for {chr(97 + n)}{chr(97 + n)}?") for n in range(26)]
    assert went[0]["model"] == "offline-light"
    assert {one["state"] for one in went} == {"succeeded"}
    assert sum("escalated" in one["route"] for one in went) >= 2
    last = went[-1]
    assert (last["model"], last["state"]) == ("offline-strong", "succeeded")
    assert 0.1 < last["route"]["signs"]["failures"] <= 0.7


@pytest.fixture
def no_redis(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and the Redis that calls are counted in is away."""
    gone = redis.Redis.from_url("redis://127.0.0.1:1/0")
    nowhere = SimpleNamespace(client=lambda: gone, key=shared.key)
    return lambda: monkeypatch.setattr("agents.easing.shared", nowhere)


def test_without_redis_a_call_is_answered_paid_and_stored_all_the_same(
    api: Api, publish: Any, no_redis: Callable[[], None]
) -> None:
    assert publish({"tier": "strong", "tiers": ["light", "strong"]}).status_code == 201
    no_redis()
    shown = ask(api, EASY)
    assert (shown["state"], shown["model"]) == ("succeeded", "offline-light")
    assert Invocation.objects.get().cost_usd > 0 and not Hold.objects.exists()


def test_redis_that_goes_while_a_model_answers_costs_no_answer(
    api: Api, publish: Any, no_redis: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert publish({"tier": "strong", "tiers": ["light", "strong"]}).status_code == 201
    told = invoke.converse

    def then_gone(*args: Any, **options: Any) -> None:
        told(*args, **options)
        no_redis()

    monkeypatch.setattr(invoke, "converse", then_gone)
    assert ask(api, EASY)["state"] == "succeeded"
    assert not Hold.objects.exists()


def test_what_callers_ask_for_makes_no_model_dearer_for_others(
    api: Api, publish: Any, model: Server
) -> None:
    publish({"tier": "strong", "tiers": ["light", "strong"]})
    model.behave({"faults": [FAULT]})
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    for n in range(11):
        said = [{"role": "user", "content": f"What is {chr(97 + n)} due?"}]
        body = {"model": "agent:eased", "response_format": form, "messages": said}
        assert api("post", "/v1/chat/completions", body).status_code != 200
    model.behave({})
    assert "failures" not in ask(api, EASY)["route"]["signs"]


def test_a_tier_left_alone_for_its_failures_is_tried_again_after_an_hour(
    api: Api, publish: Any, model: Server
) -> None:
    publish({"tier": "strong", "tiers": ["light", "strong"]}, output_schema=SCHEMA)
    for n in range(12):
        model.behave({"faults": [FAULT] if n % 4 == 0 else []})
        ask(api, f"What is due for {chr(97 + n)}{chr(97 + n)}?")
    model.behave({})
    assert ask(api, EASY)["model"] == "offline-strong"
    kept = shared.client().keys(shared.key("easing", "*"))
    assert {shared.client().ttl(one) <= 3_600 for one in kept} == {True}
    shared.client().delete(*kept)  # as an hour does
    assert ask(api, "What is due?")["model"] == "offline-light"


def test_a_batch_is_asked_and_paid_at_one_model(api: Api, publish: Any) -> None:
    publish({"tier": "standard", "tiers": ["light", "standard", "strong"]})
    calls = batched(api)
    assert {one.model for one in calls} == {"offline-standard"}


def test_a_batch_begun_above_a_soft_cap_is_paid_as_the_model_that_answered(
    api: Api, publish: Any
) -> None:
    publish({"tier": "standard"})
    Budget.objects.create(scope="agent", key="eased", window="day", cap_usd=10,
                          soft_cap_usd=Decimal("0.000001"))  # fmt: skip
    calls = batched(api)
    assert {one.model for one in calls} == {Batch.objects.get().model} == {"offline-light"}


def batched(api: Api) -> list[ModelCall]:
    """The model calls of a batch of an easy and a hard question; each cost what its model does."""
    items = [{"custom_id": str(n), "inputs": {"text": text}} for n, text in enumerate((EASY, HARD))]
    asked = api("post", "/api/v1/batches", {"agent": "eased", "items": items})
    assert asked.status_code == 202, asked.content
    until = time.monotonic() + 60
    while Batch.objects.get().ended_at is None:
        queueing.run(Batch.objects.get().pk)
        assert time.monotonic() < until, "the batch did not end"
        time.sleep(0.02)
    calls = list(ModelCall.objects.all())
    prices = {one.model: one.price for one in directory()}
    assert len(calls) == 2
    for one in calls:
        used = Usage(one.input_tokens, one.cached_tokens, one.output_tokens, one.reasoning_tokens)
        assert one.cost_usd == cost_usd(used, prices[one.model], batch=True)
    return calls


def test_a_budget_above_its_soft_cap_is_told_as_the_reason(api: Api, publish: Any) -> None:
    publish({"tier": "standard"})
    Budget.objects.create(scope="agent", key="eased", window="day", cap_usd=10,
                          soft_cap_usd=Decimal("0.000001"))  # fmt: skip
    shown = ask(api, EASY)
    assert (shown["model"], shown["route"]["budget"]) == ("offline-light", "above its soft cap")


def test_above_a_soft_cap_no_tier_answers_that_the_version_does_not_name(
    api: Api, publish: Any
) -> None:
    publish({"tier": "strong", "tiers": ["standard", "strong"]})
    Budget.objects.create(scope="agent", key="eased", window="day", cap_usd=10,
                          soft_cap_usd=Decimal("0.000001"))  # fmt: skip
    shown = ask(api, EASY)
    assert (shown["model"], shown["route"]["tier"]) == ("offline-standard", "standard")


@pytest.mark.parametrize("tiers", [["light"], ["light", "light", "standard"], ["huge", "standard"],
                                   "light", [["light"], "standard"]])  # fmt: skip
def test_tiers_that_leave_no_choice_are_refused(publish: Any, tiers: Any) -> None:
    refused = publish({"tier": "standard", "tiers": tiers})
    assert (refused.status_code, refused.json()["field"]) == (422, "model.tiers")


def test_each_sign_makes_a_task_harder_and_none_more_than_its_weight() -> None:
    base = estimate(Task("Add 1 and 2")).score
    for more in (Task("Add 1 and 2" + " x" * 900), Task("Add 1 and 2 and 3, 4, 5, 6, 7, 8, 9"),
                 Task("Add 1 and 2, then explain why"), Task("Add 1 and 2", tools=5),
                 Task("Add 1 and 2", turns=5), Task("Add 1 and 2", failed_ratio=0.1),
                 Task("Add 1 and 2", declared="strong")):  # fmt: skip
        assert base < estimate(more).score <= 1
    assert estimate(Task("9 " * 9_000, tools=99, turns=99, failed_ratio=1.0)).score == 1
    assert [tier_for(s, ["strong", "light"]) for s in (0, 0.49, 0.5, 1)] == [
        "light", "light", "strong", "strong",
    ]  # fmt: skip
