"""Calls that compute take turns; who waits for a model holds none, and who is back goes first."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any

import httpx
import pytest

from agents import cache, pacing
from agents.models import Agent, Invocation
from agents.pacing import Turns
from tests.agents.offline_model.process import Server


def test_turns_are_given_in_order_and_first_to_those_that_come_back() -> None:
    turns, order = Turns(1), list[str]()
    assert turns.take()

    def wait(name: str, is_back: bool) -> None:
        assert turns.take(is_back=is_back)
        order.append(name)
        turns.give()

    threads = []
    for name, is_back in (("first", False), ("second", False), ("back", True)):
        threads.append(Thread(target=wait, args=(name, is_back)))
        threads[-1].start()
        while len(turns._new) + len(turns._back) < len(threads):
            time.sleep(0.001)
    turns.give()
    for thread in threads:
        thread.join()
    assert order == ["back", "first", "second"]
    assert turns.take()


def test_whoever_waits_too_long_goes_on_without_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "LONGEST_SECONDS", 0.05)
    turns = Turns(1)
    assert turns.take()
    assert not turns.take()
    turns.give()
    assert turns.take()  # it was not given to the one that went on


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_same", [False, True], ids=["each-its-own", "one-question"])
def test_calls_that_wait_for_a_model_keep_no_other_from_beginning(
    live_server: Any, model: Server, agent: Agent, key: str, monkeypatch: pytest.MonkeyPatch,
    is_same: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(pacing, "LONGEST_SECONDS", 60.0)
    Agent.objects.update(limits={})
    cache.forget_memory()
    model.behave({"latency": {"first_token": {"fixed_seconds": 8}}})
    many, headers = 4 * pacing.TURNS, {"Authorization": f"Bearer {key}"}
    given = json.dumps(agent.cases[0]["input"])
    with httpx.Client(base_url=live_server.url, headers=headers, timeout=90) as http:

        def ask(number: int) -> int:
            text = given if is_same else f"Is {number} right?"
            body = {"model": f"agent:{agent.slug}", "messages": [{"role": "user", "content": text}]}
            return http.post("/v1/chat/completions", json=body).status_code

        with ThreadPoolExecutor(many) as pool:
            assert set(pool.map(ask, range(many))) == {200}
    rows = Invocation.objects.all()
    assert len(rows) == many
    first = min(row.started_at for row in rows)
    # One after another they would take three times as long as one, and as much each.
    assert max((row.started_at - first).total_seconds() for row in rows) < 8
    assert pacing._turns._free == pacing.TURNS
