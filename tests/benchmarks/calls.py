"""``make bench ONLY=calls``: what the platform adds to a model call, and what a call costs it.

The offline model answers at once, so whatever a call takes beside the plain ``openai`` client's
call to the same server is the platform's: key, version, guardrails, cache, money, the record.
Plain, through the platform and (where it can be installed) through a LiteLLM proxy take turns, one
caller at a time, so that a busy machine is busy for all of them alike.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import openai
import psutil

from tests.benchmarks import bare as nothing
from tests.benchmarks.dying import measure as dying
from tests.benchmarks.instance import Bench, running, words
from tests.benchmarks.peers import litellm
from tests.benchmarks.recording import measure as recording

CALLS = 300
WARM = 40
CACHED_CALLS = 300
WEBHOOK_PER_SECOND = 50
WEBHOOK_SECONDS = 10
WEBHOOK_LIMIT_SECONDS = 5.0
# How an answer begins that is not there yet, or that nobody has the time for.
PUT_OFF = ("I am still working", "Many people are asking", "I can't answer")
IDLE_SECONDS = 8.0
SEED = 20_261_128
# An agent of the catalogue, with its own prompt and guardrails; without its tools, so that a call
# is one model call here and there.
AGENT = "acct-bankrec-005"
Row = dict[str, Any]


def run() -> dict[str, Row]:
    """Figures in the shape of ``benchmarks.json``."""
    with running() as bench, ExitStack() as stack:
        prompt = publish_plain(bench)
        served = model_address(bench)
        plain = stack.enter_context(_client(f"{served}/v1", "none"))
        ours = stack.enter_context(_client(f"{bench.url}/v1", bench.key))
        calls = {
            "openai": _asking(plain, "offline-standard", prompt),
            "ratchet": _asking(ours, f"agent:{AGENT}", None),
        }
        if (proxy := stack.enter_context(litellm.serving(f"{served}/v1"))) is not None:
            through = stack.enter_context(_client(f"{proxy}/v1", litellm.KEY))
            calls["litellm_proxy"] = _asking(through, "offline-standard", prompt)
        texts = _texts(random.Random(SEED))
        for _ in range(WARM):
            for ask in calls.values():
                ask(next(texts))
        found = _uncached(bench, calls, texts)
        found |= _cached(ours, next(texts))
        found |= _cpu(bench, calls["ratchet"], texts)
        found |= _webhook(bench, texts)
        found |= dying(bench, AGENT, texts)
        found |= recording(bench.home)
        found["calls_web_memory"] = _row(_web(bench).memory_info().rss / 2**20, "MB", lower=True)
    return found


def publish_plain(bench: Bench) -> str:
    with bench.client() as http:
        content = http.get(f"/api/v1/agents/{AGENT}/versions").json()["results"][0]
        body = {"prompt": content["prompt"], "variables": content["variables"], "tools": [],
                "retrieval": {}, "examples": [], "label": "production"}  # fmt: skip
        http.post(f"/api/v1/agents/{AGENT}/versions", json=body).raise_for_status()
    # Money is measured here, not stopped.
    bench.rows("UPDATE agents_agent SET limits = '{}' RETURNING 1")
    bench.rows("UPDATE agents_budget SET cap_usd = 100000, soft_cap_usd = NULL RETURNING 1")
    return str(content["prompt"])


def model_address(bench: Bench) -> str:
    for process in bench.processes():
        line = words(process)
        if "agents.offline_model" in line:
            return f"http://127.0.0.1:{line[line.index('--port') + 1]}"
    raise RuntimeError("the instance runs no offline model")


def _web(bench: Bench) -> psutil.Process:
    return next(p for p in bench.processes() if "config.asgi:application" in words(p))


def _client(base_url: str, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=60.0)


def _texts(draw: random.Random) -> Iterator[str]:
    """Questions that nobody asked before."""
    while True:
        yield (
            f"The bank shows {draw.randrange(10**7) / 100:.2f} and the ledger "
            f"{draw.randrange(10**7) / 100:.2f} for account {draw.randrange(10**5):05}. "
            "What explains the difference?"
        )


def _asking(client: openai.OpenAI, model: str, prompt: str | None) -> Callable[[str], float]:
    """Seconds that one chat takes; ``prompt`` is what the platform would put before it."""
    before: list[Any] = [] if prompt is None else [{"role": "system", "content": prompt}]

    def ask(text: str) -> float:
        started = time.perf_counter()
        answer = client.chat.completions.create(
            model=model, messages=[*before, {"role": "user", "content": text}]
        )
        took = time.perf_counter() - started
        assert answer.choices[0].message.content
        return took

    return ask


def _uncached(
    bench: Bench, calls: dict[str, Callable[[str], float]], texts: Iterator[str]
) -> dict[str, Row]:
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for number in range(CALLS):
        text = next(texts)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            seconds[name].append(calls[name](text))
    base = statistics.median(seconds["openai"])
    added = {
        name: [1000 * (took - base) for took in taken]
        for name, taken in seconds.items() if name != "openai"
    }  # fmt: skip
    ours = added.pop("ratchet")
    medians = {name: round(statistics.median(one), 2) for name, one in added.items()}
    slowest = {name: round(_p95(one), 2) for name, one in added.items()}
    quartiles = statistics.quantiles(ours, n=4)
    return {
        "calls_added_median": _row(
            statistics.median(ours), "ms", lower=True, peers=medians,
            spread=(quartiles[0], quartiles[2]),
        ),
        "calls_added_p95": _row(_p95(ours), "ms", lower=True, peers=slowest),
        "calls_plain_openai_median": _row(1000 * base, "ms", lower=True),
    }  # fmt: skip


def _cached(client: openai.OpenAI, text: str) -> dict[str, Row]:
    """A kept answer, and the same answer by a server that does nothing else, in turns."""
    model = f"agent:{AGENT}"
    given = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": text}]
    )
    taken, bare = list[float](), list[float]()
    with (
        nothing.serving(given.model_dump_json()) as address,
        _client(f"{address}/v1", "none") as other,
    ):
        calls = [(_asking(client, model, None), taken), (_asking(other, model, None), bare)]
        for _ in range(CACHED_CALLS):
            for ask, kept in calls:
                kept.append(1000 * ask(text))
    base = statistics.median(bare)
    quartiles = statistics.quantiles(taken, n=4)
    return {
        "calls_cached_added_median": _row(
            statistics.median(taken) - base, "ms", lower=True,
            spread=(quartiles[0] - base, quartiles[2] - base),
        ),
        "calls_cached_median": _row(
            statistics.median(taken), "ms", lower=True, spread=(quartiles[0], quartiles[2])
        ),
        "calls_cached_p95": _row(_p95(taken), "ms", lower=True),
    }  # fmt: skip


def _cpu(bench: Bench, ask: Callable[[str], float], texts: Iterator[str]) -> dict[str, Row]:
    """CPU of all processes but the model's server, without what they use when nobody calls."""
    idle = _used(bench, lambda: time.sleep(IDLE_SECONDS))
    started = time.monotonic()
    busy = _used(bench, lambda: [ask(next(texts)) for _ in range(CALLS)])
    wall = time.monotonic() - started
    total = sum(busy.values()) - sum(idle.values()) * wall / IDLE_SECONDS
    web = busy.get("web", 0.0) - idle.get("web", 0.0) * wall / IDLE_SECONDS
    return {
        "calls_cpu": _row(1000 * total / CALLS, "CPU ms a call", lower=True),
        "calls_cpu_web": _row(1000 * web / CALLS, "CPU ms a call", lower=True),
    }


