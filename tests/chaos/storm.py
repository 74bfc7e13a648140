"""Clients that mean no good: they control runs at every wrong moment, send rubbish, and spy."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

PAUSE_SECONDS = 0.15
# What only those may read who may see sealed runs.
MARKER = "sealed-7391"

_EFFECT = 'tool: drill.effect, with: {ledger: "${ inputs.ledger }", seconds: 0.03}'
_LIGHT = 'tool: drill.light, with: {ledger: "${ inputs.ledger }"}'
_HEAD = (
    "inputs: {type: object, properties: {ledger: {type: string}, n: {type: integer}, "
    "note: {type: string}}}\nsteps:\n"
)
_BROKEN = "{tool: core.fail, with: {times: 2}, retry: {max_attempts: 1}, needs: [a]"

# Name → definition and the step that a fork begins at.
WORKFLOWS: dict[str, tuple[str, str]] = {
    "storm_chain": (
        f"{_HEAD}  a: {{{_EFFECT}, compensate: {{{_LIGHT}}}}}\n"
        f"  b: {{needs: [a], {_EFFECT}, compensate: {{{_EFFECT}}}}}\n"
        f"  c: {{needs: [b], {_LIGHT}}}\n",
        "a",
    ),
    "storm_fan": (
        f"{_HEAD}  each: {{for_each: [1, 2, 3, 4, 5, 6, 7, 8], max_parallel: 3, {_EFFECT}, "
        f"compensate: {{{_LIGHT}}}}}\n  z: {{needs: [each], {_LIGHT}}}\n",
        "each",
    ),
    "storm_flaky": (
        f"{_HEAD}  a: {{{_LIGHT}, compensate: {{{_EFFECT}}}}}\n  b: {_BROKEN}}}\n"
        f"  c: {{needs: [b], {_EFFECT}}}\n",
        "b",
    ),
    "storm_wait": (
        f"{_HEAD}  a: {{{_EFFECT}}}\n  w: {{needs: [a], wait: {{signal: go, timeout: 20s}}}}\n"
        f"  c: {{needs: [w], {_LIGHT}}}\n",
        "w",
    ),
    "storm_ask": (
        f"timeout: 20s\n{_HEAD}  a: {{{_LIGHT}}}\n  ask: {{needs: [a], approval: "
        f"{{role: manager, levels: 2, roles: [manager, partner]}}}}\n"
        f"  c: {{needs: [ask], {_EFFECT}}}\n",
        "ask",
    ),
    "storm_inner": (
        f"{_HEAD}  a: {{{_EFFECT}, compensate: {{{_LIGHT}}}}}\n"
        f"  f: {{when: 'inputs.n == 2', {_BROKEN[1:]}}}\n"
        "  w: {needs: [f], wait: {for: 200ms}}\n",
        "a",
    ),
    "storm_outer": (
        f'{_HEAD}  s: {{workflow: storm_inner, with: {{n: 1, ledger: "${{ inputs.ledger }}"}}}}\n'
        "  many: {needs: [s], for_each: [1, 2, 3], max_parallel: 2, workflow: storm_inner, "
        'with: {n: "${ item }", ledger: "${ inputs.ledger }"}}\n'
        f"  z: {{needs: [many], {_LIGHT}}}\n",
        "many",
    ),
    "storm_limit": (
        f"concurrency: {{max: 2}}\n{_HEAD}  w: {{wait: {{for: 300ms}}}}\n"
        f"  b: {{needs: [w], {_EFFECT}}}\n",
        "b",
    ),
    "storm_loop": (
        f"{_HEAD}  a: {{{_EFFECT}, repeat: {{until: 'iteration >= 3', max: 5}}}}\n"
        f"  any: {{needs: {{any: [a, w]}}, {_LIGHT}}}\n  w: {{wait: {{signal: go}}}}\n"
        "  x: {needs: [any], tool: core.fail, with: {times: 1}, retry: {max_attempts: 1}, "
        f"on_error: {{go_to: h}}}}\n  h: {{{_LIGHT}}}\n",
        "any",
    ),
    "storm_sealed": (
        f"access: {{see: [partner]}}\n{_HEAD}  a: {{for_each: [1, 2], {_EFFECT}}}\n"
        "  s: {workflow: storm_inner, "
        'with: {n: 1, ledger: "${ inputs.ledger }"}}\n'
        '  say: {needs: [a, s], tool: core.echo, with: {value: "${ inputs.note }"}}\n'
        "  ask: {needs: [say], approval: {role: partner, timeout: 30s, forbid_self: false}}\n",
        "say",
    ),
}  # fmt: skip
STARTED = [name for name in WORKFLOWS if name not in ("storm_inner", "storm_sealed")]

# Bodies that no door may fall over, as bytes or as JSON.
RUBBISH: list[Any] = [
    b"", b"{", b"[]", b"\xff\xfe", b'{"a": NaN}', b"[" * 2_000, b'{"workflow": "\\ud800"}',
    {"workflow": None}, {"workflow": ["storm_chain"]}, {"workflow": "storm_chain", "inputs": []},
    {"workflow": "storm_chain", "inputs": {"ledger": "a\x00b"}},
    {"workflow": "storm_chain", "priority": "urgent"}, {"workflow": "storm_chain", "version": "0"},
    {"workflow": "storm_chain", "deadline_at": "0001-01-01T00:00:00Z"},
    {"workflow": "storm_chain", "client_id": "no-id"}, {"name": "x" * 65}, {"name": 7},
    {"name": "go", "payload": "\x00"}, {"from_step": "nowhere"}, {"from_step": ""},
    {"firm": "perhaps"}, {"decision": "maybe"}, {"reason": "r" * 3_000}, {"items": 10**40},
]  # fmt: skip
DOORS = ["runs", "runs/{}/cancel", "runs/{}/pause", "runs/{}/resume", "runs/{}/retry",
         "runs/{}/fork", "runs/{}/signal", "approvals/{}", "dead-letters/{}/requeue",
         "workflows", "workflows/validate", "schedules"]  # fmt: skip
READS = ["runs?state=lost", "runs?cursor=%00", "runs?page_size=-1", "runs?since=yesterday",
         "runs/not-an-id", "runs/{}/events?format=json&cursor=9-9", "runs/{}?items=all",
         "runs?client_id=' OR 1=1 --", "dead-letters?cursor=zz",
         "artifacts?page_size=1e9"]  # fmt: skip


@dataclass
class Storm:
    """What the clients share: where, who, which runs there are, and what went wrong."""

    url: str
    ledger: str
    people: dict[str, dict[str, str]]  # name → headers
    runs: dict[str, str] = field(default_factory=dict)  # id → workflow
    sealed: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(
        self, http: httpx.Client, who: str, method: str, path: str, body: Any = None, **headers: str
    ) -> httpx.Response:
        """One request; a 5xx is a fault."""
        raw = {"content": body} if isinstance(body, bytes) else {"json": body}
        answer = http.request(
            method, f"{self.url}/{path}", headers={**self.people[who], **headers},
            **({} if body is None else raw),
        )  # fmt: skip
        with self.lock:
            self.answers[f"{method} {answer.status_code}"] += 1
            if answer.status_code >= 500:
                self.faults.append(f"{method} {path} {body!r}: {answer.text[:500]}")
        return answer

    def began(self, answer: httpx.Response, workflow: str) -> None:
        if answer.status_code != 201:
            return
        with self.lock:
            self.runs[answer.json()["id"]] = workflow
            if workflow == "storm_sealed":
                self.sealed.add(answer.json()["id"])


def rage(storm: Storm, seconds: float, seed: int, clients: int = 5) -> None:
    """Let ``clients`` and two spies loose on the instance for so long."""
    until = time.monotonic() + seconds

    def loop(act: Callable[[random.Random, httpx.Client], None], number: int) -> None:
        rng = random.Random(seed * 100 + number)
        with httpx.Client(timeout=120.0) as http:
            while time.monotonic() < until:
                try:
                    act(rng, http)
                except Exception as error:
                    with storm.lock:
                        storm.faults.append(f"a client: {error!r}"[:500])
                time.sleep(rng.random() * PAUSE_SECONDS)

    acts: list[Callable[[random.Random, httpx.Client], None]] = [
        lambda rng, http: _meddle(storm, rng, http)
    ] * clients
    acts += [lambda rng, http: spy(storm, rng, http, "outsider"),
             lambda rng, http: spy(storm, rng, http, "stranger")]  # fmt: skip
    threads = [threading.Thread(target=loop, args=(act, n)) for n, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


_WEIGHTS = {"start": 6, "seal": 1, "cancel": 3, "firm": 1, "pause": 3, "resume": 5, "retry": 4,
            "fork": 2, "signal": 4, "answer": 5, "rubbish": 5, "read": 2}  # fmt: skip


def _meddle(storm: Storm, rng: random.Random, http: httpx.Client) -> None:
    what = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    with storm.lock:
        known = list(storm.runs)[-40:]
    run = rng.choice(known) if known else str(uuid4())
    if what == "start" or not known:
        name = rng.choice(STARTED)
        storm.began(_start(storm, http, "manager", name, rng), name)
    elif what == "seal":
        storm.began(_start(storm, http, "partner", "storm_sealed", rng), "storm_sealed")
    elif what == "fork":
        name = storm.runs[run]
        body = {"from_step": WORKFLOWS[name][1]}
        storm.began(storm.ask(http, "partner", "POST", f"runs/{run}/fork", body), name)
    elif what == "answer":
        _answer(storm, rng, http)
    elif what == "rubbish":
        path = rng.choice(DOORS).format(rng.choice([run, str(uuid4())]))
        storm.ask(http, "manager", "POST", path, rng.choice(RUBBISH),
                  **{"content-type": "application/json"})  # fmt: skip
    elif what == "read":
        storm.ask(http, "manager", "GET", rng.choice(READS).format(run))
    elif what == "signal":
        body = {"name": "go", "payload": {"n": 1}}
        storm.ask(http, "partner", "POST", f"runs/{run}/signal", body)
    elif what == "firm":
        storm.ask(http, "partner", "POST", f"runs/{run}/cancel", {"firm": True})
    else:
        again = {"Idempotency-Key": rng.choice("abc") + run} if rng.random() < 0.2 else {}
        storm.ask(http, "partner", "POST", f"runs/{run}/{what}", {}, **again)


def _start(
    storm: Storm, http: httpx.Client, who: str, name: str, rng: random.Random
) -> httpx.Response:
    inputs = {"ledger": storm.ledger, "note": MARKER} if name == "storm_sealed" else {
        "ledger": storm.ledger
    }  # fmt: skip
    body = {"workflow": name, "inputs": inputs, "priority": rng.choice(["high", "default", "low"])}
    key = f"start-{uuid4()}"
    answer = storm.ask(http, who, "POST", "runs", body, **{"Idempotency-Key": key})
    if rng.random() < 0.2:  # the same once more gives the same run
        again = storm.ask(http, who, "POST", "runs", body, **{"Idempotency-Key": key})
        if answer.status_code == again.status_code == 201 and answer.json() != again.json():
            storm.faults.append(f"one key gave two runs: {answer.text} {again.text}"[:500])
    return answer


def _answer(storm: Storm, rng: random.Random, http: httpx.Client) -> None:
    rows = storm.ask(http, "partner", "GET", "approvals?page_size=100").json()["results"]
    if rows:
        body = {"decision": rng.choice(["approve", "approve", "reject"]), "reason": "r"}
        path = f"approvals/{rng.choice(rows)['id']}"
        storm.ask(http, rng.choice(["manager", "partner"]), "POST", path, body)


LISTS = ["runs?page_size=100", "approvals?page_size=100", "dead-letters", "artifacts",
         "invocations", "feedback", "metrics/query?metric=steps&scope=step", "queues"]  # fmt: skip
PAGES = ["dashboard/runs?nested=1", "dashboard/approvals", "dashboard/workflows/storm_sealed",
         "dashboard/invocations", "dashboard"]  # fmt: skip
INSIDE = ["runs/{}", "runs/{}?items=all", "runs/{}/events?format=json"]


def spy(storm: Storm, rng: random.Random, http: httpx.Client, who: str) -> None:
    """Look for sealed runs where they might show; whatever shows is a fault."""
    with storm.lock:
        sealed = list(storm.sealed)
    if sealed and rng.random() < 0.4:
        run = rng.choice(sealed)
        if rng.random() < 0.5:
            answer = storm.ask(http, who, "GET", rng.choice(INSIDE).format(run))
        else:
            action = rng.choice(["cancel", "pause", "retry", "signal", "fork"])
            body = {"signal": {"name": "go"}, "fork": {"from_step": "say"}}.get(action, {})
            answer = storm.ask(http, who, "POST", f"runs/{run}/{action}", body)
        if answer.status_code != 404:
            storm.faults.append(f"{who} got {answer.status_code} for the sealed {run}")
        return
    if rng.random() < 0.5:
        answer = storm.ask(http, who, "GET", rng.choice(LISTS))
    else:
        cookie = storm.people[f"{who} signed in"]
        page = storm.url.removesuffix("/api/v1") + "/" + rng.choice(PAGES)
        answer = http.get(page, headers=cookie, follow_redirects=True)
        if answer.status_code >= 500:
            storm.faults.append(f"{page}: {answer.status_code}")
    shown = [run for run in sealed if run in answer.text]
    if shown or MARKER in answer.text:
        storm.faults.append(f"{who} saw {shown or MARKER} at {answer.url}")
