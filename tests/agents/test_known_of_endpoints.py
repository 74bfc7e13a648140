"""What a process knows of its endpoints: which is quick now, and which asked to be left alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from typing import Any

import httpx
import pytest

from agents import versions
from agents.domain.scoring import Needs
from agents.endpoints.directory import candidates, forget, seen
from agents.models import Agent, Endpoint, ModelCall
from scaling import breaker, rests, shared
from tests.agents.offline_model.process import Server

pytestmark = pytest.mark.django_db(transaction=True)
Ask = Callable[[str], httpx.Response]
# Both are asked through one server, which tells them apart by their models.
FIRST, SECOND = "a-model", "b-model"


@pytest.fixture
def ask(live_server: Any, model: Server, agent: Agent, key: str) -> Any:
    """Ask the agent by chat; two endpoints are equal but for their names."""
    behave(model)
    Endpoint.objects.update(state="paused")
    for name in (FIRST, SECOND):
        served = [{"name": name, "tier": "standard", "context_tokens": 128_000, "capabilities": []}]
        Endpoint.objects.create(name=name, base_url=model.url, served=served)
    Agent.objects.update(limits={})  # a model without a price counts as dear
    content = versions.content_of(versions.version_of(agent, "production"))
    wanted = {"tier": "standard", "policy": "fastest"}
    versions.publish(
        agent=agent, content=replace(content, tools=[], model=wanted), label="production"
    )
    for known in (seen.latency, seen.errors, seen.noted_at):
        known.clear()
    forget()
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=live_server.url, headers=headers, timeout=60) as http:

        def post(text: str) -> httpx.Response:
            message = {"role": "user", "content": text}
            body = {"model": f"agent:{agent.slug}", "messages": [message]}
            return http.post("/v1/chat/completions", json=body)

        yield post
    forget()


def behave(
    model: Server, slow: str = "", seconds: float = 0.8, faults: tuple[dict[str, Any], ...] = ()
) -> None:
    """``slow`` takes ``seconds``."""
    late = {"latency": {"first_token": {"fixed_seconds": seconds}}}
    models = {name: late if name == slow else {} for name in (FIRST, SECOND)}
    model.behave({"models": models, "faults": list(faults)})


def asked() -> list[str]:
    return list(ModelCall.objects.order_by("id").values_list("endpoint", flat=True))


def test_the_fastest_is_found_whatever_its_name_and_again_after_it_was_slow(
    ask: Ask, model: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    behave(model, slow=FIRST)
    for number in range(4):
        assert ask(f"question {number}").status_code == 200
    assert asked() == [FIRST, SECOND, SECOND, SECOND]
    behave(model, slow=SECOND, seconds=2.4)  # it is found to be slow as it is asked
    for number in range(4, 12):
        assert ask(f"question {number}").status_code == 200
    assert asked()[-1] == FIRST
    behave(model, slow=FIRST)  # nothing is known of the other since
    directory = import_module("agents.endpoints.directory")
    monkeypatch.setattr(directory, "STALE_SECONDS", 0.5)
    monkeypatch.setattr(directory, "ANEW_SHARE", 1.0)
    for number in range(12, 24):
        assert ask(f"question {number}").status_code == 200
    assert asked()[-6:].count(SECOND) >= 4


def test_who_was_not_asked_for_a_while_is_not_taken_for_the_fastest(
    ask: Ask, model: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    behave(model, slow=FIRST)
    for number in range(3):
        assert ask(f"question {number}").status_code == 200
    assert asked() == [FIRST, SECOND, SECOND]
    directory = import_module("agents.endpoints.directory")
    monkeypatch.setattr(directory, "STALE_SECONDS", 0.0)  # a call an hour
    monkeypatch.setattr(directory, "ANEW_SHARE", 0.0)
    for number in range(3, 7):
        assert ask(f"question {number}").status_code == 200
    assert asked()[3:] == [SECOND] * 4


@pytest.mark.usefixtures("ask")
def test_who_fails_gets_no_more_calls_for_not_having_been_asked_for_a_while() -> None:
    now = time.monotonic()
    seen.latency.update({FIRST: 0.4, SECOND: 0.4})
    seen.errors.update({FIRST: 0.9, SECOND: 0.0})
    seen.noted_at.update({FIRST: now - 3_600, SECOND: now})
    needs = Needs("standard", 10)
    firsts = [candidates(needs, policy="health")[0].endpoint for _ in range(300)]
    assert firsts.count(FIRST) < 30


def test_a_provider_that_asks_for_a_long_wait_is_left_alone_by_the_next_calls_too(
    ask: Ask, model: Server, agent: Agent
) -> None:
    full = {"kind": "rate_limited", "retry_after_seconds": 50}
    behave(model, faults=({**full, "when": {"model": FIRST}},))
    for number in range(5):
        assert ask(f"question {number}").status_code == 200
    assert asked() == [FIRST, *[SECOND] * 5]

    as_in_another_process()
    assert ask("what another process is asked").status_code == 200
    assert asked()[-1] == SECOND and asked().count(FIRST) == 1

    behave(model, faults=(full,))
    Agent.objects.update(fallback="")
    for number in range(5, 8):
        refused = ask(f"question {number}")
        assert refused.status_code == 429, refused.text
        assert refused.json()["error"]["code"] == "rate_limited"
        assert 0 < int(refused.headers["Retry-After"]) <= 50
    assert len(asked()) == 8  # nobody is asked any more

    behave(model)
    forget(SECOND)  # an edit of the one
    assert ask("question 8").status_code == 200
    assert asked()[-1] == SECOND
    assert rests.of(f"{FIRST}\n{FIRST}") is not None  # the other's word stands


def as_in_another_process() -> None:
    """One that was told nothing itself."""
    rests._own.clear()
    rests._told, rests._read_at = {}, 0.0


def test_a_word_stands_although_a_shorter_one_comes_or_redis_forgets(ground: None) -> None:
    rests.leave("slow", "rate_limited", 50.0)
    rests.leave("slow", "rate_limited", 1.0)
    as_in_another_process()
    found = rests.of("slow")
    assert found is not None and 10 < found.left_seconds <= 50
    rests.leave("slow", "rate_limited", 40.0)
    shared.client().delete(rests._key())  # begun anew, or full when it was told
    rests._told, rests._read_at = {}, 0.0
    kept = rests.of("slow")
    assert kept is not None and 10 < kept.left_seconds <= 40


def test_a_full_rate_of_one_model_leaves_the_others_of_its_endpoint(
    ask: Ask, model: Server
) -> None:
    Endpoint.objects.filter(name=SECOND).delete()
    served = [
        {"name": name, "tier": "standard", "context_tokens": 128_000, "capabilities": []}
        for name in (FIRST, SECOND)
    ]
    Endpoint.objects.filter(name=FIRST).update(served=served)
    forget()
    full = {"kind": "rate_limited", "retry_after_seconds": 50, "when": {"model": FIRST}}
    behave(model, faults=(full,))
    for number in range(3):
        assert ask(f"question {number}").status_code == 200
    models = ModelCall.objects.order_by("id").values_list("model", flat=True)
    assert list(models) == [FIRST, *[SECOND] * 3]


def test_who_hangs_is_left_out_although_each_call_learns_it_slowly(
    ask: Ask, model: Server, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MODEL_TIMEOUT = timedelta(seconds=1.5)  # a twentieth of the shipped one
    monkeypatch.setattr(breaker, "WINDOW_SECONDS", breaker.WINDOW_SECONDS / 20)
    Endpoint.objects.filter(name=FIRST).update(priority=1)
    forget()
    behave(model, faults=({"kind": "hang", "seconds": 60, "when": {"model": FIRST}},))
    for number in range(breaker.FAILURES_TO_OPEN + 2):
        assert ask(f"question {number}").status_code == 200
    assert asked().count(FIRST) == breaker.FAILURES_TO_OPEN
    assert asked()[-1] == SECOND
