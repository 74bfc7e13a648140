"""``make bench ONLY=audit``: proving a long audit log by the shipped command.

An instance of its own gets ``RATCHET_BENCH_AUDIT`` entries (200,000 by default; ten million is
the published form), written and sealed in batches by the shipped code: most are agents' actions
with digests only, and one in ``PER_PAYLOAD`` is a change with an erasable payload. Then
``manage.py verify_audit`` proves all of it, payloads too; its own figures are what is told, with
the most memory that its processes ever held. ``python -m tests.benchmarks.audit N SEED`` only fills
the instance that the environment names.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.instance import ROOT, Bench, running

ENTRIES = int(os.environ.get("RATCHET_BENCH_AUDIT", "200000"))
SEED = 20_261_129
WRITERS = 2
BATCH = 1000
PER_PAYLOAD = 50
ACTIONS = ("agents.invocation.succeeded", "agents.tool.called", "workflows.run.transitions")
POLL_SECONDS = 0.1
SAID = re.compile(r"the chain holds; (\d+) entries in (\d+) seals, \d+ waiting, ([\d.]+) s, (\d+)")
PEAK = re.compile(r"VmHWM:\s+(\d+) kB")
Row = dict[str, Any]


def run() -> dict[str, Row]:
    """Figures in the shape of ``benchmarks.json``."""
    with running() as bench:
        began = time.monotonic()
        _fill(bench)
        filled = time.monotonic() - began
        said, peak_mb = _verify(bench)
    found = SAID.search(said)
    assert found is not None, f"the log does not hold: {said}"
    entries, seals, seconds, rate = found.groups()
    assert int(entries) >= ENTRIES, f"{entries} entries were verified, {ENTRIES} written"
    return {
        "audit.entries": _row(int(entries), f"entries in {seals} seals", lower=False),
        "audit.fill": _row(round(filled, 1), "s"),
        "audit.verify": _row(float(seconds), "s"),
        "audit.verify_rate": _row(float(rate), "entries/s", lower=False),
        "audit.verify_peak_memory": _row(peak_mb, "MB"),
    }


def _fill(bench: Bench) -> None:
    """By so many processes at once; their batches are sealed into one chain."""
    env = {**bench.env, "DJANGO_SETTINGS_MODULE": "config.settings"}
    argv = [sys.executable, "-m", "tests.benchmarks.audit", str(-(-ENTRIES // WRITERS))]
    writers = [
        subprocess.Popen([*argv, str(SEED + number)], cwd=ROOT, env=env)
        for number in range(WRITERS)
    ]
    codes = [writer.wait() for writer in writers]
    assert not any(codes), f"a writer ended with {codes}"


def fill(entries: int, *, seed: int) -> None:
    """Write and seal so many entries by the shipped code, a batch in a transaction."""
    from django.db import transaction

    from monitoring import audit

    draw = random.Random(seed)
    for first in range(0, entries, BATCH):
        batch = range(first, min(first + BATCH, entries))
        changes = [number for number in batch if number % PER_PAYLOAD == 0]
        with transaction.atomic():
            audit.audit_all([_action(draw, n) for n in batch if n % PER_PAYLOAD])
            for number in changes:
                audit.audit(actor=f"user:{draw.randrange(40)}", action="agents.version.published",
                            target=f"agent:{number % 51}", before={"share": number},
                            after={"share": number + 1})  # fmt: skip
        audit.seal()


def _action(draw: random.Random, number: int) -> Any:
    from monitoring.services import Audited

    return Audited(
        actor=f"agent:bench-{number % 51}", action=draw.choice(ACTIONS),
        target=f"invocation:{number}", session=f"run-{number // 20}",
        before_digest=f"{draw.getrandbits(256):064x}", after_digest=f"{draw.getrandbits(256):064x}",
    )  # fmt: skip


def _verify(bench: Bench) -> tuple[str, float]:
    """What the command said, and its processes' greatest resident memory in MB."""
    argv = [sys.executable, "manage.py", "verify_audit"]
    with subprocess.Popen(argv, cwd=ROOT, env=bench.env, stdout=subprocess.PIPE, text=True) as one:
        peak = 0.0
        while one.poll() is None:
            peak = max(peak, _peaks_mb(one.pid))
            time.sleep(POLL_SECONDS)
        assert one.stdout is not None
        return one.stdout.read(), peak


def _peaks_mb(pid: int) -> float:
    """Of the program and of the processes that it shares the log with."""
    with suppress(psutil.NoSuchProcess):
        children = psutil.Process(pid).children(recursive=True)
        return round(_peak_mb(pid) + sum(_peak_mb(child.pid) for child in children), 1)
    return 0.0


def _peak_mb(pid: int) -> float:
    """The kernel's high-water mark, which is the program's own; 0 once it has ended."""
    try:
        found = PEAK.search(Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return round(int(found[1]) / 1024, 1) if found else 0.0


def _row(value: float, unit: str, *, lower: bool = True) -> Row:
    return {"value": value, "unit": unit, "lower_is_better": lower, "peers": {},
            "spread": [value, value]}  # fmt: skip


def main() -> None:
    import django

    django.setup()
    fill(int(sys.argv[1]), seed=int(sys.argv[2]))


if __name__ == "__main__":
    main()
