"""An agent with very many tools offers all, or at first those that the question is about."""

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
    """An endpoint that keeps what it was asked, and begins by asking for a tool."""

    asked: list[dict[str, Any]] = []
    wanted = ("core.sleep", {"seconds": 0})

    def do_POST(self) -> None:
        self.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        message: dict[str, Any] = {"role": "assistant", "content": "It is done."}
        end = "stop"
        if len(self.asked) == 1:
            name, arguments = self.wanted
            wanted = {"name": wire_name(name), "arguments": json.dumps(arguments)}
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
    Listener.asked, Listener.wanted = [], ("core.sleep", {"seconds": 0})
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


def everything(agent: Agent, prompt: str = "Help.", **model: Any) -> None:
    """The agent has every tool that there is."""
    content = versions.Content(
        prompt=prompt, tools=sorted(registry.names()), model={"tier": "standard", **model}
    )
    versions.publish(agent=agent, content=content, label="production")


def ask(agent: Agent, api: Api, text: str) -> None:
    body = {"model": f"agent:{agent.slug}", "messages": [{"role": "user", "content": text}]}
    answer = api("post", "/v1/chat/completions", body)
    assert answer.status_code == 200, answer.content


def offered_in(request: dict[str, Any]) -> list[str]:
    return [tool["function"]["name"] for tool in request["tools"]]


BANK = "Match the bank statement of March with the ledger and list what is unmatched."


def test_all_tools_are_offered_unless_the_version_says_how_many(
    agent: Agent, api: Api, listener: list[dict[str, Any]]
) -> None:
    everything(agent)
    ask(agent, api, BANK)
    for request in listener:
        assert sorted(offered_in(request)) == sorted(map(wire_name, registry.names()))


def test_more_tools_than_providers_take_are_never_offered(
    agent: Agent, api: Api, listener: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything(agent)
    monkeypatch.setattr(resolving, "MOST_TOOLS", 40)
    monkeypatch.setattr(resolving, "FIRST_TOOLS", 30)
    monkeypatch.setattr(offering, "MOST_TOOLS", 40)
    Listener.wanted = ("core.echo", {"value": BANK})
    ask(agent, api, "Repeat it with core.echo.")
    assert [len(offered_in(request)) for request in listener] == [30, 40]


def test_tools_that_the_prompt_names_are_always_offered(
    agent: Agent, api: Api, listener: list[dict[str, Any]]
) -> None:
    everything(
        agent, prompt="Rest between two steps: `core.sleep`. Then core.echo.", tools_offered=5
    )
    ask(agent, api, BANK)
    assert {"core__echo", "core__sleep"} < set(offered_in(listener[0]))
    assert len(offered_in(listener[0])) == 5


def test_tools_that_a_result_is_about_come_in_later(
    agent: Agent, api: Api, listener: list[dict[str, Any]]
) -> None:
    everything(agent, prompt="Use core.echo first.", tools_offered=3)
    Listener.wanted = ("core.echo", {"value": BANK})
    ask(agent, api, "How do you do?")
    first, second = map(offered_in, listener)
    assert len(first) == 3 and not any("bank" in name for name in first)
    assert second[:3] == first
    assert len(second) == 6 and any("bank" in name for name in second)


def test_those_are_offered_that_the_question_is_about(
    agent: Agent, api: Api, listener: list[dict[str, Any]]
) -> None:
    everything(agent, tools_offered=5)
    ask(agent, api, BANK)
    offered = offered_in(listener[0])
    assert len(offered) == 5
    assert any("bank" in name for name in offered)
    assert wire_name("core.sleep") not in offered
    assert wire_name("core.sleep") in offered_in(listener[1])  # it was asked for in vain
    row = Invocation.objects.get()
    found = api("get", f"/api/v1/invocations/{row.pk}").json()
    (refused,) = found["tools"]
    assert (refused["state"], refused["error_code"]) == ("failed", "not_found")

    path = f"/api/v1/agents/{agent.slug}/versions"
    odd = api("post", path, {"prompt": "x", "model": {"tier": "standard", "tools_offered": 0}})
    assert (odd.status_code, odd.json()["field"]) == (422, "model.tools_offered")


def test_of_all_tools_those_of_an_agents_own_questions_are_mostly_offered(
    agent: Agent,
) -> None:
    everything(agent, tools_offered=20)
    whole = resolving.version_by_id(versions.version_of(agent, "production").pk)
    assert len(whole.tools) > 3 * whole.tools_offered
    met = wanted = 0
    for entry in catalogue().entries.values():
        for case in entry.cases:
            offered = {tool.name for tool in offering.narrowed(whole, case.input).tools}
            wanted += len(entry.tools)
            met += len(offered & set(entry.tools))
    assert met / wanted > 0.85
