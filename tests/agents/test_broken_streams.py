"""Streams that break: no half answer passes for a whole one, and what was used is paid for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import openai
import pytest

from agents import versions
from agents.endpoints.directory import forget
from agents.models import Agent, Budget, Endpoint, Invocation, ModelCall
from agents.streaming import HOLD_BACK_CHARACTERS, PIECE_CHARACTERS
from tests.agents.offline_model.process import Server

pytestmark = pytest.mark.django_db(transaction=True)
GREETING = "Good morning"
# Three sentences that the offline model quotes, long enough that half of them is heard.
LONG = "What did the customer of the northern region pay for?\n" + "\n".join(
    f"[{number}] The customer of the northern region paid for item {number}"
    + "".join(f", and then for part {part} of it as the region had ordered" for part in range(9))
    + "." for number in (1, 2, 3)
)  # fmt: skip
# Nothing is let out of an answer whose half is shorter than this.
UNHEARD_CHARACTERS = HOLD_BACK_CHARACTERS + PIECE_CHARACTERS


@pytest.fixture
def chat(live_server: Any, agent: Agent, key: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live_server.url}/v1", api_key=key, max_retries=0) as client:
        yield client


def told(chat: openai.OpenAI, agent: Agent, text: str, **options: Any) -> Iterator[str]:
    """What a reader of the stream gets, piece by piece."""
    messages: Any = [{"role": "user", "content": text}]
    stream: Any = chat.chat.completions.create(
        model=f"agent:{agent.slug}", messages=messages, stream=True, **options
    )
    for chunk in stream:
        yield from (choice.delta.content or "" for choice in chunk.choices)


def check_paid() -> Invocation:
    """Whatever was used is on record and in the budgets, to the last digit; nothing stays held."""
    row = Invocation.objects.get()
    calls = list(ModelCall.objects.all())
    assert row.cost_usd == sum((call.cost_usd for call in calls), Decimal(0)) > 0
    budgets = Budget.objects.filter(scope__in=("agent", "user")).exclude(key="*")
    assert {(b.spent_usd, b.held_usd) for b in budgets} == {(row.cost_usd, Decimal(0))}
    return row


def test_a_stream_that_dies_halfway_ends_in_an_error_and_not_in_half_an_answer(
    chat: openai.OpenAI, agent: Agent, model: Server
) -> None:
    model.behave({"faults": [{"kind": "cut_stream"}]})
    heard: list[str] = []
    with pytest.raises(openai.APIError) as broken:
        heard.extend(told(chat, agent, LONG))
    assert broken.value.code == "unavailable"
    assert "".join(heard) and agent.fallback not in "".join(heard)
    row = check_paid()
    assert (row.state, row.error_code) == ("failed", "unavailable")
    assert ModelCall.objects.get(state="failed").output_tokens > 0


def test_a_stream_that_dies_before_its_reader_had_any_of_it_is_asked_for_again(
    chat: openai.OpenAI, agent: Agent, model: Server
) -> None:
    model.behave({"faults": [{"kind": "cut_stream", "times": 1}]})
    text = "".join(told(chat, agent, GREETING))
    assert UNHEARD_CHARACTERS < len(text) < 2 * UNHEARD_CHARACTERS
    assert text == Invocation.objects.get().output["text"] != agent.fallback
    assert check_paid().state == "succeeded"
    states = ModelCall.objects.order_by("number").values_list("state", flat=True)
    assert list(states) == ["failed", "succeeded"]


def test_an_answer_that_is_asked_for_again_is_told_once(
    chat: openai.OpenAI, agent: Agent, model: Server
) -> None:
    model.behave({"faults": [{"kind": "wrong_schema", "when": {"user_contains": GREETING}}]})
    names = [f"a_figure_that_nobody_knows_{number}" for number in range(12)]
    schema = {"type": "object", "required": names,
              "properties": {name: {"type": "string"} for name in names}}  # fmt: skip
    form = {"type": "json_schema", "json_schema": {"name": "figures", "schema": schema}}
    text = "".join(told(chat, agent, GREETING, response_format=form))
    assert set(json.loads(text)) == set(names)
    assert check_paid().model_calls == 2


@pytest.mark.parametrize("scope", ["call", "budget"])
def test_a_stream_that_breaks_is_not_begun_again_for_more_than_the_call_may_cost(
    chat: openai.OpenAI, agent: Agent, model: Server, scope: str
) -> None:
    production = versions.version_of(agent, "production")
    content = replace(versions.content_of(production), tools=[])
    versions.publish(agent=agent, content=content, label="production")
    Agent.objects.update(limits={"call_usd": "0.000000001"})
    with pytest.raises(openai.APIStatusError) as refused:
        list(told(chat, agent, GREETING))
    needed = re.search(r"may need ([0-9.]+)", str(refused.value))
    assert needed is not None
    most = Decimal(needed[1])  # what one reply may cost
    Invocation.objects.all().delete()
    Agent.objects.update(limits={"call_usd": str(most)} if scope == "call" else {})
    if scope == "budget":
        Budget.objects.filter(scope="agent").update(cap_usd=most, spent_usd=0)
    model.behave({"faults": [{"kind": "cut_stream", "times": 1}]})
    with pytest.raises(openai.APIError) as stopped:
        list(told(chat, agent, GREETING))
    assert stopped.value.code == "budget_exceeded"
    row = check_paid()
    assert (row.state, row.error_code, row.model_calls) == ("failed", "budget_exceeded", 1)
    assert row.cost_usd <= most


class Talker(BaseHTTPRequestHandler):
    """An endpoint that says what it is going to do, calls a tool, and then answers in JSON."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        look = {"index": 0, "id": "a", "type": "function",
                "function": {"name": "look", "arguments": "{}"}}  # fmt: skip
        deltas: list[Any] = [{"content": "Let me look that up."}, {"tool_calls": [look]}]
        end = "tool_calls"
        if any(message["role"] == "tool" for message in asked["messages"]):
            deltas = [{"content": '{"summary": '}, {"content": '"All is well."}'}]
            end = "stop"
        chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": end}]})
        chunks.append({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 5}})
        events = [json.dumps(chunk) for chunk in chunks] + ["[DONE]"]
        body = "".join(f"data: {event}\n\n" for event in events).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def talker(agent: Agent) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Talker) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        Endpoint.objects.update(state="paused")
        Endpoint.objects.create(
            name="talker", base_url=f"http://127.0.0.1:{server.server_port}/v1",
            served=[{"name": "talker", "tier": "strong", "context_tokens": 128_000,
                     "capabilities": ["tools"]}],
        )  # fmt: skip
        Agent.objects.update(limits={})  # a model without a price counts as dear
        forget()
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("talker")
def test_a_streamed_form_is_not_begun_with_what_was_said_before_a_tool_was_called(
    chat: openai.OpenAI, agent: Agent
) -> None:
    schema = {"type": "object", "required": ["summary"],
              "properties": {"summary": {"type": "string"}}}  # fmt: skip
    form = {"type": "json_schema", "json_schema": {"name": "figures", "schema": schema}}
    text = "".join(told(chat, agent, GREETING, response_format=form))
    assert json.loads(text) == {"summary": "All is well."}
    assert check_paid().model_calls == 2
