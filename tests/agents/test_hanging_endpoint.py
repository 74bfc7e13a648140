"""An endpoint that takes calls and answers none is left early, where another may answer."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from agents import versions
from agents.endpoints import patience
from agents.endpoints.directory import forget
from agents.models import Agent, Endpoint, Hold, Invocation, ModelCall
from scaling import breaker
from tests.agents.offline_model.process import Server, serve

pytestmark = pytest.mark.django_db(transaction=True)
FIRST, SECOND = "first-model", "second-model"
CALLERS, CALLS_AFTER = 4, 24
# The aim is five seconds (make bench ONLY=calls); a busy machine takes some itself.
SOON_SECONDS = 15.0
# Above what is waited for where replies were quick, below what any reply may take.
SLOW_SECONDS = 4.0
Ask = Callable[..., httpx.Response]


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Server]:
    """A model's server in a process of its own, that can be stopped in its tracks."""
    with serve(tmp_path, check_exit=False) as server:
        server.behave({"models": {FIRST: {}}})
        yield server
        server.process.send_signal(signal.SIGCONT)


@pytest.fixture
def ask(live_server: Any, model: Server, other: Server, agent: Agent, key: str) -> Iterator[Ask]:
    """Chat with the agent: the first endpoint is asked first, the second stands behind it."""
    model.behave({"models": {SECOND: {}}})
    Endpoint.objects.update(state="paused")
    for place, (name, server) in enumerate(((FIRST, other), (SECOND, model)), start=1):
        served = [{"name": name, "tier": "standard", "context_tokens": 128_000, "capabilities": []}]
        Endpoint.objects.create(name=name, base_url=server.url, priority=place, served=served)
    Agent.objects.update(limits={})
    content = versions.content_of(versions.version_of(agent, "production"))
    plain = replace(content, tools=[], model={"tier": "standard"})
    versions.publish(agent=agent, content=plain, label="production")
    forget()
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=live_server.url, headers=headers, timeout=90) as http:

        def post(text: str, **more: Any) -> httpx.Response:
            message = {"role": "user", "content": text}
            body = {"model": f"agent:{agent.slug}", "messages": [message], **more}
            return http.post("/v1/chat/completions", json=body)

        yield post
    forget()


def learn(ask: Ask, **more: Any) -> None:
    """As many quick answers as it takes to know what is usual."""
    for number in range(patience.LEAST):
        assert ask(f"Is {number} right?", **more).status_code == 200
    assert endpoints() == [FIRST] * patience.LEAST
    for history in patience._histories.values():  # however busy the machine is
        history.seconds.extend([0.1] * patience.KEPT)


def endpoints() -> list[str]:
    return list(ModelCall.objects.order_by("id").values_list("endpoint", flat=True))


def slow(server: Server, name: str) -> None:
    server.behave({"models": {name: {"latency": {"first_token": {"fixed_seconds": SLOW_SECONDS}}}}})


def state() -> str:
    return breaker.state_of(f"endpoint:{FIRST}")


def test_a_hanging_endpoint_costs_nobody_an_answer_and_is_soon_left_out(
    ask: Ask, other: Server
) -> None:
    learn(ask)
    other.process.send_signal(signal.SIGSTOP)  # it takes connections, and that is all
    hung = time.monotonic()
    with ThreadPoolExecutor(CALLERS) as pool:
        asked = pool.map(lambda n: ask(f"Is {n}.50 right?").status_code, range(CALLS_AFTER))
        while state() == "closed":
            assert time.monotonic() - hung < SOON_SECONDS, "the breaker stays closed"
            time.sleep(0.01)
        assert set(asked) == {200}
    assert set(Invocation.objects.values_list("state", flat=True)) == {"succeeded"}
    failed = ModelCall.objects.filter(state="failed")
    assert set(failed.values_list("endpoint", "error_code")) == {(FIRST, "timeout")}
    assert max(one.duration_seconds for one in failed) < SOON_SECONDS
    assert not Hold.objects.exists()


