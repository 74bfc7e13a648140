"""What cache, routing and token optimisation save: one workload, each off, alone, and all on.

The workload asks the catalogue's agents their graded cases over HTTP, some often and most seldom
(Zipf), as an API call or as a chat whose wording and layout differ each time. The offline model
follows a truth that routing can get wrong: a model below the tier that an agent's catalogue entry
asks for errs in a share of its answers. Answers are graded by code against computed facts.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import redis
import yaml

from agents.domain.grading import grade
from agents.domain.scoring import TIERS
from tests.benchmarks.instance import ROOT, Bench, running, words

QUESTIONS = 1_200
CALLERS = 4
SEED = 20_261_120
# Share of questions that come as a chat in somebody's own words.
CHAT_SHARE = 0.4
# Popularity of the n-th case: 1 / n (Zipf).
ZIPF = 1.0
# A reply of the model takes this long; a real one takes longer, which would flatter the cache.
REPLY_SECONDS = 0.05
# How often a model one tier below what the task asks for is right, and two tiers below.
BELOW_RIGHT_RATIO = {1: 0.85, 2: 0.70}

SWITCHES = ("ANSWER_CACHE", "MODEL_ROUTING", "TOKEN_OPTIMISATION")
SETTINGS: dict[str, frozenset[str]] = {
    "all off": frozenset(),
    "cache alone": frozenset({"ANSWER_CACHE"}),
    "routing alone": frozenset({"MODEL_ROUTING"}),
    "tokens alone": frozenset({"TOKEN_OPTIMISATION"}),
    "all on": frozenset(SWITCHES),
}
WORDINGS = (
    "Please check this:\n{}",
    "check this: {}",
    "Hello, could you check this? {}",
    "Check this, thanks!\n\n{}\n\nBest regards",
    "{}\nWhat do you make of it?",
    "What do you make of it? {}",
    "Good morning, what do you make of it, please:\n\n{}",
    "Work through the figures below.\n{}\n",
    "{}",
)


@dataclass(frozen=True, slots=True)
class Question:
    """One request: to whom, what, and what a right answer states."""

    agent: str
    inputs: dict[str, Any]
    chat: str | None
    facts: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one setting took and gave."""

    seconds: float
    median_ms: float
    tokens: int
    cost_usd: float
    hit_ratio: float
    accuracy_ratio: float
    errors: int


def run() -> dict[str, dict[str, Any]]:
    """Figures in the shape of ``benchmarks.json``: the shipped setting beside all others."""
    workload = questions(random.Random(SEED))
    with running() as bench:
        model = _behave(bench)
        # The shipped caps are for the shipped routing; here money is measured, not stopped.
        bench.rows("UPDATE agents_agent SET limits = '{}' RETURNING 1")
        bench.rows("UPDATE agents_budget SET cap_usd = 100000, soft_cap_usd = NULL RETURNING 1")
        found = {}
        for name, switches in SETTINGS.items():
            found[name] = _measured(bench, model, switches, workload)
            print(f"  {name}: {found[name]}", flush=True)
    _print(found)
    figures = {}
    for field, unit, lower in (
        ("seconds", "s", True), ("median_ms", "ms", True), ("tokens", "tokens", True),
        ("cost_usd", "USD", True), ("hit_ratio", "ratio", False),
        ("accuracy_ratio", "ratio", False),
    ):  # fmt: skip
        values = {name: float(getattr(outcome, field)) for name, outcome in found.items()}
        on = values.pop("all on")
        figures[f"savings.{field}"] = {
            "value": on, "unit": unit, "lower_is_better": lower, "peers": values,
            "spread": [on, on],
        }  # fmt: skip
    saved = 1 - found["all on"].cost_usd / found["all off"].cost_usd
    figures["savings.saved_ratio"] = {
        "value": round(saved, 4), "unit": "ratio", "lower_is_better": False, "peers": {},
        "spread": [round(saved, 4)] * 2,
    }  # fmt: skip
    return figures


def questions(draw: random.Random) -> list[Question]:
    """The workload: the same seed gives the same questions in the same order."""
    cases = [(agent["slug"], case) for agent in catalogue() for case in agent["cases"]]
    draw.shuffle(cases)
    weights = [1 / (place + 1) ** ZIPF for place in range(len(cases))]
    asked = []
    for slug, case in draw.choices(cases, weights, k=QUESTIONS):
        inputs = json.loads(json.dumps(case["input"], default=str))
        chat = _worded(inputs, draw) if draw.random() < CHAT_SHARE else None
        asked.append(Question(slug, _shuffled(inputs, draw), chat, case["facts"]))
    return asked


def catalogue() -> Iterator[dict[str, Any]]:
    """The shipped agents that answer from what they are given, without stored files."""
    for file in sorted((ROOT / "agents" / "catalogue").glob("*.yaml")):
        yield from yaml.safe_load(file.read_text("utf-8"))["agents"]


def truth() -> dict[str, Any]:
    """The offline model's profile: right where it is strong enough, often wrong below."""
    rules = []
    for agent in catalogue():
        opening = agent["prompt"].split("{")[0][:80].split("\n")[0].strip()
        wanted = TIERS.index(agent["model"]["tier"])
        for below, ratio in BELOW_RIGHT_RATIO.items():
            if wanted - below >= 0:
                rules.append(
                    {
                        "when": {"model": f"offline-{TIERS[wanted - below]}",
                                 "prompt_contains": opening},
                        "accuracy_ratio": ratio,
                    }
                )  # fmt: skip
    latency = {"first_token": {"fixed_seconds": REPLY_SECONDS}}
    return {"latency": latency, "rules": rules}


