"""An agent with very many tools offers those that the question is about."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from agents import offering, resolving, versions
from agents.domain.messages import wire_name
from agents.endpoints.directory import forget
from agents.models import Agent, Endpoint, Invocation
from agents.tools import registry
from tests.agents.conftest import catalogue

pytestmark = pytest.mark.django_db
Api = Callable[..., Any]


class Listener(BaseHTTPRequestHandler):
    """An endpoint that keeps what it was asked, and asks for a tool that it was not offered."""

    asked: list[dict[str, Any]] = []

    def do_POST(self) -> None:
        self.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        message: dict[str, Any] = {"role": "assistant", "content": "It is done."}
        end = "stop"
        if len(self.asked) == 1:
            wanted = {"name": wire_name("core.sleep"), "arguments": '{"seconds": 0}'}
            message |= {"content": None, "tool_calls": [
                {"id": "a", "type": "function", "function": wanted}]}  # fmt: skip
            end = "tool_calls"
        body = json.dumps({
            "model": "listener", "choices": [{"message": message, "finish_reason": end}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 9},
        }).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def listener(agent: Agent) -> Iterator[list[dict[str, Any]]]:
    Listener.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        Endpoint.objects.update(state="paused")
        served = [{"name": "listener", "tier": "strong", "context_tokens": 128_000,
                   "capabilities": ["tools"]}]  # fmt: skip
        address = f"http://127.0.0.1:{server.server_port}/v1"
        Endpoint.objects.create(name="listener", base_url=address, served=served)
        Agent.objects.update(limits={})  # a model without a price counts as dear
        forget()
        yield Listener.asked
        server.shutdown()
        thread.join()


def everything(agent: Agent, **model: Any) -> None:
    """The agent has every tool that there is."""
    content = versions.Content(
        prompt="Help.", tools=sorted(registry.names()), model={"tier": "standard", **model}
    )
    versions.publish(agent=agent, content=content, label="production")


def test_those_are_offered_that_the_question_is_about_and_no_other_is_there(
    agent: Agent, api: Api, listener: list[dict[str, Any]]
) -> None:
    everything(agent, tools_offered=5)
    text = "Match the bank statement of March with the ledger and list what is unmatched."
    body = {"model": f"agent:{agent.slug}", "messages": [{"role": "user", "content": text}]}
    assert api("post", "/v1/chat/completions", body).status_code == 200
    offered = [tool["function"]["name"] for tool in listener[0]["tools"]]
    assert len(offered) == 5
    assert any("bank" in name for name in offered)
    assert wire_name("core.sleep") not in offered
    row = Invocation.objects.get()
    found = api("get", f"/api/v1/invocations/{row.pk}").json()
    (refused,) = found["tools"]
    assert (refused["state"], refused["error_code"]) == ("failed", "not_found")

    path = f"/api/v1/agents/{agent.slug}/versions"
    odd = api("post", path, {"prompt": "x", "model": {"tier": "standard", "tools_offered": 0}})
    assert (odd.status_code, odd.json()["field"]) == (422, "model.tools_offered")


def test_of_all_tools_those_of_an_agents_own_questions_are_nearly_always_offered(
    agent: Agent,
) -> None:
    everything(agent)
    whole = resolving.version_by_id(versions.version_of(agent, "production").pk)
    assert len(whole.tools) > 3 * whole.tools_offered
    met = wanted = 0
    for entry in catalogue().entries.values():
        for case in entry.cases:
            inputs = {"task": entry.purpose, **case.input}
            offered = {tool.name for tool in offering.narrowed(whole, inputs).tools}
            wanted += len(entry.tools)
            met += len(offered & set(entry.tools))
    assert met / wanted > 0.9
