"""The shipped audit on a whole instance: by HTTP, by command, and under fire."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest

from config.demo.audit import INPUTS, LEDGER, STARTER
from tests.chaos.firm import Firm, open_firm

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.worker]
# Who is killed, one after the other, each while the audit is under way.
VICTIMS = ("io1", "analysis", "io2")
KILL_EVERY_SECONDS = 1.5
UUIDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def kill(firm: Firm, name: str) -> None:
    for process in firm.bench.processes():
        with suppress(psutil.NoSuchProcess):
            if f"celeryd: {name}@" in " ".join(process.cmdline()):
                process.kill()


def audit(firm: Firm, victims: tuple[str, ...] = ()) -> tuple[dict[str, Any], float]:
    """See it through while the victims are killed; the ended run, and the seconds it took."""
    began, left = time.monotonic(), list(victims)

    def kill_the_next(run: dict[str, Any]) -> None:
        due = KILL_EVERY_SECONDS * (len(victims) - len(left) + 1)
        if left and time.monotonic() - began > due:
            kill(firm, left.pop(0))

    run = firm.see_through("annual_audit", firm.inputs, kill_the_next)
    assert not left, "the audit was over before all of them were killed"
    return run, time.monotonic() - began


@pytest.fixture(scope="module")
def firm() -> Iterator[Firm]:
    with open_firm() as made:
        yield made


def findings(run: dict[str, Any]) -> str:
    """All that came out, without the ids of what was stored."""
    assert run["state"] == "succeeded", run["error"]
    return UUIDS.sub("id", json.dumps(run["outputs"], sort_keys=True))


def test_the_audit_finds_the_same_by_http_by_command_and_with_its_workers_killed(
    firm: Firm,
) -> None:
    by_http, _ = audit(firm)
    _, usual = audit(firm)  # everything is loaded by now
    inputs = json.dumps({**INPUTS, "ledger": str(LEDGER)})
    argv = ("run_workflow", "annual_audit", "--inputs", inputs, "--wait", "--approve")
    printed = firm.command(*argv, "--user", STARTER)
    by_command = json.loads(printed[printed.index("{"):])  # fmt: skip
    under_fire, longer = audit(firm, VICTIMS)
    assert len(findings(by_http)) > 1000
    assert findings(by_command) == findings(by_http)
    assert findings(under_fire) == findings(by_http)
    print(f"\nthe audit took {usual:.1f} s, with {len(VICTIMS)} workers killed {longer:.1f} s")
