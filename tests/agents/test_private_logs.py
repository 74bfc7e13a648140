"""What a call's texts hold never stands in a log, also where a tool or a request breaks."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured

from agents.models import Agent
from agents.tools import registry
from config.errors import Unavailable
from config.logs import JsonFormatter

pytestmark = pytest.mark.django_db(transaction=True)
Api = Callable[..., Any]
SAID = "Velmora pays 9,823.75 to nobody"


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The lines of the log as operators read them."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)


def test_a_tool_that_breaks_over_its_input_is_told_by_type_and_place(
    api: Api, ground: None, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boom(value: Any) -> Any:
        try:
            raise KeyError(value)
        except KeyError as error:
            raise ValueError(f"can't read {value}") from error

    monkeypatch.setitem(
        registry._tools, "core.echo", replace(registry.get("core.echo"), function=boom)
    )
    Agent.objects.create(slug="echoer", name="E", domain="operations", purpose="x")
    body = {"prompt": "Echo.", "tools": ["core.echo"], "label": "production"}
    assert api("post", "/api/v1/agents/echoer/versions", body).status_code == 201
    api("post", "/api/v1/agents/echoer/invocations", {"inputs": {"value": SAID}})
    told = next(line["exception"] for line in lines() if "exception" in line)
    assert "ValueError" in told and "KeyError" in told and "in boom" in told
    assert SAID not in json.dumps(lines())


def test_a_request_that_breaks_is_told_by_type_and_place(
    api: Api, ground: None, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boom(*args: Any, **options: Any) -> Any:
        raise RuntimeError(f"DETAIL: failing row contains ({SAID})")

    monkeypatch.setattr("agents.recording.store", boom)
    Agent.objects.create(slug="echoer", name="E", domain="operations", purpose="x")
    body = {"prompt": "Echo.", "label": "production"}
    assert api("post", "/api/v1/agents/echoer/versions", body).status_code == 201
    chat = {"model": "agent:echoer", "messages": [{"role": "user", "content": SAID}]}
    assert api("post", "/v1/chat/completions", chat).status_code == 500
    assert any("RuntimeError" in line.get("exception", "") for line in lines())
    assert SAID not in json.dumps(lines())


def test_a_task_that_breaks_is_told_by_its_name(lines: Any) -> None:
    try:
        raise RuntimeError(SAID)
    except RuntimeError:
        logging.getLogger("celery.app.trace").error(
            "Task %(name)s[%(id)s] raised unexpected: %(exc)s",
            {"name": "agents.sweep", "id": "7", "exc": SAID}, exc_info=True,
        )  # fmt: skip
    assert lines()[-1]["event"] == "celery.task.failed agents.sweep 7"
    assert SAID not in json.dumps(lines())


def test_what_a_task_of_a_worker_or_a_loop_says_as_it_breaks_is_left_out(lines: Any) -> None:
    async def boom() -> None:
        raise ValueError(SAID)

    async def forgotten() -> None:
        task = asyncio.create_task(boom())
        await asyncio.sleep(0)
        del task
        gc.collect()

    asyncio.run(forgotten())
    assert lines()[-1]["event"] == "Task exception was never retrieved"
    assert "ValueError" in lines()[-1]["exception"]
    try:
        raise RuntimeError(SAID)
    except RuntimeError as error:
        logging.getLogger("celery.worker.request").error(
            "Task handler raised error: %r", error, exc_info=True
        )
    assert lines()[-1]["event"] == "Task handler raised error: %r"
    assert SAID not in json.dumps(lines())


def test_the_cause_is_told_where_it_is_a_code_or_about_the_installation(lines: Any) -> None:
    refused = psycopg.errors.lookup("28P01")(SAID)
    group = ExceptionGroup(SAID, [ConnectionRefusedError(111, SAID), Unavailable("bank", SAID)])
    odd = OSError(SAID, "and a second text")
    for error in (odd, refused, group, ImproperlyConfigured("POSTGRES_HOST is not set")):
        logging.getLogger("config").error("config.something.failed", exc_info=error)
    assert lines()[-4]["exception"].endswith("OSError")
    told = [line["exception"] for line in lines()[-3:]]
    assert "sqlstate=28P01" in told[0]
    assert "ConnectionRefusedError (errno=111, Connection refused)" in told[1]
    assert "Unavailable (code=unavailable)" in told[1]
    assert told[2].endswith("ImproperlyConfigured (POSTGRES_HOST is not set)")
    assert SAID not in json.dumps(lines())


def test_the_model_clients_debugging_shows_no_request() -> None:
    assert not logging.getLogger("openai._base_client").isEnabledFor(logging.INFO)
