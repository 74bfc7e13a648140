"""``/mcp`` by the official client, over a real socket, in a real web process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from agents.models import Agent, Invocation, ToolCall
from config.access.models import Client as Tenant
from tests.agents.conftest import SLUG, make_key
from tests.agents.offline_model.process import Server
from tests.agents.web import serve_web

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def web(process_environment: dict[str, str], model: Server) -> Iterator[str]:
    with serve_web({**process_environment, "OFFLINE_MODEL_URL": model.url}) as address:
        yield address


@asynccontextmanager
async def client(web: str, key: str, **more: Any) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        async with Client(streamable_http_client(f"{web}/mcp", http_client=http), **more) as mcp:
            yield mcp


def test_the_official_client_calls_agents_and_tools_within_its_rights(
    agent: Agent, firm: Tenant, key: str, web: str
) -> None:
    outsider = make_key(firm, "external")
    reader = make_key(firm, "auditor", ["agents:read"])
    nothing = make_key(firm, "manager", ["runs:read"])
    for mode in ("auto", "legacy"):
        asyncio.run(_agents_and_tools(web, key, agent, mode))
    assert ToolCall.objects.filter(name="core.echo").count() == 2
    assert set(Invocation.objects.values_list("agent_slug", flat=True)) == {agent.slug}
    asyncio.run(_errors_are_results_that_a_model_can_read(web, key))

    names, called = asyncio.run(_look(web, outsider))
    assert names == set()  # the one agent is internal
    assert called.is_error
    names, called = asyncio.run(_look(web, reader))
    assert "core.echo" in names
    assert called.structured_content["code"] == "forbidden"
    for headers in ({}, {"Authorization": "Bearer rk_no"}, {"Authorization": f"Bearer {nothing}"}):
        refused = httpx.post(f"{web}/mcp", json={}, headers=headers)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"


async def _agents_and_tools(web: str, key: str, agent: Agent, mode: str) -> None:
    async with client(web, key, mode=mode) as mcp:
        names = {tool.name: tool for tool in (await mcp.list_tools()).tools}
        assert {f"agent.{agent.slug}", "core.echo"} <= set(names)
        assert names["core.echo"].input_schema["type"] == "object"
        assert names["core.sleep"].output_schema["required"] == ["slept_seconds"]
        echo = await mcp.call_tool("core.echo", {"value": [1, "ü"]})
        assert echo.structured_content == {"value": [1, "ü"]}
        answer = await mcp.call_tool(f"agent.{agent.slug}", {"inputs": agent.cases[0]["input"]})
    assert not answer.is_error
    assert answer.content[0].text == answer.structured_content["text"]
    assert answer.structured_content["invocation_id"]


async def _errors_are_results_that_a_model_can_read(web: str, key: str) -> None:
    async with client(web, key) as mcp:
        bad = await mcp.call_tool("core.sleep", {"seconds": -1})
        unknown = await mcp.call_tool("agent.nobody", {"question": "Hi"})
        odd = [
            (await mcp.call_tool(f"agent.{SLUG}", given)).structured_content
            for given in ({}, {"inputs": "x"}, {"message": "Hi"}, {"question": "x\x00"})
        ]
    assert [one["code"] for one in odd] == ["invalid_input"] * 4
    assert [one["field"] for one in odd] == ["arguments", "inputs", "arguments", "question"]
    assert (bad.is_error, bad.structured_content["code"]) == (True, "invalid_input")
    assert (unknown.is_error, unknown.structured_content["code"]) == (True, "not_found")


async def _look(web: str, key: str) -> tuple[set[str], Any]:
    async with client(web, key) as mcp:
        names = {tool.name for tool in (await mcp.list_tools()).tools}
        return names, await mcp.call_tool("core.echo", {"value": 1})