@pytest.mark.parametrize("is_process", [True, False], ids=["no-headers", "headers"])
def test_a_stream_that_does_not_begin_is_begun_by_another_endpoint(
    ask: Ask, other: Server, live_server: Any, agent: Agent, key: str, is_process: bool
) -> None:
    with openai.OpenAI(base_url=f"{live_server.url}/v1", api_key=key, max_retries=0) as chat:

        def heard(text: str) -> str:
            messages: Any = [{"role": "user", "content": text}]
            stream: Any = chat.chat.completions.create(
                model=f"agent:{agent.slug}", messages=messages, stream=True
            )
            return "".join(c.delta.content or "" for chunk in stream for c in chunk.choices)

        for number in range(patience.LEAST):
            assert heard(f"Is {number} right?")
        if is_process:
            other.process.send_signal(signal.SIGSTOP)
        else:  # headers at once, and then nothing
            other.behave({"models": {FIRST: {"latency": {"first_token": {"fixed_seconds": 60}}}}})
        started = time.monotonic()
        assert heard("And 17?") not in ("", agent.fallback)
        assert time.monotonic() - started < SOON_SECONDS
    assert endpoints()[patience.LEAST :] == [FIRST, SECOND]
    left = ModelCall.objects.get(state="failed")
    assert (left.error_code, left.cost_usd) == ("timeout", 0)


def test_requests_that_take_long_everywhere_are_no_fault_of_one_that_answers_others(
    ask: Ask, model: Server, other: Server
) -> None:
    learn(ask)
    long = {"first_token": {"fixed_seconds": SLOW_SECONDS}}
    rules = [{"when": {"user_contains": "long report"}, "latency": long}]
    for server, name in ((other, FIRST), (model, SECOND)):
        server.behave({"models": {name: {}}, "rules": rules})
    with ThreadPoolExecutor(8) as pool:
        reports = [pool.submit(ask, f"A long report on {n}, please.") for n in range(6)]
        while not all(one.done() for one in reports):
            assert ask(f"Is {time.monotonic()} right?").status_code == 200
            assert state() == "closed"
        assert {one.result().status_code for one in reports} == {200}
    assert endpoints().count(SECOND) == 6
    assert Invocation.objects.exclude(state="succeeded").count() == 0


def test_one_that_hangs_is_found_though_whoever_answers_instead_is_slow_and_new(
    ask: Ask, model: Server, other: Server
) -> None:
    learn(ask)
    slow(model, SECOND)
    other.process.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(CALLERS) as pool:
        asked = list(pool.map(lambda n: ask(f"Is {n}.50 right?").status_code, range(CALLERS)))
    assert asked == [200] * CALLERS
    assert state() == "open"
    limit = max(one.duration_seconds for one in ModelCall.objects.filter(state="failed"))
    assert limit < SLOW_SECONDS + patience.FLOOR_SECONDS  # its time is no measure of the other


def test_whoever_was_left_is_asked_again_where_nobody_else_has_an_answer(
    ask: Ask, model: Server, other: Server
) -> None:
    learn(ask)
    slow(other, FIRST)
    model.behave({"models": {SECOND: {}}, "faults": [{"kind": "server_error"}]})
    assert ask("Is it so?").json()["is_fallback"] is False
    assert endpoints()[patience.LEAST :] == [FIRST, SECOND, SECOND, FIRST]


def test_where_nobody_else_could_answer_all_the_time_is_given(ask: Ask, other: Server) -> None:
    learn(ask)
    Endpoint.objects.filter(name=SECOND).update(state="paused")
    forget()
    slow(other, FIRST)
    assert ask("Is it so?").json()["is_fallback"] is False
    assert endpoints()[patience.LEAST :] == [FIRST]


def test_replies_of_another_length_say_nothing_of_this_one(ask: Ask, other: Server) -> None:
    learn(ask, max_tokens=20)
    slow(other, FIRST)
    assert ask("A long report, please.", max_tokens=1000).json()["is_fallback"] is False
    assert endpoints()[patience.LEAST :] == [FIRST]
