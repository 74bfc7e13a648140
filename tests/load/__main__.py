"""``make load``: many people at once against the shipped instance, over HTTP.

``USERS`` (40) people ask agents for ``SECONDS`` (30), each its next question when the last one is
answered; the offline model takes ``MODEL_SECONDS`` (1.1) at the median. Afterwards every answer is
compared with its row and the money with the sum of the calls. Nothing here is a timed test.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx
import psutil

from tests.benchmarks.calls import model_address
from tests.benchmarks.instance import Bench, running

AGENT = "acct-bankrec-005"
CALL_SECONDS = 120.0


@dataclass
class Seen:
    """What the people met: seconds of each answered call, and what the others were told."""

    seconds: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    ids: list[str] = field(default_factory=list)


def main() -> None:
    users, seconds = int(os.environ.get("USERS", 40)), float(os.environ.get("SECONDS", 30))
    model = float(os.environ.get("MODEL_SECONDS", 1.1))
    places = min(max(64, users), 1000)
    env = {"INTERACTIVE_CALLS": str(places), "WEB_THREADS": str(max(256, places + 64))}
    with running(env=env) as bench:
        latency = {"latency": {"first_token": {"median_seconds": model, "sigma": 0.3}}}
        httpx.post(f"{model_address(bench)}/admin/profile", json=latency).raise_for_status()
        bench.rows("UPDATE agents_agent SET limits = '{}' RETURNING 1")
        bench.rows("UPDATE agents_budget SET cap_usd = 100000, soft_cap_usd = NULL RETURNING 1")
        before = bench.cpu_seconds()
        seen = asyncio.run(_crowd(bench, users, seconds))
        _tell(bench, seen, users, seconds, bench.cpu_seconds() - before)


async def _crowd(bench: Bench, users: int, seconds: float) -> Seen:
    seen, until = Seen(), time.monotonic() + seconds
    limits = httpx.Limits(max_connections=users, max_keepalive_connections=users)
    headers = {"Authorization": f"Bearer {bench.key}"}
    async with httpx.AsyncClient(
        base_url=bench.url, headers=headers, limits=limits, timeout=CALL_SECONDS
    ) as http:
        await asyncio.gather(*(_person(http, seen, number, until) for number in range(users)))
    return seen


async def _person(http: httpx.AsyncClient, seen: Seen, number: int, until: float) -> None:
    asked = 0
    while time.monotonic() < until:
        asked += 1
        question = f"Bank says {number}.{asked:02}, ledger says {asked}.{number:02}. Why?"
        body = {"model": f"agent:{AGENT}", "messages": [{"role": "user", "content": question}]}
        started = time.monotonic()
        try:
            answer = await http.post("/v1/chat/completions", json=body)
        except httpx.HTTPError as error:
            seen.refused[type(error).__name__] += 1
            continue
        if answer.status_code == 200:
            seen.seconds.append(time.monotonic() - started)
            seen.ids.append(answer.json()["id"])
        else:
            seen.refused[f"HTTP {answer.status_code}"] += 1
            await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))


def _tell(bench: Bench, seen: Seen, users: int, seconds: float, cpu: float) -> None:
    calls, spent = bench.rows(
        "SELECT count(*), coalesce(sum(cost_usd), 0) FROM agents_invocation WHERE state = "
        "'succeeded'"
    )[0]
    held, booked = bench.rows(
        "SELECT coalesce(sum(held_usd), 0), coalesce(sum(spent_usd), 0) FROM agents_budget "
        "WHERE scope = 'client' AND key <> '*' AND \"window\" = 'month'"
    )[0]
    sizes = [p.memory_info().rss / 2**20 for p in bench.processes() if _is_ours(p)]
    print(
        f"{users} people, {seconds:g} s: {len(seen.seconds)} answers, "
        f"{len(seen.seconds) / seconds:.1f} a second; refused: {dict(seen.refused) or 'none'}"
    )
    if len(seen.seconds) > 1:
        cuts = statistics.quantiles(seen.seconds, n=20)
        print(
            f"  median {statistics.median(seen.seconds):.2f} s, p95 {cuts[-1]:.2f} s, "
            f"CPU {1000 * cpu / len(seen.seconds):.0f} ms an answer, largest process "
            f"{max(sizes):.0f} MB"
        )
    print(
        f"  rows: {calls} calls for {len(set(seen.ids))} answers; their cost {spent:.6f} USD, "
        f"booked {booked:.6f} USD, still held {held:.6f} USD"
    )
    if calls < len(set(seen.ids)) or held or spent != booked:
        raise SystemExit("answers without a row, money still held, or booked otherwise than spent")


def _is_ours(process: psutil.Process) -> bool:
    line = " ".join(process.cmdline())
    return "celery" in line or "uvicorn" in line


if __name__ == "__main__":
    main()
