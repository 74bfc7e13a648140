"""Questions that wait at the provider's Batch API come back as invocations, paid to the cent."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from agents import batching, queueing, services, versions
from agents.calls import Answer, Call
from agents.domain.cost import Usage, cost_usd
from agents.domain.grading import grade
from agents.endpoints.directory import directory, forget
from agents.errors import CallsLimited
from agents.models import Agent, Batch, BatchItem, Budget, Endpoint, Hold, Invocation, ModelCall
from config.errors import StepTimeout

pytestmark = pytest.mark.django_db
Api = Callable[..., Any]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """Messages that would go to a worker; the test is the worker."""
    messages: list[UUID] = []
    monkeypatch.setattr(queueing, "_send", lambda batch_id, after=0.0: messages.append(batch_id))
    return messages


def ask(api: Api, agent: Agent, cases: list[dict[str, Any]] | None = None) -> Any:
    items = [{"custom_id": f"case-{number}", "inputs": case["input"]}
             for number, case in enumerate(cases or agent.cases)]  # fmt: skip
    return api("post", "/api/v1/batches", {"agent": agent.slug, "items": items})


def work(batch_id: str) -> None:
    """Do what the worker does with each message, until the batch is over."""
    until = time.monotonic() + 60
    while Batch.objects.get(pk=batch_id).ended_at is None:
        assert queueing.run(UUID(batch_id))
        assert time.monotonic() < until, "the batch did not end"
        time.sleep(0.02)


def test_every_question_is_answered_as_a_call_is_for_half_the_price(
    agent: Agent, api: Api, sent: list[UUID], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        asked = ask(api, agent)
    assert asked.status_code == 202, asked.content
    batch_id = asked.json()["id"]
    assert sent == [UUID(batch_id)]
    assert queueing.run(UUID(batch_id))
    told = api("get", f"/api/v1/batches/{batch_id}").json()
    assert told["state"] == "submitted"
    assert told["counts"]["waiting"] == len(agent.cases)
    assert Hold.objects.count() == len(agent.cases)  # reserved while the provider has it
    assert not Invocation.objects.exists()
    work(batch_id)

    told = api("get", f"/api/v1/batches/{batch_id}").json()
    assert (told["state"], told["counts"]["succeeded"]) == ("done", len(agent.cases))
    assert told["round"] >= 2  # its tools were asked for, run, and told of
    results = api("get", f"/api/v1/batches/{batch_id}/results").json()["results"]
    results.sort(key=lambda result: result["custom_id"])
    for case, result in zip(agent.cases, results, strict=True):
        assert grade(result["output"]["text"], case["facts"]).passed
        row = Invocation.objects.get(pk=result["invocation_id"])
        calls = ModelCall.objects.filter(invocation_id=row.pk)
        assert row.cost_usd == sum(c.cost_usd for c in calls) == Decimal(result["cost_usd"]) > 0
    assert not Hold.objects.exists()
    for budget in Budget.objects.exclude(key="*").filter(spent_usd__gt=0):
        assert budget.spent_usd == sum(row.cost_usd for row in Invocation.objects.all())
        assert budget.held_usd == 0
    price = next(one.price for one in directory() if one.model == row.model)
    for call in ModelCall.objects.all():
        used = Usage(call.input_tokens, call.cached_tokens, call.output_tokens,
                     call.reasoning_tokens)  # fmt: skip
        assert call.cost_usd == cost_usd(used, price, batch=True)
        assert abs(2 * call.cost_usd - cost_usd(used, price)) <= Decimal("0.000000002")


def test_a_line_that_fails_is_a_typed_error_with_its_hold_released(
    agent: Agent, model: Any, api: Api, sent: list[UUID]
) -> None:
    batch_id = ask(api, agent).json()["id"]
    model.behave({"faults": [{"kind": "server_error"}]})
    work(batch_id)
    results = api("get", f"/api/v1/batches/{batch_id}/results").json()["results"]
    assert {(r["state"], r["error"]["code"]) for r in results} == {("failed", "unavailable")}
    assert set(Invocation.objects.values_list("state", flat=True)) == {"failed"}
    assert not Hold.objects.exists()
    assert set(Budget.objects.values_list("spent_usd", "held_usd")) == {(0, 0)}


def test_cancelling_gives_back_what_nobody_answered(
    agent: Agent, api: Api, sent: list[UUID]
) -> None:
    batch_id = ask(api, agent).json()["id"]
    queueing.run(UUID(batch_id))
    assert Hold.objects.exists()
    assert api("post", f"/api/v1/batches/{batch_id}/cancel").json()["state"] == "cancelling"
    work(batch_id)
    assert Batch.objects.get().state == "cancelled"
    assert set(BatchItem.objects.values_list("state", flat=True)) == {"cancelled"}
    assert not Hold.objects.exists()


def test_a_batch_handed_in_by_a_worker_that_died_is_not_handed_in_again(
    agent: Agent, model: Any, api: Api, sent: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = ask(api, agent).json()["id"]
    monkeypatch.setattr(queueing, "_move", lambda *args, **fields: False)  # died before saying so
    queueing.run(UUID(batch_id))
    monkeypatch.undo()
    monkeypatch.setattr(queueing, "_send", lambda *args: None)
    with model.client() as provider:
        marks = [b.metadata["ratchet_round"] for b in provider.batches.list().data
                 if b.metadata and b.metadata["ratchet_round"].startswith(batch_id)]  # fmt: skip
        assert len(marks) == 1
        work(batch_id)
        marks = [b.metadata["ratchet_round"] for b in provider.batches.list().data
                 if b.metadata and b.metadata["ratchet_round"].startswith(batch_id)]  # fmt: skip
    assert len(marks) == len(set(marks))
    assert Batch.objects.get().state == "done"


def test_replies_taken_in_by_a_worker_that_died_are_taken_in_once(
    agent: Agent, api: Api, sent: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = ask(api, agent).json()["id"]
    queueing.run(UUID(batch_id))
    real = queueing._move

    def die(batch: Batch, state: str, **fields: Any) -> bool:
        if state == Batch.State.OPEN:
            raise SystemExit
        return real(batch, state, **fields)

    deaths = 0
    for _ in range(40):  # the provider may need a moment
        monkeypatch.setattr(queueing, "_move", die)
        try:
            queueing.run(UUID(batch_id))
        except SystemExit:
            deaths += 1
        monkeypatch.setattr(queueing, "_move", real)
        if deaths == 2:
            break
        time.sleep(0.1)
    assert deaths == 2
    work(batch_id)
    assert Batch.objects.get().state == "done"
    for row in Invocation.objects.all():  # each reply was paid for once
        assert row.model_calls <= Batch.objects.get().round
    results = api("get", f"/api/v1/batches/{batch_id}/results").json()["results"]
    for case, result in zip(
        agent.cases, sorted(results, key=lambda r: r["custom_id"]), strict=True
    ):
        assert grade(result["output"]["text"], case["facts"]).passed


def test_the_sweep_finds_a_batch_whose_message_was_lost(
    agent: Agent, api: Api, sent: list[UUID]
) -> None:
    batch_id = UUID(ask(api, agent).json()["id"])
    sent.clear()
    assert queueing.sweep() == 1
    assert sent == [batch_id]
    work(str(batch_id))
    assert queueing.sweep() == 0


def test_what_can_not_be_asked_in_a_batch_is_refused_whole(agent: Agent, api: Api) -> None:
    one = {"custom_id": "a", "inputs": {}}
    for body, field in (
        ({"agent": agent.slug, "items": [one, one]}, "items[1].custom_id"),
        ({"agent": agent.slug, "items": []}, "items"),
    ):
        answer = api("post", "/api/v1/batches", body)
        assert answer.status_code == 422
        assert field.split("[")[0] in answer.content.decode()
    assert api("post", "/api/v1/batches", {"agent": "nobody", "items": [one]}).status_code == 404
    assert not Batch.objects.exists()


def test_without_an_endpoint_that_offers_batches_each_question_says_so(
    agent: Agent, api: Api, sent: list[UUID]
) -> None:
    row = Endpoint.objects.get()
    row.served = [{**m, "capabilities": ["tools"]} for m in row.served]
    row.save()
    forget()
    batch_id = ask(api, agent).json()["id"]
    work(batch_id)
    assert {item.error["code"] for item in BatchItem.objects.all()} == {"unavailable"}
    assert not Hold.objects.exists()


def test_calls_that_wait_for_a_batch_together_pay_its_price_too(firm: Any, ground: Any) -> None:
    agent = Agent.objects.create(slug="bulk", name="Bulk", domain="operations", purpose="x")
    versions.publish(agent=agent, content=versions.Content(prompt="Say what you are told."),
                     label="production")  # fmt: skip
    asked = [Call(agent="bulk", inputs={"said": f"item {n}"}, client_id=firm.pk) for n in range(3)]
    answers = services.answer_all(asked)
    assert all(isinstance(one, Answer) for one in answers), answers
    calls = list(ModelCall.objects.all())
    assert len(calls) == 3
    for call in calls:
        price = next(one.price for one in directory() if one.model == call.model)
        used = Usage(call.input_tokens, call.cached_tokens, call.output_tokens,
                     call.reasoning_tokens)  # fmt: skip
        assert price.batch_ratio == Decimal("0.5")
        assert call.cost_usd == cost_usd(used, price, batch=True) > 0
    spent = sum(call.cost_usd for call in calls)
    assert sum(row.cost_usd for row in Invocation.objects.all()) == spent
    assert {b.held_usd for b in Budget.objects.all()} <= {0}
    assert spent in set(Budget.objects.values_list("spent_usd", flat=True))


def test_a_batch_that_is_lost_pays_and_counts_what_was_answered_before(
    firm: Any, ground: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, done = [], []
    for tier in ("light", "strong"):
        agent = Agent.objects.create(slug=tier, name=tier, domain="operations", purpose="x",
                                     limits={"tokens_per_minute": 1})  # fmt: skip
        Budget.objects.create(scope="agent", key=tier, window="total", cap_usd=100)
        content = versions.Content(prompt="Say what you are told.", model={"tier": tier})
        versions.publish(agent=agent, content=content, label="production")
        asked.append(Call(agent=tier, inputs={"said": "an item"}, client_id=firm.pk))
    ask_all = batching.ask_all

    def lost(*given: Any, **more: Any) -> Any:
        if done:
            raise StepTimeout("the batch", 1)
        done.append(given)
        return ask_all(*given, **more)

    monkeypatch.setattr(batching, "ask_all", lost)
    with pytest.raises(StepTimeout):
        services.answer_all(asked)
    spent = dict(Budget.objects.filter(scope="agent").values_list("key", "spent_usd"))
    assert spent["light"] > 0 == spent["strong"]
    assert not Hold.objects.exists()
    with pytest.raises(CallsLimited):
        services.answer_all(asked[:1])
