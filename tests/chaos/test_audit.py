"""The shipped audit on a whole instance: by HTTP, by command, and under fire."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from config.demo import credentials
from config.demo.audit import APPROVERS, INPUTS, LEDGER, STARTER
from tests.benchmarks.instance import Bench, running

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.worker]
ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 300.0
# Who is killed, one after the other, each while the audit is under way.
VICTIMS = ("io1", "analysis", "io2")
KILL_EVERY_SECONDS = 1.5
UUIDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Firm:
    """An instance and the demo people who start and approve its audits."""

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

    def audit(self, victims: tuple[str, ...] = ()) -> tuple[dict[str, Any], float]:
        """Start it over HTTP and see it through; the ended run, and how many seconds it took."""
        body = {"workflow": "annual_audit", "inputs": self.inputs}
        began = time.monotonic()
        run = self.starter.post("/api/v1/runs", json=body).raise_for_status().json()
        killed = 0
        while run["state"] not in ("succeeded", "failed", "cancelled"):
            took = time.monotonic() - began
            assert took < LIMIT_SECONDS, [(s["key"], s["state"]) for s in run["steps"]]
            if killed < len(victims) and took > KILL_EVERY_SECONDS * (killed + 1):
                self.kill(victims[killed])
                killed += 1
            time.sleep(0.2)
            run = self.starter.get(f"/api/v1/runs/{run['id']}").raise_for_status().json()
            for asked in run["approvals"]:
                if asked["state"] == "waiting":
                    answer = {"decision": "approve", "reason": "The work supports it."}
                    who = self.approvers[asked["role"]]
                    who.post(f"/api/v1/approvals/{asked['id']}", json=answer).raise_for_status()
        assert killed == len(victims), "the audit was over before all of them were killed"
        return run, time.monotonic() - began

    def kill(self, name: str) -> None:
        for process in self.bench.processes():
            with suppress(psutil.NoSuchProcess):
                if f"celeryd: {name}@" in " ".join(process.cmdline()):
                    process.kill()


@pytest.fixture(scope="module")
def firm() -> Iterator[Firm]:
    with running() as bench, ExitStack() as stack:
        yield Firm(bench, stack)


def findings(run: dict[str, Any]) -> str:
    """All that came out, without the ids of what was stored."""
    assert run["state"] == "succeeded", run["error"]
    return UUIDS.sub("id", json.dumps(run["outputs"], sort_keys=True))


def test_the_audit_finds_the_same_by_http_by_command_and_with_its_workers_killed(
    firm: Firm,
) -> None:
    by_http, _ = firm.audit()
    _, usual = firm.audit()  # everything is loaded by now
    inputs = json.dumps({**INPUTS, "ledger": str(LEDGER)})
    argv = ("run_workflow", "annual_audit", "--inputs", inputs, "--wait", "--approve")
    printed = firm.command(*argv, "--user", STARTER)
    by_command = json.loads(printed[printed.index("{"):])  # fmt: skip
    under_fire, longer = firm.audit(VICTIMS)
    assert len(findings(by_http)) > 1000
    assert findings(by_command) == findings(by_http)
    assert findings(under_fire) == findings(by_http)
    print(f"\nthe audit took {usual:.1f} s, with {len(VICTIMS)} workers killed {longer:.1f} s")
