"""``make bench ONLY=memory``: what a worker's memory does over many calls, in shipped processes.

Calls come in over HTTP with ``Prefer: respond-async``, so that a Celery worker answers each with
the offline model; every question is new, so that no cache answers. The goal is under 300 MB after
100,000 calls; ``MEMORY_CALLS`` says how many are made, and the growth over the second half says
what more would add. Over hours a connection may break: such a call is told and counted.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import httpx
import psutil

from tests.benchmarks.calls import AGENT, SEED, Row, _row, _texts, publish_plain
from tests.benchmarks.instance import Bench, running

CALLS = int(os.environ.get("MEMORY_CALLS", "4000"))
CALLERS = 4
# What workers answer at the least, on two cores and beside the callers; calls wait in the queue.
ANSWERED_PER_SECOND = 20
SHORTEST_WAIT_SECONDS = 600.0
ROUTE = f"/api/v1/agents/{AGENT}/invocations"


def run() -> dict[str, Row]:
    """Figures in the shape of ``benchmarks.json``."""
    with running() as bench:
        publish_plain(bench)
        questions = _texts(random.Random(SEED))
        lost = _ask(bench, islice(questions, 200), 200)  # loads what the first calls load
        sizes = [_sizes(bench)]
        for part in (1, 2):
            asked = 200 + part * (CALLS // 2)
            lost += _ask(bench, islice(questions, CALLS // 2), asked - lost)
            sizes.append(_sizes(bench))
    unit = f"MB after {CALLS} calls"
    found: dict[str, Row] = {"memory_lost": _row(lost, f"of {CALLS} calls", lower=True)}
    for name in ("worker", "web"):
        first, middle, last = (one[name] for one in sizes)
        found[f"memory_{name}"] = {**_row(last, unit, lower=True), "spread": [first, last]}
        grown = (last - middle) / (CALLS / 2) * 1000
        found[f"memory_{name}_growth"] = _row(grown, f"MB a 1,000 calls after {CALLS // 2}",
                                              lower=True)  # fmt: skip
    return found


def _ask(bench: Bench, texts: Iterable[str], until: int) -> int:
    """Ask ``texts`` and wait until the record holds ``until`` answers in all, but for the lost.

    Gives how many lost their connection: whether those are answered, nobody waits to see.
    """
    with bench.client() as http, ThreadPoolExecutor(CALLERS) as pool:
        asked = list(pool.map(lambda text: _one(http, text), texts))
    assert asked, "nothing was asked"
    lost = asked.count(False)
    _await(bench, until - lost, len(asked))
    return lost


def _one(http: httpx.Client, text: str) -> bool:
    """Whether the call was taken; one whose connection broke may or may not have been."""
    body = {"inputs": {"question": text}}
    while True:
        try:
            answer = http.post(ROUTE, json=body, headers={"Prefer": "respond-async"})
        except httpx.TransportError as error:
            print(f"a call lost its connection: {error!r}", file=sys.stderr)
            return False
        if answer.status_code != 429:
            answer.raise_for_status()
            return True
        time.sleep(float(answer.headers.get("Retry-After", "1")))


def _await(bench: Bench, until: int, asked: int) -> None:
    seconds = _patience(asked)
    limit = time.monotonic() + seconds
    answered = "SELECT count(*) FROM agents_invocation WHERE state = 'succeeded'"
    while bench.rows(answered)[0][0] < until:
        if time.monotonic() > limit:
            raise TimeoutError(f"fewer than {until} answers within {seconds:.0f} s")
        time.sleep(0.5)


def _patience(asked: int) -> float:
    """Seconds after which so many calls are answered, or something is wrong."""
    return max(SHORTEST_WAIT_SECONDS, asked / ANSWERED_PER_SECOND)


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
