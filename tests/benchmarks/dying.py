"""How soon a dead endpoint's breaker opens, and whether anybody who asks meanwhile notices."""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.agents.offline_model.process import Server, serve
from tests.benchmarks.instance import Bench

CALLERS = 4
# Calls before the death, from which a process knows what is usual; and the time given afterwards.
KNOWN_CALLS = 60
WAIT_SECONDS = 60.0
MODELS = [{"name": f"offline-{tier}", "tier": tier, "context_tokens": 128_000,
           "capabilities": ["tools"]} for tier in ("light", "standard", "strong")]  # fmt: skip
Row = dict[str, Any]
# A process that is gone refuses connections; one that is stopped takes them and answers none.
DEATHS = {"refusing": signal.SIGKILL, "hanging": signal.SIGSTOP}


def measure(bench: Bench, agent: str, texts: Iterator[str]) -> dict[str, Row]:
    """For each death the time until the breaker is open, failed calls and the slowest one."""
    found: dict[str, Row] = {}
    for name, death in DEATHS.items():
        with tempfile.TemporaryDirectory() as folder:
            with serve(Path(folder), check_exit=False) as server:
                opened, failed, slowest = _one(bench, agent, texts, server, name, death)
        found |= {
            f"breaker_opens_{name}": _row(1000 * opened, "ms after the endpoint died"),
            f"breaker_failed_{name}": _row(failed, "calls failed meanwhile"),
            f"breaker_slowest_{name}": _row(1000 * slowest, "ms, the slowest call meanwhile"),
        }
    return found


def _one(
    bench: Bench, agent: str, texts: Iterator[str], server: Server, name: str, death: signal.Signals
) -> tuple[float, int, float]:
    body = {"name": f"dies-{name}", "base_url": server.url, "models": MODELS, "priority": 1}
    taken: list[float] = []
    failed, over, drawing = 0, threading.Event(), threading.Lock()
    with bench.client() as http, ThreadPoolExecutor(CALLERS) as pool:

        def ask() -> None:
            nonlocal failed
            with drawing:
                text = next(texts)
            message = {"role": "user", "content": text}
            started = time.monotonic()
            answer = http.post(
                "/v1/chat/completions", json={"model": f"agent:{agent}", "messages": [message]}
            )
            taken.append(time.monotonic() - started)
            failed += not answer.is_success or answer.json()["is_fallback"]

        def go_on() -> None:
            while not over.is_set():
                ask()

        http.post("/api/v1/endpoints", json=body).raise_for_status()
        try:
            for _ in range(KNOWN_CALLS):
                ask()
            taken.clear()
            server.process.send_signal(death)
            died = time.monotonic()
            asking = [pool.submit(go_on) for _ in range(CALLERS)]
            while _breaker(http, body["name"]) == "closed":
                if time.monotonic() - died > WAIT_SECONDS:
                    break
                time.sleep(0.02)
            opened = time.monotonic() - died
        finally:
            over.set()
            server.process.send_signal(signal.SIGCONT)
        for one in asking:
            one.result()
        http.patch(f"/api/v1/endpoints/{body['name']}", json={"is_paused": True})
    return opened, failed, max(taken)


def _breaker(http: httpx.Client, name: object) -> str:
    return str(http.get(f"/api/v1/endpoints/{name}").json()["health"]["breaker"])


def _row(value: float, unit: str) -> Row:
    value = round(value, 3)
    return {"value": value, "unit": unit, "lower_is_better": True, "peers": {},
            "spread": [value, value]}  # fmt: skip
