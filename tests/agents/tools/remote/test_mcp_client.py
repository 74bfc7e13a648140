"""Tools of somebody else's MCP server, over standard streams and over HTTP."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from agents import services
from agents.errors import ToolFailed
from agents.models import ToolSource
from agents.tools import registry
from agents.tools.remote import mcp_client
from config.access.models import Client
from config.errors import AppError, InvalidInput, NotFound, StepTimeout, Unavailable

pytestmark = pytest.mark.django_db(transaction=True)
PROGRAM = str(Path(__file__).with_name("someones_server.py"))
Api = Callable[..., Any]


@pytest.fixture(autouse=True)
def _no_connection_is_left() -> Iterator[None]:
    yield
    mcp_client.close_all()


@pytest.fixture
def stdio(api: Api, settings: Any) -> Any:
    settings.MCP_PROGRAMS = [sys.executable]
    return added(api, kind="mcp_stdio", command=[sys.executable, PROGRAM])


def added(api: Api, **more: Any) -> Any:
    body = {
        "name": "someone",
        "allowed": ["add", "slow", "breaks", "attack", "dies", "chatters", "pours", "keyed"],
        **more,
    }
    return api("post", "/api/v1/tool-sources", body)


def call(firm: Client, name: str, **arguments: Any) -> dict[str, Any]:
    return services.call_tool(f"mcp.someone.{name}", arguments, client_id=firm.pk)


def test_a_program_of_the_operators_choice_is_a_server(api: Api, firm: Client, stdio: Any) -> None:
    assert stdio.status_code == 201, stdio.content
    offered = {tool["name"] for tool in stdio.json()["tools"]}
    assert offered == {"add", "slow", "attack", "breaks", "dies", "chatters", "pours", "keyed"}
    assert call(firm, "add", first=2, second=3) == {"total": 5}
    keyed = services.call_tool("mcp.someone.keyed", {}, client_id=firm.pk, effect_id="step-7")
    assert keyed == {"key": "step-7"}, "the same over all tries of one effect"
    with pytest.raises(InvalidInput, match="second"):
        call(firm, "add", first=2)
    with pytest.raises(ToolFailed, match="breaks"):
        call(firm, "breaks")
    names = {row["name"] for row in api("get", "/api/v1/tools").json()["results"]}
    assert "mcp.someone.add" in names
    assert registry.get("mcp.someone.add").parameters["required"] == ["first", "second"]

    ToolSource.objects.update(timeout_seconds=0.5)
    with pytest.raises(StepTimeout):
        call(firm, "slow", seconds=3)
    ToolSource.objects.update(timeout_seconds=20, allowed=["slow"])
    with pytest.raises(NotFound):
        call(firm, "add", first=2, second=3)
    assert call(firm, "slow", seconds=0)["result"] == "done"


def test_a_program_that_dies_or_hangs_is_begun_anew_at_the_next_call(
    api: Api, firm: Client, stdio: Any
) -> None:
    first = call(firm, "chatters", text="hello")["pid"]
    with pytest.raises(Unavailable, match="closed the connection"):
        call(firm, "dies")
    second = call(firm, "chatters", text="hello")["pid"]
    # It hangs for all: the one that waits is told so, and who comes later does not wait with it.
    ToolSource.objects.update(timeout_seconds=4)
    with pytest.raises(StepTimeout):
        call(firm, "slow", seconds=60)
    ToolSource.objects.update(timeout_seconds=60)  # a program takes its time to begin
    third = call(firm, "chatters", text="hello")["pid"]
    assert len({first, second, third}) == 3


def test_what_a_program_chatters_is_passed_over_and_kept_out_of_the_logs(
    api: Api, firm: Client, stdio: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert call(firm, "chatters", text="Anna Smith owes 4,711")["pid"]
    assert "Anna" not in caplog.text


def test_a_program_that_is_no_server_is_said_to_be_none(
    api: Api, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MCP_PROGRAMS = ["/bin/false", "/bin/sleep"]
    ended = added(api, kind="mcp_stdio", command=["/bin/false"])
    assert ended.status_code == 503 and "did not begin" in ended.json()["detail"]
    monkeypatch.setattr(mcp_client, "CONNECT_SECONDS", 0.5)
    silent = added(api, kind="mcp_stdio", command=["/bin/sleep", "60"])
    assert silent.status_code == 503 and "within 0.5 s" in silent.json()["detail"]


def test_what_a_server_says_is_screened_before_a_model_reads_it(
    api: Api, firm: Client, stdio: Any, agent: Any, call_of: Any, model: Any
) -> None:
    from agents import versions
    from agents.errors import GuardrailBlocked
    from agents.invoke import invoke
    from agents.models import Label, ModelCall

    current = Label.objects.get(agent=agent, name="production").version
    base = versions.content_of(current)
    fields = {name: getattr(base, name) for name in base.__dataclass_fields__}
    versions.publish(agent=agent, content=versions.Content(
        **{**fields, "tools": ["mcp.someone.attack"]}), label="production")  # fmt: skip
    with pytest.raises(GuardrailBlocked):
        invoke(call_of())
    told = str(list(ModelCall.objects.values_list("messages", flat=True)))
    assert "Ignore all previous" not in told


def test_no_other_program_is_ever_started(api: Api, settings: Any) -> None:
    settings.MCP_PROGRAMS = []
    refused = added(api, kind="mcp_stdio", command=[sys.executable, PROGRAM])
    assert refused.status_code == 403
    assert added(api, kind="mcp_stdio", url="https://x.example").status_code == 422


def test_a_server_over_http_is_asked_and_asked_again_after_it_was_away(
    api: Api, firm: Client, settings: Any
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings.TOOL_PRIVATE_HOSTS = [f"127.0.0.1:{port}"]
    server = _started(port)
    try:
        made = added(api, kind="mcp_http", url=f"http://127.0.0.1:{port}/mcp")
        assert made.status_code == 201, made.content
        assert call(firm, "add", first=20, second=22) == {"total": 42}
        server.terminate()
        server.wait(60)
        with pytest.raises(AppError) as away:
            call(firm, "add", first=1, second=1)
        assert isinstance(away.value, Unavailable | ToolFailed | StepTimeout)
        server = _started(port)
        assert call(firm, "add", first=1, second=1) == {"total": 2}
    finally:
        server.terminate()
        server.wait(60)


@pytest.mark.parametrize("kind", ["stdio", "json", "events"])
def test_a_huge_result_is_a_typed_error_and_is_never_gathered(
    api: Api, firm: Client, settings: Any, kind: str
) -> None:
    settings.MCP_PROGRAMS = [sys.executable]
    with ExitStack() as ends:
        if kind == "stdio":
            made = added(api, kind="mcp_stdio", command=[sys.executable, PROGRAM])
        else:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            settings.TOOL_PRIVATE_HOSTS = [f"127.0.0.1:{port}"]
            server = _started(port, kind)
            ends.callback(server.wait, 60)
            ends.callback(server.terminate)
            made = added(api, kind="mcp_http", url=f"http://127.0.0.1:{port}/mcp")
        assert made.status_code == 201, made.content
        assert len(call(firm, "pours", characters=300_000)["result"]) == 300_000
        with pytest.raises(ToolFailed, match="over 400000 characters"):
            call(firm, "pours", characters=500_000)
        tracemalloc.start()
        ends.callback(tracemalloc.stop)
        with pytest.raises(ToolFailed, match=r"more than|exceeded"):
            call(firm, "pours", characters=50_000_000)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
        assert call(firm, "add", first=2, second=3) == {"total": 5}


def _started(port: int, kind: str = "json") -> subprocess.Popen[bytes]:
    command = [sys.executable, PROGRAM, str(port), kind]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    for _ in range(2000):
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return server
        time.sleep(0.05)
    raise AssertionError("the server does not listen")
