"""What cache, routing and token optimisation save: one workload, each off, alone, and all on.

The workload asks the catalogue's agents their graded cases over HTTP, some often and most seldom
(Zipf), as an API call or as a chat whose wording and layout differ each time. The offline model
follows a truth that routing can get wrong: questions differ in how hard they are, and a lighter
model errs in a share of the harder ones, whatever tier an agent's catalogue entry asks for.
Answers are graded by code against computed facts, and each setting's loss is the mean difference
to the same questions with all off, with an interval over the cases that were asked about.

A second workload asks about figures given somewhere in a long chat, and tells what compressing,
summarising and a sliding window each save of its tokens and lose of its answers.
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
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx
import numpy as np
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
# Draws of the interval around a loss of right answers.
DRAWS = 10_000
# A reply of the model takes this long; a real one takes longer, which would flatter the cache.
REPLY_SECONDS = 0.05
# How often a model is right about a question with so many figures or more; below, it always is.
RIGHT_RATIO = {
    "light": {10: 0.85, 20: 0.60},
    "standard": {20: 0.95},
}
# And how much seldomer where the subject asks for strong reasoning, whatever the figures.
STRONG_SHIFT = {"light": -0.20, "standard": -0.02}

SWITCHES = ("ANSWER_CACHE", "MODEL_ROUTING", "TOKEN_OPTIMISATION")
SETTINGS: dict[str, frozenset[str]] = {
    "all off": frozenset(),
    "cache alone": frozenset({"ANSWER_CACHE"}),
    "routing alone": frozenset({"MODEL_ROUTING"}),
    "routing by difficulty": frozenset({"MODEL_ROUTING"}),
    "tokens alone": frozenset({"TOKEN_OPTIMISATION"}),
    "all on": frozenset(SWITCHES),
    "all on, by difficulty": frozenset(SWITCHES),
}
# What versions say of their model where they let difficulty decide.
BY_DIFFICULTY: dict[str, Any] = {"tiers": list(TIERS)}

# Long chats: so many, of so many turns, one of which gives the figures asked for at the end.
CHATS, TURNS = 150, 40
HISTORY_TOKENS = 1_500
FOOTER = "This message is confidential and meant for the person that it is addressed to alone."
TALK = (
    "We had a meeting with the team about the plan and everybody agreed with it.",
    "The weather was fine, so we took our lunch outside and spoke about the holidays.",
    "Nobody had a question about the slides, and the room was booked for the next time too.",
    "I read through the notes once more and found nothing that has to be changed in them.",
)
TECHNIQUES: dict[str, dict[str, Any]] = {
    "as it is": {"compress": False},
    "compressed": {"compress": True},
    "summarised": {"compress": False, "history_tokens": HISTORY_TOKENS, "history": "summary"},
    "window": {"compress": False, "history_tokens": HISTORY_TOKENS, "history": "window"},
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
    case: int = 0
    messages: list[dict[str, Any]] | None = None


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
    right: tuple[bool, ...] = field(repr=False)


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
            more = BY_DIFFICULTY if "difficulty" in name else {}
            found[name] = _measured(bench, model, switches, workload, more)
            print(f"  {name}: {found[name]}", flush=True)
        chats = long_chats(random.Random(SEED))
        told = {}
        for name, more in TECHNIQUES.items():
            told[name] = _measured(bench, model, frozenset({"TOKEN_OPTIMISATION"}), chats, more)
            print(f"  chats {name}: {told[name]}", flush=True)
    _print(found, f"{QUESTIONS} questions")
    _print(told, f"{CHATS} chats of {TURNS} turns")
    figures = {}
    for what, unit, lower in (
        ("seconds", "s", True), ("median_ms", "ms", True), ("tokens", "tokens", True),
        ("cost_usd", "USD", True), ("hit_ratio", "ratio", False),
        ("accuracy_ratio", "ratio", False),
    ):  # fmt: skip
        values = {name: float(getattr(outcome, what)) for name, outcome in found.items()}
        on = values.pop("all on")
        figures[f"savings.{what}"] = {
            "value": on, "unit": unit, "lower_is_better": lower, "peers": values,
            "spread": [on, on],
        }  # fmt: skip
    base = found["all off"].cost_usd
    saved = {name: round(1 - one.cost_usd / base, 4) for name, one in found.items()}
    on = saved.pop("all on")
    figures["savings.saved_ratio"] = {
        "value": on, "unit": "ratio", "lower_is_better": False, "peers": saved,
        "spread": [on, on],
    }  # fmt: skip
    for name, one in found.items():
        if name == "all off":
            continue
        mean, low, high = (round(part, 4) for part in lost(found["all off"], one, workload))
        figures[f"savings.lost: {name}"] = {
            "value": mean, "unit": "of the answers, less right than with all off",
            "lower_is_better": True, "peers": {}, "spread": [low, high],
        }  # fmt: skip
        print(f"  {name}: {mean:.2%} fewer right ({low:.2%} to {high:.2%})")
    return figures | _techniques(told, chats)


def _techniques(told: dict[str, Outcome], chats: list[Question]) -> dict[str, dict[str, Any]]:
    """What each technique saves of a long chat's tokens, and what it loses of its answers."""
    base = told["as it is"]
    figures: dict[str, dict[str, Any]] = {}
    for name, one in told.items():
        if one is base:
            continue
        saved = round(1 - one.tokens / base.tokens, 4)
        figures[f"savings.chats_{name}_tokens_saved_ratio"] = {
            "value": saved, "unit": "ratio", "lower_is_better": False, "peers": {},
            "spread": [saved, saved],
        }  # fmt: skip
        mean, low, high = (round(part, 4) for part in lost(base, one, chats))
        figures[f"savings.chats_{name}_accuracy_lost_ratio"] = {
            "value": mean, "unit": "ratio", "lower_is_better": True, "peers": {},
            "spread": [low, high],
        }  # fmt: skip
    return figures