def _worded(inputs: dict[str, Any], draw: random.Random) -> str:
    indent = draw.choice((None, None, 2, 4))
    return draw.choice(WORDINGS).format(json.dumps(_shuffled(inputs, draw), indent=indent))


def _shuffled(inputs: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    names = list(inputs)
    draw.shuffle(names)
    return {name: inputs[name] for name in names}


def _measured(
    bench: Bench, model: str, switches: frozenset[str], workload: list[Question]
) -> Outcome:
    """The workload through a web process of its own, which has nothing in its caches."""
    bench.rows("DELETE FROM agents_cachedanswer RETURNING 1")
    redis.Redis.from_url(bench.services.redis_url).flushdb()
    since = bench.rows("SELECT now()")[0][0]
    with _web(bench, model, switches) as address:
        headers = {"Authorization": f"Bearer {bench.key}"}
        with (
            httpx.Client(base_url=address, headers=headers, timeout=120.0) as client,
            ThreadPoolExecutor(CALLERS) as pool,
        ):
            started = time.monotonic()
            answers = list(pool.map(lambda question: _asked(client, question), workload))
            seconds = time.monotonic() - started
    totals = bench.rows(
        "SELECT count(*), count(*) FILTER (WHERE cached <> ''), coalesce(sum(cost_usd), 0), "
        "coalesce(sum(input_tokens + cached_tokens + output_tokens + reasoning_tokens), 0) "
        "FROM agents_invocation WHERE started_at >= %s",
        since,
    )[0]
    right = [grade(text, q.facts).passed for (text, _), q in zip(answers, workload, strict=True)]
    calls, hits, cost, tokens = totals
    return Outcome(
        seconds=round(seconds, 2),
        median_ms=round(statistics.median(took for _, took in answers) * 1000, 1),
        tokens=int(tokens),
        cost_usd=round(float(Decimal(cost)), 6),
        hit_ratio=round(hits / max(1, calls), 4),
        accuracy_ratio=round(sum(right) / len(right), 4),
        errors=sum(not text for text, _ in answers),
    )


def _asked(client: httpx.Client, question: Question) -> tuple[str, float]:
    started = time.monotonic()
    if question.chat is None:
        path = f"/api/v1/agents/{question.agent}/invocations"
        answer = client.post(path, json={"inputs": question.inputs})
        text = answer.json()["output"]["text"] if answer.is_success else ""
    else:
        body = {"model": f"agent:{question.agent}",
                "messages": [{"role": "user", "content": question.chat}]}  # fmt: skip
        answer = client.post("/v1/chat/completions", json=body)
        text = answer.json()["choices"][0]["message"]["content"] if answer.is_success else ""
    return text or "", time.monotonic() - started


@contextmanager
def _web(bench: Bench, model: str, switches: frozenset[str]) -> Iterator[str]:
    """A web process as the instance's own, with these switches on and the others off."""
    flags = {name: "1" if name in switches else "0" for name in SWITCHES}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DATABASE_", "REDIS_"))}
    env = {**kept, "RATCHET_HOME": str(bench.home), "OFFLINE_MODEL_URL": model,
           "DATABASE_POOL": "1", "LOG_LEVEL": "ERROR", **flags}  # fmt: skip
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        number = listening.fileno()
        argv = [sys.executable, "-m", "uvicorn", "config.asgi:application", "--fd", str(number),
                "--no-access-log", "--log-level", "error"]  # fmt: skip
        process = subprocess.Popen(argv, cwd=ROOT, env=env, pass_fds=[number])
        try:
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            httpx.get(f"{address}/healthz", timeout=120.0)
            yield address
        finally:
            process.terminate()
            process.wait(30)


def _behave(bench: Bench) -> str:
    """Put the truth in force at the instance's own offline model; returns its address."""
    for process in bench.processes():
        line = words(process)
        if "agents.offline_model" in line:
            root = f"http://127.0.0.1:{line[line.index('--port') + 1]}"
            body = json.dumps(truth())
            httpx.post(f"{root}/admin/profile", content=body).raise_for_status()
            return f"{root}/v1"
    raise RuntimeError("the instance runs no offline model")


def _print(found: dict[str, Outcome]) -> None:
    base = found["all off"]
    print(f"  {QUESTIONS} questions, {CALLERS} callers, a model reply takes {REPLY_SECONDS} s")
    head = ("", "time s", "median ms", "tokens", "cost USD", "saved", "hits", "right", "errors")
    rows = [head]
    for name, one in found.items():
        saved = 1 - one.cost_usd / base.cost_usd
        rows.append((name, f"{one.seconds:.1f}", f"{one.median_ms:.0f}", f"{one.tokens:,}",
                     f"{one.cost_usd:.4f}", f"{saved:.1%}", f"{one.hit_ratio:.1%}",
                     f"{one.accuracy_ratio:.2%}", str(one.errors)))  # fmt: skip
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    for row in rows:
        cells = itertools.starmap(str.rjust, zip(row[1:], widths[1:], strict=True))
        print("  " + row[0].ljust(widths[0]) + "  " + "  ".join(cells))
