"""A stream's first token has a limit of its own, whatever else keeps the connection open."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import openai
import pytest

from agents.endpoints.directory import forget
from agents.models import Agent, Endpoint, Hold, ModelCall
from scaling import breaker
from tests.agents.offline_model.process import Server

pytestmark = pytest.mark.django_db(transaction=True)
FIRST_TOKEN, WHOLE = timedelta(seconds=1.5), timedelta(seconds=30)
# A tenth of the whole limit would do; a busy machine takes a while for the rest of a call.
SOON_SECONDS = 15.0
ENDPOINT = "endpoint:offline-model"
# The headers come at once, and then: nothing, comments, or nothing but the roles of messages.
SILENT = {"latency": {"first_token": {"fixed_seconds": 60}}}
KEPT_OPEN = {"faults": [{"kind": "no_tokens", "seconds": 0.1}]}
Heard = Callable[..., str]


@pytest.fixture
def hear(live_server: Any, agent: Agent, key: str, settings: Any) -> Iterator[Heard]:
    settings.MODEL_FIRST_TOKEN_TIMEOUT, settings.MODEL_TIMEOUT = FIRST_TOKEN, WHOLE
    with openai.OpenAI(base_url=f"{live_server.url}/v1", api_key=key, max_retries=0) as chat:

        def told() -> str:
            messages: Any = [{"role": "user", "content": "Good morning"}]
            stream: Any = chat.chat.completions.create(
                model=f"agent:{agent.slug}", messages=messages, stream=True
            )
            return "".join(c.delta.content or "" for chunk in stream for c in chunk.choices)

        yield told


@pytest.mark.parametrize("profile", [SILENT, KEPT_OPEN], ids=["silent", "kept-open"])
def test_a_stream_that_never_begins_is_given_up_soon_and_the_fallback_is_said(
    hear: Heard, agent: Agent, model: Server, profile: dict[str, Any]
) -> None:
    model.behave(profile)
    started = time.monotonic()
    assert hear() == agent.fallback
    assert time.monotonic() - started < SOON_SECONDS
    calls = list(ModelCall.objects.all())  # one of each model that there is
    assert {(call.state, call.error_code) for call in calls} == {("failed", "timeout")}
    assert max(call.duration_seconds for call in calls) < SOON_SECONDS / 2
    assert not Hold.objects.exists()


def test_without_a_fallback_the_error_names_the_limit(
    hear: Heard, agent: Agent, model: Server
) -> None:
    Agent.objects.update(fallback="")
    model.behave(KEPT_OPEN)
    with pytest.raises(openai.APIStatusError) as late:
        hear()
    assert late.value.code == "timeout"
    assert "no first token) took longer than 1.5 s" in str(late.value)


def test_another_endpoint_answers_in_time_for_the_reader(
    hear: Heard, agent: Agent, model: Server
) -> None:
    Agent.objects.update(limits={})
    Endpoint.objects.update(state="paused")
    for place, name in enumerate(("silent", "quick"), start=1):
        served = [{"name": name, "tier": "strong", "context_tokens": 128_000,
                   "capabilities": ["tools"]}]  # fmt: skip
        Endpoint.objects.create(name=name, base_url=model.url, priority=place, served=served)
    forget()
    model.behave({"models": {"silent": SILENT, "quick": {}}})
    started = time.monotonic()
    assert hear() not in ("", agent.fallback)
    assert time.monotonic() - started < SOON_SECONDS
    assert list(ModelCall.objects.order_by("number").values_list("endpoint", flat=True)[:2]) == [
        "silent", "quick",
    ]  # fmt: skip


def test_a_stream_that_has_begun_may_take_its_time(
    hear: Heard, agent: Agent, model: Server
) -> None:
    model.behave({"latency": {"per_token": {"fixed_seconds": 0.1}}})
    started = time.monotonic()
    assert hear() not in ("", agent.fallback)
    assert time.monotonic() - started > FIRST_TOKEN.total_seconds()


class Lingering(BaseHTTPRequestHandler):
    """An endpoint that says one word, and then only what keeps the connection open."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        word = {"choices": [{"index": 0, "delta": {"content": "Well"}}]}
        try:
            self.wfile.write(f"data: {json.dumps(word)}\n\n".encode())
            for _ in range(400):
                self.wfile.write(b": alive\n\n")
                self.wfile.flush()
                time.sleep(0.1)
        except OSError:
            return

    def log_message(self, *args: Any) -> None: ...