def questions(draw: random.Random) -> list[Question]:
    """The workload: the same seed gives the same questions in the same order."""
    cases = [(agent["slug"], case) for agent in catalogue() for case in agent["cases"]]
    draw.shuffle(cases)
    weights = [1 / (place + 1) ** ZIPF for place in range(len(cases))]
    asked: list[Question] = []
    for place in draw.choices(range(len(cases)), weights, k=QUESTIONS):
        slug, case = cases[place]
        inputs = json.loads(json.dumps(case["input"], default=str))
        chat = _worded(inputs, draw) if draw.random() < CHAT_SHARE else None
        asked.append(Question(slug, _shuffled(inputs, draw), chat, case["facts"], place))
    return asked


def long_chats(draw: random.Random) -> list[Question]:
    """Chats in which the figures were given some turns ago, among mails that quote each other."""
    cases = [(agent["slug"], case) for agent in catalogue() for case in agent["cases"]]
    asked: list[Question] = []
    for slug, case in draw.sample(cases, CHATS):
        inputs = json.loads(json.dumps(case["input"], default=str))
        given = 2 * draw.randrange(TURNS // 2)
        turns = ["Noted." if n % 2 else _thread(draw) for n in range(TURNS)]
        turns[given] = f"Here are the figures: {json.dumps(inputs)}\n{FOOTER}"
        messages = [{"role": ("user", "assistant")[n % 2], "content": text}
                    for n, text in enumerate(turns)]  # fmt: skip
        question = {"role": "user", "content": "Now work through the figures that I gave you."}
        asked.append(Question(slug, inputs, None, case["facts"], len(asked), [*messages, question]))
    return asked


def _thread(draw: random.Random) -> str:
    """A mail above those that it answers, each with its footer."""
    return "\n\n----------\n\n".join(f"{draw.choice(TALK)}\n{FOOTER}" for _ in range(3))


def catalogue() -> Iterator[dict[str, Any]]:
    """The shipped agents that answer from what they are given, without stored files."""
    for file in sorted((ROOT / "agents" / "catalogue").glob("*.yaml")):
        yield from yaml.safe_load(file.read_text("utf-8"))["agents"]


def truth() -> dict[str, Any]:
    """The offline model's profile: wrong the more often, the lighter it is and the harder the
    question. What is hard stands in the question, not in the agent's declared tier."""
    rules: list[dict[str, Any]] = [
        {"when": {"model": f"offline-{tier}", "user_matches": rf"(?:\d[\d.,]*[^\d]+){{{figures}}}"},
         "accuracy_ratio": ratio}
        for tier, steps in RIGHT_RATIO.items()
        for figures, ratio in steps.items()
    ]  # fmt: skip
    for agent in catalogue():
        opening = agent["prompt"].split("{")[0][:80].split("\n")[0].strip()
        if agent["model"]["tier"] == TIERS[-1]:
            rules += [
                {"when": {"model": f"offline-{tier}", "prompt_contains": opening},
                 "accuracy_shift": shift}
                for tier, shift in STRONG_SHIFT.items()
            ]  # fmt: skip
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
    bench: Bench,
    model: str,
    switches: frozenset[str],
    workload: list[Question],
    more: dict[str, Any],
) -> Outcome:
    """The workload through a web process of its own, which has nothing in its caches.

    ``more`` is what each agent's version says of its model beside what the catalogue does.
    """
    bench.rows("DELETE FROM agents_cachedanswer RETURNING 1")
    redis.Redis.from_url(bench.services.redis_url).flushdb()
    with _web(bench, model, switches) as address:
        headers = {"Authorization": f"Bearer {bench.key}"}
        with (
            httpx.Client(base_url=address, headers=headers, timeout=120.0) as client,
            ThreadPoolExecutor(CALLERS) as pool,
        ):
            before = {slug: _publish(client, slug, more) for slug in {q.agent for q in workload}}
            since = bench.rows("SELECT now()")[0][0]
            started = time.monotonic()
            answers = list(pool.map(lambda question: _asked(client, question), workload))
            seconds = time.monotonic() - started
            for slug, version in before.items():
                _label(client, slug, version)
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
        right=tuple(right),
    )


