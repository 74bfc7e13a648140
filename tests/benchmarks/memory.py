"""``make bench ONLY=memory``: what a worker's memory does over many calls, in shipped processes.

Calls come in over HTTP with ``Prefer: respond-async``, so that a Celery worker answers each with
the offline model; every question is new, so that no cache answers. The goal is under 300 MB after
100,000 calls; ``MEMORY_CALLS`` says how many are made, and the growth over the second half says
what more would add.
"""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import httpx
import psutil

from tests.benchmarks.calls import AGENT, SEED, Row, _publish, _row, _texts
from tests.benchmarks.instance import Bench, running

CALLS = int(os.environ.get("MEMORY_CALLS", "4000"))
CALLERS = 4
ANSWERED_SECONDS = 600.0


def run() -> dict[str, Row]:
    """Figures in the shape of ``benchmarks.json``."""
    with running() as bench:
        _publish(bench)
        questions = _texts(random.Random(SEED))
        _ask(bench, islice(questions, 200), 200)  # loads what the first calls load
        sizes = [_sizes(bench)]
        for part in (1, 2):
            _ask(bench, islice(questions, CALLS // 2), 200 + part * CALLS // 2)
            sizes.append(_sizes(bench))
    unit = f"MB after {CALLS} calls"
    found: dict[str, Row] = {}
    for name in ("worker", "web"):
        first, middle, last = (one[name] for one in sizes)
        found[f"memory_{name}"] = {**_row(last, unit, lower=True), "spread": [first, last]}
        grown = (last - middle) / (CALLS / 2) * 1000
        found[f"memory_{name}_growth"] = _row(grown, f"MB a 1,000 calls after {CALLS // 2}",
                                              lower=True)  # fmt: skip
    return found


def _ask(bench: Bench, texts: Any, until: int) -> None:
    """Ask ``texts`` and wait until the record holds ``until`` answers in all."""
    with bench.client() as http, ThreadPoolExecutor(CALLERS) as pool:
        asked = list(pool.map(lambda text: _one(bench, http, text), texts))
    assert asked, "nothing was asked"
    _await(bench, until)


def _one(bench: Bench, http: httpx.Client, text: str) -> None:
    body = {"inputs": {"question": text}}
    answer = http.post(f"/api/v1/agents/{AGENT}/invocations", json=body,
                       headers={"Prefer": "respond-async"})  # fmt: skip
    while answer.status_code == 429:
        time.sleep(float(answer.headers.get("Retry-After", "1")))
        answer = http.post(f"/api/v1/agents/{AGENT}/invocations", json=body,
                           headers={"Prefer": "respond-async"})  # fmt: skip
    answer.raise_for_status()


def _await(bench: Bench, until: int) -> None:
    limit = time.monotonic() + ANSWERED_SECONDS
    answered = "SELECT count(*) FROM agents_invocation WHERE state = 'succeeded'"
    while bench.rows(answered)[0][0] < until:
        if time.monotonic() > limit:
            raise TimeoutError(f"fewer than {until} answers within {ANSWERED_SECONDS:.0f} s")
        time.sleep(0.5)


def _sizes(bench: Bench) -> dict[str, float]:
    """MB resident of the largest process of each kind."""
    found = {"worker": 0.0, "web": 0.0}
    for process in bench.processes():
        try:
            line = " ".join(process.cmdline())
            size = process.memory_info().rss / 2**20
        except psutil.NoSuchProcess:
            continue
        kind = "web" if "config.asgi:application" in line else "worker"
        if kind == "web" or " worker" in line:
            found[kind] = round(max(found[kind], size), 1)
    return found
