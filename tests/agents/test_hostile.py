"""What a hostile client sends to the chat, conversation and Dialogflow doors, over HTTP.

Each is answered in the door's own shape, and nothing is asked, spent or written for it.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client as Browser

from agents.models import Agent, Budget, Conversation, Invocation
from config.access.models import Client, Membership, User
from tests.agents.conftest import SLUG

pytestmark = pytest.mark.django_db
SAY = {"role": "user", "content": "Hi"}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
DEEP = b"[" * 3_000 + b"]" * 3_000
LONG = b'{"messages": "' + b"x" * 2**23 + b'"}'


def chat(**changes: Any) -> bytes:
    return json.dumps({"model": f"agent:{SLUG}", "messages": [SAY], **changes}).encode()


def said(*messages: Any) -> bytes:
    return chat(messages=list(messages))


# (body, what the error's ``param`` names)
CHATS: list[tuple[bytes, str]] = [
    (b"", "body"),
    (b"{", "body"),
    (b"\xff\xfe{}", "body"),
    (b"[]", "body"),
    (b'"text"', "body"),
    (b"null", "body"),
    (b'{"model": NaN}', "body"),
    (b'{"n": -Infinity}', "body"),
    (b'{"n": ' + b"9" * 10_000 + b"}", "body"),
    (DEEP, "body"),
    (b'{"messages": ' + b"[" * 70 + b"]" * 70 + b"}", "body"),
    (LONG, "body"),
    (chat(model=None), "model"),
    (chat(model=["agent:x"]), "model"),
    (chat(model="agent:\x00"), "model"),
    (chat(messages=None), "messages"),
    (chat(messages={"role": "user"}), "messages"),
    (chat(messages=[]), "messages"),
    (chat(messages=[SAY] * 10_000), "messages"),
    (said("Hi"), "messages[0].role"),
    (said({"content": "Hi"}), "messages[0].role"),
    (said({"role": ["user"], "content": "Hi"}), "messages[0].role"),
    (said({"role": "king", "content": "Hi"}), "messages[0].role"),
    (said({"role": "user"}), "messages[0].content"),
    (said({"role": "user", "content": 7}), "messages[0].content"),
    (said({"role": "user", "content": {"text": "Hi"}}), "messages[0].content"),
    (said({"role": "user", "content": [7]}), "messages[0].content[0]"),
    (said({"role": "user", "content": [{"type": "text", "text": 7}]}), "messages[0].content[0]"),
    (said({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}),
     "messages[0].content[0]"),
    (said({"role": "user", "content": "a\x00b"}), "messages[0].content"),
    (said({"role": "user", "content": "a\ud800b"}), "messages[0].content"),
    (said({"role": "user", "content": "Hi", "\ud800": 1}), "messages[0]"),
    (said({"role": "tool", "content": "7"}), "messages[0].tool_call_id"),
    (said({"role": "tool", "content": "7", "tool_call_id": "a"}), "messages[0].tool_call_id"),
    (said(SAY, {"role": "assistant", "tool_calls": [CALL]},
          {"role": "tool", "content": "7", "tool_call_id": "b"}), "messages[2].tool_call_id"),
    (said({"role": "assistant", "tool_calls": "all"}), "messages[0].tool_calls"),
    (said({"role": "assistant", "tool_calls": [{"id": "a"}]}), "messages[0].tool_calls[0]"),
    (said({"role": "assistant", "tool_calls": [{**CALL, "function": {"name": 7}}]}),
     "messages[0].tool_calls[0]"),
    (said({"role": "user", "content": "Hi", "tool_calls": [CALL]}), "messages[0].tool_calls"),
    (said(*[{"role": "user", "content": "x" * 1_000}] * 500), "inputs"),
    (chat(stream="yes"), "stream"),
    (chat(stream=True, stream_options="all"), "stream_options"),
    (chat(metadata=[1]), "metadata"),
    (chat(metadata={"conversation": {"a": 1}}), "metadata.conversation"),
    (chat(metadata={"conversation": "x" * 201}), "conversation"),
    (chat(metadata={"conversation": "a\x00"}), "metadata.conversation"),
    (chat(metadata={"conversation_id": [1]}), "metadata.conversation_id"),
    (chat(metadata={"conversation_id": "one"}), "conversation_id"),
    (chat(metadata={"client_id": 7}), "metadata.client_id"),
    (chat(user={"a": 1}), "user"),
    (chat(user="\ud800"), "user"),
    (chat(max_tokens="many"), "max_tokens"),
    (chat(max_tokens=True), "max_tokens"),
    (chat(max_completion_tokens=0), "max_completion_tokens"),
    (chat(max_completion_tokens=1.5), "max_completion_tokens"),
    (chat(n="two"), "n"),
    (chat(tools={}), "tools"),
    (chat(tools="all"), "tools"),
    (chat(tools=[7]), "tools[0]"),
    (chat(tools=[{"type": "function", "function": {"name": "no such\nname"}}]),
     "tools[0].function.name"),
    (chat(tools=[{"type": "function", "function": {"name": "f", "parameters": []}}]),
     "tools[0].function.parameters"),
    (chat(tools=[{"type": "function", "function": {"name": "f"}}] * 65), "tools"),
]  # fmt: skip


@pytest.fixture
def post(agent: Agent, key: str) -> Callable[..., Any]:
    browser = Browser(raise_request_exception=False)

    def send(path: str, body: bytes, authorization: str = f"Bearer {key}") -> Any:
        return browser.generic(
            "POST", path, body, content_type="application/json",
            headers={"Authorization": authorization},
        )  # fmt: skip

    return send


def nothing_happened() -> bool:
    held = Budget.objects.filter(held_usd__gt=0) | Budget.objects.filter(spent_usd__gt=0)
    return not (held.exists() or Invocation.objects.exclude(state="failed").exists())


def test_a_chat_that_makes_no_sense_gets_an_error_of_the_protocol(post: Any) -> None:
    for body, param in CHATS:
        answer = post("/v1/chat/completions", body)
        assert answer.status_code == 400, (body[:200], answer.content[:300])
        error = answer.json()["error"]
        assert (error["type"], error["param"]) == ("invalid_request_error", param), body[:200]
        assert error["message"] and error["code"] == "invalid_input"
    assert nothing_happened() and not Conversation.objects.exists()


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer rk_x y z", "rk_alone",
              "Bearer \xff\xfe", "Bearer " + "k" * 20_000, "Bearer rk_\u00e9"],
)  # fmt: skip
def test_a_key_of_any_shape_is_refused_as_a_key(post: Any, given: str) -> None:
    answer = post("/v1/chat/completions", chat(), given)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    answer = post("/webhooks/dialogflow", b"{}", given)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def webhook(**changes: Any) -> bytes:
    body = {"fulfillmentInfo": {"tag": f"agent:{SLUG}"}, "sessionInfo": {"session": "s"},
            "text": "Hi", **changes}  # fmt: skip
    return json.dumps(body).encode()


WEBHOOKS: list[tuple[bytes, str]] = [
    (b"", "body"),
    (b"\xff", "body"),
    (b"[]", "body"),
    (DEEP, "body"),
    (LONG, "body"),
    (b'{"text": NaN}', "body"),
    (webhook(fulfillmentInfo="agent:x"), "fulfillmentInfo"),
    (webhook(fulfillmentInfo={"tag": ["agent"]}), "fulfillmentInfo.tag"),
    (webhook(fulfillmentInfo=None), "fulfillmentInfo.tag"),
    (webhook(sessionInfo=[]), "sessionInfo"),
    (webhook(sessionInfo={"session": {"a": 1}}), "sessionInfo.session"),
    (webhook(sessionInfo={"session": "a\x00"}), "sessionInfo.session"),
    (webhook(intentInfo="greeting"), "intentInfo"),
    (webhook(intentInfo={"displayName": 7}), "intentInfo.displayName"),
    (webhook(text=["Hi"]), "text"),
    (webhook(text="\ud800"), "text"),
]


def test_a_webhook_that_makes_no_sense_gets_a_problem_document(post: Any) -> None:
    for body, field in WEBHOOKS:
        answer = post("/webhooks/dialogflow", body)
        assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
        assert answer.json()["field"] == field, body[:200]
    odd = {"parameters": {"ratchet_pending": {"a": [1]}, "ratchet_said": [7]}, "session": "s"}
    assert post("/webhooks/dialogflow", webhook(sessionInfo=odd)).status_code == 200


def test_a_conversation_of_somebody_else_is_not_found_by_id_or_by_name(
    post: Any, agent: Agent, firm: Client
) -> None:
    client = Client.objects.create(slug="guest", name="Guest")
    Agent.objects.update(audience=Agent.Audience.EXTERNAL)
    one, two = (_outsider(client, name) for name in ("one", "two"))
    named = chat(metadata={"conversation": "mine"})
    assert post("/v1/chat/completions", named, f"Bearer {one}").status_code == 200
    talk = Conversation.objects.get()
    asked = Invocation.objects.count()
    by_id = chat(metadata={"conversation_id": str(talk.pk)})
    for body in (named, by_id, chat(metadata={"conversation_id": str(uuid4())})):
        answer = post("/v1/chat/completions", body, f"Bearer {two}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    path = f"/api/v1/agents/{SLUG}/invocations"
    body = json.dumps({"inputs": {"n": 1}, "conversation_id": str(talk.pk)}).encode()
    assert post(path, body, f"Bearer {two}").status_code == 404
    assert Invocation.objects.count() == asked and talk.turns.count() == 2
    assert post("/v1/chat/completions", by_id, f"Bearer {one}").status_code == 200


def _outsider(client: Client, name: str) -> str:
    from config.access import callers

    user = User.objects.create_user(name, password="x")
    Membership.objects.create(user=user, client=client, role="external")
    return callers.create_key(user=user, client=client, name="t", scopes=["agents:invoke"])[1]


@pytest.mark.django_db(transaction=True)
def test_a_reader_that_hangs_up_leaves_a_record_and_no_money_held(
    live_server: Any, agent: Agent, key: str, model: Any
) -> None:
    model.behave({"faults": [{"kind": "slow_stream", "seconds": 0.02}]})
    host, port = live_server.thread.host, live_server.thread.port
    body = chat(stream=True, messages=[{"role": "user", "content": json.dumps(
        agent.cases[0]["input"])}])  # fmt: skip
    with socket.create_connection((host, port)) as line:
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer "
            f"{key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        line.sendall(head.encode() + body)
        while b"data: " not in line.recv(4096):
            pass
    until = time.monotonic() + 60
    while not Invocation.objects.exists() and time.monotonic() < until:
        time.sleep(0.05)
    row = Invocation.objects.get()
    assert (row.state, row.error_code) == ("failed", "cancelled")
    # What the provider had written by then is paid for: hanging up is no way around a budget.
    assert row.cost_usd > 0 and row.output_tokens > 0 and row.endpoint == "offline-model"
    assert Budget.objects.get(scope="agent").spent_usd == row.cost_usd
    assert not Budget.objects.filter(held_usd__gt=0).exists()
