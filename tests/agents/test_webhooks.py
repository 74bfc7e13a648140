"""Dialogflow's webhook over HTTP: in time, in its own shape, and the rest with the next turn."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient as AsyncBrowser
from django.test import Client as Browser

from agents import versions, webhooks
from agents.domain.guardrails.injection import score_injection
from agents.models import Agent, Conversation, Invocation, ModelCall, Turn
from config.access.models import Client
from tests.agents.conftest import make_key
from tests.agents.offline_model.process import Server

pytestmark = pytest.mark.django_db(transaction=True)
SESSION = "projects/p/locations/l/agents/a/sessions/one"
Ask = Callable[..., Any]


@pytest.fixture
def ask(key: str, agent: Agent) -> Ask:
    browser = Browser()
    webhooks._quickness.forget()

    def post(text: str, parameters: Any = None, *, token: str = key, **more: Any) -> Any:
        body = {
            "detectIntentResponseId": str(uuid4()),
            "fulfillmentInfo": {"tag": f"agent:{agent.slug}"},
            "sessionInfo": {"session": SESSION, "parameters": parameters or {}},
            "text": text,
            "languageCode": "en",
            **more,
        }
        return browser.post(
            "/webhooks/dialogflow",
            json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}"},
        )

    return post


def texts(answer: Any) -> str:
    assert answer.status_code == 200, answer.content
    document = answer.json()
    assert document["fulfillmentResponse"]["mergeBehavior"] == "REPLACE"
    return " ".join(m["text"]["text"][0] for m in document["fulfillmentResponse"]["messages"])


def question(agent: Agent, case: int = 0) -> str:
    return json.dumps(agent.cases[case]["input"])


def test_a_quick_answer_comes_whole_and_is_kept_as_turns(
    ask: Ask, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "ANSWER_SECONDS", 30.0)  # the first call loads what it needs
    answer = ask(question(agent))
    assert "reconcil" in texts(answer).lower()
    assert answer.json()["sessionInfo"]["parameters"] == {
        webhooks.PENDING: None, webhooks.SAID: None,
    }  # fmt: skip
    talk = Conversation.objects.get(channel="dialogflow", external_id=SESSION)
    assert [turn.role for turn in talk.turns.all()] == ["user", "assistant"]
    assert talk.quality_ratio == 0.9375


def test_an_agent_that_answers_at_once_is_asked_for_whole_answers_until_it_is_slow(
    ask: Ask, agent: Agent, model: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "QUICK_SECONDS", 30.0)
    monkeypatch.setattr(webhooks, "ANSWER_SECONDS", 30.0)

    def are_streams() -> list[bool]:
        calls = ModelCall.objects.order_by("id")
        told = [one.first_token_seconds is not None for one in calls]
        ModelCall.objects.all().delete()
        return told

    for number in range(webhooks.LATEST + 2):
        assert ask(f"Is {number} right?").status_code == 200
    streams = are_streams()
    assert streams[0] is True
    assert streams[-1] is False
    monkeypatch.setattr(webhooks, "QUICK_SECONDS", 0.5)
    model.behave({"latency": {"first_token": {"fixed_seconds": 1}}})
    for number in range(2):
        assert ask(f"Is {number}.50 right?").status_code == 200
    assert are_streams()[-1] is True


def test_an_agents_own_words_do_not_stop_the_conversation_at_the_next_turn(
    ask: Ask, agent: Agent
) -> None:
    content = versions.content_of(versions.version_of(agent, "production"))
    versions.publish(agent=agent, content=replace(content, tools=[]), label="production")
    first = texts(ask("Hello"))
    # Read as a question, it is worded like attacks on agents, which talk of models and tools, too.
    assert score_injection(first).flagged
    assert texts(ask("Hello again")) == texts(ask("And a third time")) == first != webhooks.FAILED


def test_a_slow_answer_is_begun_in_time_and_ends_with_the_next_turn(
    ask: Ask, agent: Agent, model: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "ANSWER_SECONDS", 0.5)
    model.behave({"latency": {"first_token": {"fixed_seconds": 3}}})
    started = time.monotonic()
    early = ask(question(agent))
    assert time.monotonic() - started < 3
    assert texts(early).endswith(webhooks.STILL)
    pending = early.json()["sessionInfo"]["parameters"]
    assert pending[webhooks.PENDING]

    monkeypatch.setattr(webhooks, "ANSWER_SECONDS", 60.0)
    rest = ask("go on", pending)
    assert "reconcil" in texts(rest).lower()
    assert rest.json()["sessionInfo"]["parameters"][webhooks.PENDING] is None
    assert Invocation.objects.count() == 1


class Waited(AsyncBrowser):
    """A server whose requests have half a second left when their turn comes."""

    def _base_scope(self, **request: Any) -> dict[str, Any]:
        received_at = time.monotonic() - webhooks.ANSWER_SECONDS + 0.5
        return {**super()._base_scope(**request), "received_at": received_at}  # type: ignore[misc]


def test_what_a_request_waited_for_a_thread_is_taken_off_its_time(
    agent: Agent, key: str, model: Server
) -> None:
    body = {
        "fulfillmentInfo": {"tag": f"agent:{agent.slug}"},
        "sessionInfo": {"session": SESSION, "parameters": {}},
        "text": question(agent),
    }
    model.behave({"latency": {"first_token": {"fixed_seconds": 3}}})
    answer = async_to_sync(Waited().post)(
        "/webhooks/dialogflow", json.dumps(body), content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )  # fmt: skip
    assert texts(answer).endswith(webhooks.STILL)


def test_a_stream_is_told_by_whole_sentences_and_nothing_twice(
    ask: Ask, agent: Agent, model: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = texts(ask(question(agent, 1)))
    monkeypatch.setattr(webhooks, "ANSWER_SECONDS", 1.2)
    model.behave({"latency": {"per_token": {"fixed_seconds": 0.01}}})
    from agents import cache
    from agents.models import CachedAnswer
    from scaling import shared

    CachedAnswer.objects.all().delete()
    cache.forget_memory()
    shared.client().flushdb()
    early = ask(question(agent, 1), sessionInfo={"session": SESSION + "2"})
    first = texts(early)
    pending = early.json()["sessionInfo"]["parameters"]
    if not pending[webhooks.PENDING]:  # a fast machine said it all
        assert first == whole
        return
    said = first.removesuffix(webhooks.STILL).strip()
    assert whole.startswith(said)
    monkeypatch.setattr(webhooks, "ANSWER_SECONDS", 4.0)
    for _ in range(20):  # a busy machine takes more than one of Dialogflow's turns
        rest = ask("go on", sessionInfo={"session": SESSION + "2", "parameters": pending})
        if (late := texts(rest)) != webhooks.STILL:
            break
    assert f"{said} {late}".split() == whole.split()


def test_a_new_question_gets_the_pending_answer_first(
    ask: Ask, agent: Agent, model: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "ANSWER_SECONDS", 0.3)
    model.behave({"latency": {"first_token": {"fixed_seconds": 2}}})
    pending = ask(question(agent)).json()["sessionInfo"]["parameters"]
    monkeypatch.setattr(webhooks, "ANSWER_SECONDS", 60.0)
    both = ask(question(agent, 1), pending).json()["fulfillmentResponse"]["messages"]
    assert len(both) == 2


def test_an_answer_of_another_conversation_is_never_told(ask: Ask, agent: Agent) -> None:
    ask(question(agent))
    other = str(Invocation.objects.get().pk)
    webhook = ask("go on", {webhooks.PENDING: other}, sessionInfo={
        "session": SESSION + "x", "parameters": {webhooks.PENDING: "not an id"}})  # fmt: skip
    assert texts(webhook) == webhooks.LOST


def test_a_failing_model_and_a_full_house_are_said_politely(
    ask: Ask, agent: Agent, model: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.behave({"faults": [{"kind": "server_error"}]})
    assert texts(ask(question(agent))) == agent.fallback
    from contextlib import contextmanager

    from config.errors import TooManyRequests

    @contextmanager
    def full() -> Any:
        raise TooManyRequests("interactive calls", "0", 1)
        yield

    monkeypatch.setattr(webhooks.interactive, "place", full)
    assert texts(ask(question(agent, 1))) == webhooks.BUSY


def test_after_a_hand_over_the_agent_is_silent(ask: Ask, agent: Agent) -> None:
    ask(question(agent))
    Conversation.objects.update(state="handed_over")
    assert texts(ask("Hello?")) == webhooks.PERSON
    assert Turn.objects.order_by("-number")[0].text == "Hello?"
    assert Invocation.objects.count() == 1


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"token": "rk_wrong"}, 401),
        ({"fulfillmentInfo": {}}, 422),
        ({"fulfillmentInfo": {"tag": "agent:nobody"}}, 404),
        ({"text": {"no": "string"}}, 422),
        ({"sessionInfo": {}}, 422),
    ],
)
def test_bad_requests_get_a_problem_document(ask: Ask, more: dict[str, Any], status: int) -> None:
    answer = ask(more.pop("text", "Hi"), **more)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"


def test_a_key_without_the_right_to_ask_is_refused(ask: Ask, firm: Client) -> None:
    reader = make_key(firm, "auditor", ["agents:read"])
    assert ask("Hi", token=reader).status_code == 401