def _used(bench: Bench, work: Callable[[], Any]) -> dict[str, float]:
    before = _times(bench)
    work()
    after = _times(bench)
    used: dict[str, float] = {}
    for (pid, name), seconds in after.items():
        used[name] = used.get(name, 0.0) + seconds - before.get((pid, name), 0.0)
    return used


def _times(bench: Bench) -> dict[tuple[int, str], float]:
    found = {}
    for process in bench.processes():
        try:
            line, times = " ".join(process.cmdline()), process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        if "agents.offline_model" in line:
            continue
        name = "web" if "config.asgi" in line else process.name()
        found[process.pid, name] = times.user + times.system
    return found


def _webhook(bench: Bench, texts: Iterator[str]) -> dict[str, Row]:
    """Requests at a fixed rate whatever the answers take: late ones pile up, as callers do."""
    total = WEBHOOK_PER_SECOND * WEBHOOK_SECONDS
    headers = {"Authorization": f"Bearer {bench.key}"}
    # As many as may wait at once: fewer would count what they wait for each other.
    limits = httpx.Limits(max_connections=300, max_keepalive_connections=300)
    started = time.monotonic() + 0.5
    with (
        httpx.Client(base_url=bench.url, headers=headers, timeout=30.0, limits=limits) as http,
        ThreadPoolExecutor(300) as pool,
    ):

        def one(number: int, text: str) -> tuple[float, str]:
            due = started + number / WEBHOOK_PER_SECOND
            time.sleep(max(0.0, due - time.monotonic()))
            body = {
                "fulfillmentInfo": {"tag": f"agent:{AGENT}"},
                "sessionInfo": {"session": f"projects/p/locations/l/agents/a/sessions/{number}"},
                "text": text,
            }
            answer = http.post("/webhooks/dialogflow", json=body)
            said = answer.json().get("fulfillmentResponse") if answer.is_success else None
            told = [part["text"]["text"][0] for part in said["messages"]] if said else [""]
            return time.monotonic() - due, str(told[-1])

        jobs = [pool.submit(one, number, next(texts)) for number in range(total)]
        done = [job.result() for job in jobs]
    taken = [seconds for seconds, _ in done]
    right = sum(bool(said) and seconds <= WEBHOOK_LIMIT_SECONDS for seconds, said in done)
    put_off = sum(said.startswith(PUT_OFF) for _, said in done)
    return {
        "webhook_answered_whole": _row(1 - put_off / total, "ratio at 50 requests/s", lower=False),
        "webhook_median": _row(1000 * statistics.median(taken), "ms at 50 requests/s", lower=True),
        "webhook_within_limit": _row(right / total, "ratio at 50 requests/s", lower=False),
        "webhook_p95": _row(1000 * _p95(taken), "ms at 50 requests/s", lower=True),
        "webhook_slowest": _row(1000 * max(taken), "ms at 50 requests/s", lower=True),
    }


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def _row(
    value: float,
    unit: str,
    *,
    lower: bool,
    peers: dict[str, float] | None = None,
    spread: tuple[float, float] | None = None,
) -> Row:
    low, high = spread or (value, value)
    return {
        "value": round(value, 3),
        "unit": unit,
        "lower_is_better": lower,
        "peers": peers or {},
        "spread": [round(low, 3), round(high, 3)],
    }
