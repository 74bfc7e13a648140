"""An instance and the demo people who start and approve its runs, all over HTTP."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from config.demo import credentials
from config.demo.audit import APPROVERS, INPUTS, LEDGER, STARTER
from tests.benchmarks.instance import Bench, running

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 300.0


class Firm:
    """A started instance with its demo people; ``inputs`` are those of the shipped audit."""

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self.bench, self.stack = bench, stack
        self.command("demo", "--setup")
        people = credentials.read(bench.home)
        self.starter = self._client(people[STARTER].key)
        self.approvers = {role: self._client(people[who].key) for role, who in APPROVERS.items()}
        with LEDGER.open("rb") as file:
            made = self.starter.post("/api/v1/artifacts", files={"file": file}).raise_for_status()
        self.inputs = {**INPUTS, "ledger": made.json()["id"]}

    def _client(self, key: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"}
        client = httpx.Client(base_url=self.bench.url, headers=headers, timeout=60.0)
        return self.stack.enter_context(client)

    def command(self, *argv: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *argv],
            cwd=ROOT, env=self.bench.env, capture_output=True, text=True, timeout=LIMIT_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def see_through(
        self,
        workflow: str,
        inputs: dict[str, Any],
        meanwhile: Callable[[dict[str, Any]], None] = lambda run: None,
    ) -> dict[str, Any]:
        """Start it over HTTP, approve what waits for a person; the run when it has ended.

        ``meanwhile`` is called with the run at each look.
        """
        body = {"workflow": workflow, "inputs": inputs}
        began = time.monotonic()
        run: dict[str, Any] = self.starter.post("/api/v1/runs", json=body).raise_for_status().json()
        while run["state"] not in ("succeeded", "failed", "cancelled"):
            took = time.monotonic() - began
            assert took < LIMIT_SECONDS, [(s["key"], s["state"]) for s in run["steps"]]
            meanwhile(run)
            time.sleep(0.2)
            run = self.starter.get(f"/api/v1/runs/{run['id']}").raise_for_status().json()
            self._answer(run)
        return run

    def _answer(self, run: dict[str, Any]) -> None:
        """Approve each open level, the lower ones first, as the demo person of its role."""
        waiting = [asked for asked in run["approvals"] if asked["state"] == "waiting"]
        for asked in sorted(waiting, key=lambda one: one["level"]):
            answer = {"decision": "approve", "reason": "The work supports it."}
            who = self.approvers[asked["role"]]
            who.post(f"/api/v1/approvals/{asked['id']}", json=answer).raise_for_status()


@contextmanager
def open_firm() -> Iterator[Firm]:
    """A firm on an instance of its own, gone afterwards."""
    with running() as bench, ExitStack() as stack:
        yield Firm(bench, stack)
