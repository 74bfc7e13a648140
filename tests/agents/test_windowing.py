"""Chats longer than a model reads: their latest turns, and a summary of the others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from agents.endpoints.directory import forget
from agents.models import Agent, Endpoint, Invocation, ModelCall

pytestmark = pytest.mark.django_db
Api = Callable[..., Any]
FEE = "The fee that we agreed on is 4,711 euros."
TURNS: list[dict[str, Any]] = [
    {"role": ("user", "assistant")[n % 2],
     "content": f"Turn {n}: " + (FEE if n == 0 else "we spoke of the weather and the desk. " * 12)}
    for n in range(120)
]  # fmt: skip


@pytest.fixture
def publish(ground: None, api: Api) -> Callable[..., Any]:
    """Publishes a version of the agent ``talker``; every model reads 8,192 tokens."""
    Agent.objects.create(slug="talker", name="T", domain="operations", purpose="x")
    small = [{**one, "context_tokens": 8_192} for one in Endpoint.objects.get().served]
    Endpoint.objects.update(served=small)
    forget()

    def make(**model: Any) -> Any:
        body = {"prompt": "Answer.", "model": {"tier": "standard", **model}, "label": "production"}
        return api("post", "/api/v1/agents/talker/versions", body)

    return make


def chat(api: Api, *messages: dict[str, Any]) -> Any:
    return api("post", "/v1/chat/completions",
               {"model": "agent:talker", "messages": list(messages)})  # fmt: skip


def read() -> list[dict[str, Any]]:
    """What the model read of the last chat."""
    told: list[dict[str, Any]] = ModelCall.objects.latest("id").messages[1:]
    return told


def test_a_chat_that_is_too_long_is_answered_from_its_latest_turns_and_a_summary(
    api: Api, publish: Any, client: Any
) -> None:
    publish()
    question = {"role": "user", "content": "Which fee did we agree on?"}
    answer = chat(api, *TURNS, question)
    assert answer.status_code == 200, answer.content
    first, *latest = read()
    assert "Earlier in this conversation: " in first["content"] and FEE in first["content"]
    assert latest[-1] == question and latest[-2] == TURNS[-1]
    row = Invocation.objects.get()
    shown = api("get", f"/api/v1/invocations/{row.pk}").json()
    history = shown["route"]["history"]
    assert (history["messages"], history["kept"]) == (121, len(latest))
    assert row.input_tokens + row.cached_tokens < 8_192
    from config.access.models import User

    client.force_login(User.objects.create_superuser("root", password="x"))
    page = client.get(f"/dashboard/invocations/{row.pk}").content.decode()
    assert f"{history['kept']} of 121 messages as they are" in page
    short = chat(api, *TURNS[:4], question)
    assert short.status_code == 200
    assert len(read()) == 5 and Invocation.objects.latest("id").route is None


def test_a_version_says_how_much_of_a_history_is_read_and_what_stands_for_the_rest(
    api: Api, publish: Any
) -> None:
    question = {"role": "user", "content": "Which fee did we agree on?"}
    publish(history_tokens=900, history="window")
    assert chat(api, *TURNS[:40], question).status_code == 200
    assert FEE not in json.dumps(read()) and 2 < len(read()) < 12
    publish(history_tokens=900)
    assert chat(api, *TURNS[:40], question).status_code == 200
    assert FEE in read()[0]["content"]
    for wrong in ({"history_tokens": 5}, {"history_tokens": True}, {"history": "none"},
                  {"compress": "no"}):  # fmt: skip
        refused = publish(**wrong)
        assert (refused.status_code, refused.json()["field"]) == (422, f"model.{next(iter(wrong))}")


def test_figures_given_early_in_a_chat_of_short_turns_stay_in_its_summary(
    api: Api, publish: Any
) -> None:
    publish(history_tokens=1_200)
    figures = json.dumps({"opening": 120.5, "closing": 98.25, "bought": [12, 7, 40]})
    turns = [{"role": ("user", "assistant")[n % 2], "content": f"Noted {chr(97 + n % 26)}."}
             for n in range(60)]  # fmt: skip
    turns[4]["content"] = f"Here are the figures: {figures}"
    assert chat(api, *turns, {"role": "user", "content": "Work it out."}).status_code == 200
    assert json.loads(figures) == json.loads(re.findall(r"\{.*?\}", read()[0]["content"])[0])


def test_orders_stay_and_no_result_stays_without_its_call(api: Api, publish: Any) -> None:
    publish(history_tokens=700)
    call = {"id": "x", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    system = {"role": "system", "content": "Be brief."}
    looked: list[dict[str, Any]] = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "x", "content": "word " * 500},
    ]
    answer = chat(api, system, *TURNS[:6], *looked, {"role": "user", "content": "And now?"})
    assert answer.status_code == 200, answer.content
    assert read()[0] == system
    roles = [message["role"] for message in read()]
    assert "tool" not in roles or roles.index("tool") > roles.index("assistant")


@pytest.mark.parametrize("how", ["summary", "window"])
def test_a_loop_of_the_callers_tools_keeps_its_question_and_every_call_with_its_results(
    api: Api, publish: Any, how: str
) -> None:
    publish(history_tokens=700, history=how)
    question: dict[str, Any] = {"role": "user", "content": "Which fees are due?"}

    def looked(*ids: str, words: int = 300) -> list[dict[str, Any]]:
        calls = [{"id": one, "type": "function", "function": {"name": "look", "arguments": "{}"}}
                 for one in ids]  # fmt: skip
        results: list[dict[str, Any]] = [
            {"role": "tool", "tool_call_id": one, "content": "word " * words} for one in ids
        ]
        asking: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": calls}
        return [asking, *results]

    answer = chat(api, *TURNS[:6], question, *looked("a"), *looked("b", "c"))
    assert answer.status_code == 200, answer.content
    kept = [one for one in read() if "Earlier in this" not in str(one["content"])]
    assert kept[0] == question
    assert [one["role"] for one in kept[1:]] == ["assistant", "tool", "tool"]
    assert [one["tool_call_id"] for one in kept if one["role"] == "tool"] == ["b", "c"]
    answer = chat(api, *TURNS[:6], question, *looked("a"), *looked("b", words=30))
    assert answer.status_code == 200, answer.content
    assert question in read() and read()[-1]["tool_call_id"] == "b"
    refused = chat(api, question, *looked("a", "b", words=5_000))
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "messages")


def test_other_scripts_fit_as_well(api: Api, publish: Any) -> None:
    publish()
    turns = [{"role": ("user", "assistant")[n % 2], "content": "天気と事務所の話をしました。" * 40}
             for n in range(80)]  # fmt: skip
    answer = chat(api, *turns, {"role": "user", "content": "何の話でしたか。"})
    assert answer.status_code == 200, answer.content


def test_a_message_that_no_model_reads_is_the_callers_mistake(api: Api, publish: Any) -> None:
    publish()
    refused = chat(api, {"role": "user", "content": "word " * 20_000})
    assert refused.status_code == 400, refused.content
    assert refused.json()["error"]["param"] == "messages"


def test_a_version_may_have_texts_read_to_the_letter(api: Api, publish: Any) -> None:
    text = "Total      12\n\n\n\n----------\nNet   10"
    publish()
    chat(api, {"role": "user", "content": text})
    assert read()[0]["content"] == "Total 12\n\nNet 10"
    publish(compress=False)
    chat(api, {"role": "user", "content": text})
    assert read()[0]["content"] == text