def test_a_stream_that_says_a_word_and_then_only_lives_is_given_up_as_soon(
    hear: Heard, agent: Agent
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Lingering) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        Endpoint.objects.update(state="paused")
        served = [{"name": "lingering", "tier": "strong", "context_tokens": 128_000,
                   "capabilities": ["tools"]}]  # fmt: skip
        address = f"http://127.0.0.1:{server.server_port}/v1"
        Endpoint.objects.create(name="lingering", base_url=address, served=served)
        Agent.objects.update(limits={})
        forget()
        started = time.monotonic()
        assert hear() == agent.fallback
        assert time.monotonic() - started < SOON_SECONDS
        server.shutdown()
        thread.join()


def test_a_stream_that_falls_silent_is_given_up_as_soon(
    hear: Heard, agent: Agent, model: Server
) -> None:
    model.behave({"latency": {"per_token": {"fixed_seconds": 20}}})
    started = time.monotonic()
    assert hear() == agent.fallback  # nobody had heard of it
    assert time.monotonic() - started < SOON_SECONDS


def test_who_is_only_slow_to_begin_has_its_breaker_opened_for_nobody(
    hear: Heard, agent: Agent, model: Server, settings: Any
) -> None:
    model.behave(SILENT)
    while ModelCall.objects.count() < breaker.FAILURES_TO_OPEN:
        assert hear() == agent.fallback
    assert breaker.state_of(ENDPOINT) == "closed"

    settings.MODEL_TIMEOUT = FIRST_TOKEN  # that was all of its time
    before = ModelCall.objects.count()
    while ModelCall.objects.count() < before + breaker.FAILURES_TO_OPEN:
        assert hear() == agent.fallback
        if breaker.state_of(ENDPOINT) != "closed":
            return
    raise AssertionError("who gives no whole reply in its time is not left out")


def test_a_model_that_thinks_in_silence_has_a_limit_of_its_own(
    hear: Heard, agent: Agent, model: Server, api: Callable[..., Any]
) -> None:
    path = "/api/v1/endpoints/offline-model"
    models = api("get", path).json()["models"]
    patient = [{**one, "first_token_seconds": 60} for one in models]
    changed = api("patch", path, {"models": patient})
    assert changed.status_code == 200, changed.content
    assert {one["first_token_seconds"] for one in changed.json()["models"]} == {60}
    model.behave({"latency": {"first_token": {"fixed_seconds": 2 * FIRST_TOKEN.total_seconds()}}})
    assert hear() not in ("", agent.fallback)

    odd = [{**one, "first_token_seconds": 0} for one in models]
    assert api("patch", path, {"models": odd}).status_code == 422


class Brief(BaseHTTPRequestHandler):
    """An endpoint that ends its answer before it says anything, and tells its usage later."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter"}]}
        used = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 0}}
        self.wfile.write(f"data: {json.dumps(end)}\n\n".encode())
        for _ in range(12):
            time.sleep(FIRST_TOKEN.total_seconds() / 6)
            self.wfile.write(b": alive\n\n")
        self.wfile.write(f"data: {json.dumps(used)}\n\ndata: [DONE]\n\n".encode())

    def log_message(self, *args: Any) -> None: ...


def test_an_answer_that_is_over_has_begun(hear: Heard, agent: Agent) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Brief) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        Agent.objects.update(limits={})
        Endpoint.objects.update(state="paused")
        served = [{"name": "brief", "tier": "strong", "context_tokens": 128_000,
                   "capabilities": ["tools"]}]  # fmt: skip
        address = f"http://127.0.0.1:{server.server_port}/v1"
        Endpoint.objects.create(name="brief", base_url=address, served=served)
        forget()
        assert hear() == agent.fallback  # it said nothing
        server.shutdown()
        thread.join()
    calls = ModelCall.objects.values_list("state", "error_code", "input_tokens")
    assert set(calls) == {("succeeded", "", 9)}