def lost(base: Outcome, one: Outcome, workload: list[Question]) -> tuple[float, float, float]:
    """By how much less of the same questions are right than with ``base``, and its 95 % interval.

    A case is asked about often and tends to be right or wrong each time, so cases are drawn anew
    (cluster bootstrap), not questions. Where no case differs at all the interval is what so many
    cases can rule out (the rule of three).
    """
    cases = sorted({question.case for question in workload})
    places = {case: place for place, case in enumerate(cases)}
    differences, counts = np.zeros(len(cases)), np.zeros(len(cases))
    for question, was, is_now in zip(workload, base.right, one.right, strict=True):
        differences[places[question.case]] += int(was) - int(is_now)
        counts[places[question.case]] += 1
    mean = float(differences.sum() / counts.sum())
    if not differences.any():
        return mean, -3 / len(cases), 3 / len(cases)
    drawn = np.random.default_rng(SEED).integers(len(cases), size=(DRAWS, len(cases)))
    means = differences[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return mean, float(low), float(high)


def _publish(client: httpx.Client, slug: str, more: dict[str, Any]) -> str:
    """Let a version answer that says ``more`` of its model; returns the one that did before."""
    agent = client.get(f"/api/v1/agents/{slug}").raise_for_status().json()
    answering = str(agent["labels"]["production"])
    if more:
        model = next(v["model"] for v in agent["versions"] if v["id"] == answering)
        body = {"model": {**model, **more}, "label": "production"}
        client.post(f"/api/v1/agents/{slug}/versions", json=body).raise_for_status()
    return answering


def _label(client: httpx.Client, slug: str, version: str) -> None:
    body = {"name": "production", "version": version}
    client.post(f"/api/v1/agents/{slug}/labels", json=body).raise_for_status()


def _asked(client: httpx.Client, question: Question) -> tuple[str, float]:
    started = time.monotonic()
    if question.messages is not None:
        body = {"model": f"agent:{question.agent}", "messages": question.messages}
        answer = client.post("/v1/chat/completions", json=body)
        text = answer.json()["choices"][0]["message"]["content"] if answer.is_success else ""
    elif question.chat is None:
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


def _print(found: dict[str, Outcome], what: str) -> None:
    base = next(iter(found.values()))
    print(f"  {what}, {CALLERS} callers, a model reply takes {REPLY_SECONDS} s")
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
