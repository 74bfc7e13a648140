"""``make profile``: where the processes of the shipped instance spend their time under a load.

``ONLY`` names one of the loads (calls, submission, engine, pages), ``SECONDS`` (15) how long each
lasts. What was seen is printed, and kept as folded stacks in ``test-results/profiles``, which
speedscope and flamegraph.pl read. Only who holds the interpreter is seen, so waiting is not; and
sampling slows a process: read shares, not times.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil

from tests.benchmarks import calls, dashboards, engine, workloads
from tests.benchmarks.instance import ROOT, Bench, running, words

SECONDS = float(os.environ.get("SECONDS", "15"))
RATE = 100
SHOWN = 15
FOLDER = ROOT / "test-results" / "profiles"
# What a process is started by leads to everything.
HOUSE = re.compile(r"\((agents|config(?!/supervisor)|learning|monitoring|scaling|workflows)/")
DIAMONDS_AT_ONCE = 20
Load = Callable[[Bench, httpx.Client, float], int]


def main() -> None:
    only = os.environ.get("ONLY") or None
    if only is not None and only not in LOADS:
        sys.exit(f"ONLY={only}: one of {', '.join(LOADS)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with running() as bench, bench.client() as http:
        calls.publish_plain(bench)
        for name, load in LOADS.items():
            if only in (None, name):
                _profiled(name, load, bench, http)


def _profiled(name: str, load: Load, bench: Bench, http: httpx.Client) -> None:
    load(bench, http, time.monotonic() + 2)  # warm: plans compiled, connections open
    watched = _processes(bench)
    before = {who: _cpu(process) for who, process in watched.items()}
    spies = {
        who: _spy(process, FOLDER / f"{name}-{who}.folded") for who, process in watched.items()
    }
    done = load(bench, http, time.monotonic() + SECONDS)
    used = {who: _cpu(process) - before[who] for who, process in watched.items()}
    for who, spy in spies.items():
        if spy.wait(60) != 0:
            sys.exit(f"py-spy could not look into {who}; it may need root or ptrace rights")
        print(
            f"\n{name}: {done} done; {who} used {1000 * used[who] / max(done, 1):.1f} CPU ms each"
        )
        _tell(FOLDER / f"{name}-{who}.folded")


def _processes(bench: Bench) -> dict[str, psutil.Process]:
    """The web process and the workers, by what operators call them."""
    found = {}
    for process in bench.processes():
        line = words(process)
        if line and line[0] == "ratchet-web":
            found["web"] = process
        elif len(line) > 1 and line[0] == "[celeryd:" and "ForkPool" not in line[1]:
            found[line[1].partition("@")[0]] = process
    return found


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _spy(process: psutil.Process, file: Path) -> subprocess.Popen[bytes]:
    spy = Path(sys.executable).with_name("py-spy")
    options = ("--duration", str(int(SECONDS)), "--rate", str(RATE), "--format", "raw", "--gil")
    return subprocess.Popen(
        [spy, "record", "--pid", str(process.pid), "--output", file, *options],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _tell(file: Path) -> None:
    """The functions that had the processor, and those of the house that led to them."""
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in file.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        own[frames[-1]] += int(count)
        within.update(dict.fromkeys((one for one in frames if HOUSE.search(one)), int(count)))
    total = max(own.total(), 1)
    for title, counted in (("own time", own), ("within, of the house", within)):
        print(f"  {title}")
        for frame, count in counted.most_common(SHOWN):
            print(f"  {100 * count / total:6.1f} %  {frame}")


# ---------------------------------------------------------------- loads
def _ask(bench: Bench, http: httpx.Client, until: float) -> int:
    """Chats that no cache can answer, one after another."""
    draw = random.Random()
    for done in itertools.count():
        if time.monotonic() > until:
            return done
        asked = f"The bank shows {draw.random():.6f} and the ledger {draw.random():.6f}. Why?"
        http.post("/v1/chat/completions", json={
            "model": f"agent:{calls.AGENT}", "messages": [{"role": "user", "content": asked}],
        }).raise_for_status()  # fmt: skip
    raise AssertionError("it counts for ever")


def _submit(bench: Bench, http: httpx.Client, until: float, at_once: int = 1) -> int:
    """Runs of 14 steps, the next one once the last has ended."""
    engine.publish(http, workloads.diamond(light=False))
    done = 0
    while time.monotonic() < until:
        begun = []
        for _ in range(at_once):
            answer = http.post(
                "/api/v1/runs", json={"workflow": "bench_diamond_task", "inputs": {}}
            )
            begun.append(answer.raise_for_status().json()["id"])
        engine.await_end(bench, begun)
        done += at_once
    return done


def _work(bench: Bench, http: httpx.Client, until: float) -> int:
    return _submit(bench, http, until, DIAMONDS_AT_ONCE)


def _look(bench: Bench, http: httpx.Client, until: float) -> int:
    """Every dashboard over ninety days of a small record."""
    with httpx.Client(base_url=bench.url, timeout=120.0, follow_redirects=True) as client:
        dashboards.sign_in(client, bench)
        done = 0
        for path in itertools.cycle(dashboards.PAGES.values()):
            if time.monotonic() > until:
                return done
            client.get(path).raise_for_status()
            done += 1
    raise AssertionError("it goes round for ever")


LOADS: dict[str, Load] = {"calls": _ask, "submission": _submit, "engine": _work, "pages": _look}

if __name__ == "__main__":
    main()
