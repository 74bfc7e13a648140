"""An endpoint's process is killed under load: nobody who asks notices, and its breaker opens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.endpoints.directory import forget, seen
from agents.models import Agent, Endpoint, Invocation, ModelCall
from monitoring.models import Measurement
from scaling import breaker
from tests.agents.offline_model.process import Server, serve

pytestmark = pytest.mark.django_db(transaction=True)
CALLERS = 4
CALLS_BEFORE, CALLS_AFTER = 8, 60
PATIENCE_SECONDS = 120.0


@pytest.fixture
def dying(model: Server, agent: Agent, tmp_path: Path) -> Iterator[Server]:
    """An endpoint that is asked first, in a process of its own; the shared one stands behind."""
    with serve(tmp_path, check_exit=False) as server:
        Endpoint.objects.create(
            name="dying", base_url=server.url, priority=1,
            served=Endpoint.objects.get(is_offline=True).served,
        )  # fmt: skip
        seen.latency.clear()
        seen.errors.clear()
        forget()
        yield server


def test_a_killed_endpoint_costs_nobody_an_answer_and_is_left_out_from_then_on(
    live_server: Any, agent: Agent, key: str, dying: Server
) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    Agent.objects.update(limits={})
    with (
        httpx.Client(base_url=live_server.url, headers=headers, timeout=PATIENCE_SECONDS) as http,
        ThreadPoolExecutor(CALLERS) as pool,
    ):

        def ask(number: int) -> tuple[float, httpx.Response]:
            text = f"The bank shows {number}.00 and the ledger {number}.50. What explains it?"
            body = {"model": f"agent:{agent.slug}", "messages": [{"role": "user", "content": text}]}
            return time.monotonic(), http.post("/v1/chat/completions", json=body)

        before = list(pool.map(ask, range(CALLS_BEFORE)))
        assert set(ModelCall.objects.values_list("endpoint", flat=True)) == {"dying"}
        assert set(Measurement.objects.filter(labels__endpoint="dying").values_list(
            "labels__provider", flat=True)) == {"127.0.0.1"}  # fmt: skip
        dying.process.kill()
        dying.process.wait()
        killed = time.monotonic()
        asked = pool.map(ask, range(CALLS_BEFORE, CALLS_BEFORE + CALLS_AFTER))
        while breaker.state_of("endpoint:dying") == "closed":
            assert time.monotonic() - killed < PATIENCE_SECONDS, "the breaker stays closed"
            time.sleep(0.005)
        opened = time.monotonic()
        after = list(asked)
    print(f"the breaker opened {opened - killed:.2f} s after the kill")
    assert {response.status_code for _, response in before + after} == {200}
    # Not even the declared fallback was needed: another endpoint gave every answer.
    assert set(Invocation.objects.values_list("state", flat=True)) == {"succeeded"}
    assert Invocation.objects.count() == CALLS_BEFORE + CALLS_AFTER
    failed = ModelCall.objects.filter(state="failed")
    assert set(failed.values_list("endpoint", "error_code")) == {("dying", "unavailable")}
    # What each of the callers had begun, the five that opened it, and a probe now and then.
    assert failed.count() <= breaker.FAILURES_TO_OPEN + 2 * CALLERS + CALLS_AFTER // 10
