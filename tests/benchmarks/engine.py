"""``make bench ONLY=engine``: steps a second beside Celery canvas, DBOS, LangGraph and Prefect.

Runs are started over HTTP by one client; the instance is the shipped one, with one more tool.
Afterwards rows and effects are counted one by one: no step missing, none done twice, none before
what it needs, each item's result its own, and of each step the note of its effect exactly once.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import celery.exceptions
import httpx
import psutil

from tests.benchmarks import graphs, workloads
from tests.benchmarks.instance import Bench, running, words
from tests.benchmarks.peers import canvas, dbos, langgraph, prefect
from tests.benchmarks.reconciling import reconcile

REPEATS = 3
LIMIT_SECONDS = 600.0
# Chains of 100 before and after each of 10,000.
GROWTH_ROUNDS = 10
# Every step leaves a note of its effect.
TOOLS = Path(__file__).with_name("noting.py")


def run() -> dict[str, Any]:
    """All rows of the engine's table."""
    load = os.getloadavg()[0]
    earlier = _peers()
    found: dict[str, Any] = {"engine_load_average_before": row([load], "processes", lower=True)}
    compared: list[tuple[str, list[dict[str, float]], str]] = []
    with running(tools=TOOLS) as bench, bench.client() as http:
        found |= _memory(bench)
        found |= _idle(bench)
        for light in (False, True):
            name = "light" if light else "task"
            for shape, figures in _shapes(bench, http, light=light).items():
                compared.append((f"engine_{shape}_{name}", figures, shape))
            found |= _scientific(bench, http, light=light)
        found |= _growth(bench, http)
        found |= _submission(bench, http)
    for name, figures, shape in compared:
        if shape == "random_dag_2000":
            firsts = [f["first_ms"] for f in figures]
            found[f"{name}_first_step_ms"] = row(firsts, "ms", lower=True)
    later = _peers()
    found |= _moved(earlier, later)
    peers = _between(earlier, later)
    for name, figures, shape in compared:
        found |= _rows(name, figures, shape, peers)
    return found


def _shapes(bench: Bench, http: httpx.Client, *, light: bool) -> dict[str, list[dict[str, float]]]:
    """Each shape that peers run, too."""
    wide, items = workloads.wide(light=light), list(range(10_000))
    found = {
        "chain": _repeat(bench, http, workloads.chain(light=light), 1),
        "fan": _repeat(bench, http, workloads.fan(light=light), 1),
        "diamonds": _repeat(bench, http, workloads.diamond(light=light), workloads.DIAMONDS),
        "random_dag_2000": _repeat(bench, http, workloads.random_dag(light=light), 1),
    }
    _once(bench, http, wide, 1, {"xs": items[:1000]})  # warm
    found["fan_out_10000"] = [_once(bench, http, wide, 1, {"xs": items}) for _ in range(REPEATS)]
    return found


def _between(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """The mean of what a peer reached before and after us: a machine's speed is not constant."""
    return {
        peer: {
            shape: {
                figure: statistics.fmean([value, later[peer][shape][figure]])
                for figure, value in figures.items()
            }
            for shape, figures in shapes.items()
        }
        for peer, shapes in earlier.items()
        if peer in later
    }


def _moved(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """How fast each peer was after us, as a ratio of before: far from 1, trust no comparison."""
    found = {}
    for peer in earlier.keys() & later.keys():
        ratios = [
            later[peer][shape]["per_second"] / figures["per_second"]
            for shape, figures in earlier[peer].items()
        ]
        found[f"engine_peers_after_to_before_{peer}"] = row(ratios, "x", lower=False)
    return found


def _peers() -> dict[str, Any]:
    """What each peer reaches here; one that can't be had, or hangs, is said to be absent."""
    found = {}
    for name, measure in {
        "celery_canvas": lambda: canvas.measure(events=True),
        "celery_canvas_events_off": lambda: canvas.measure(events=False),
        "dbos": dbos.measure,
        "langgraph": langgraph.measure,
        "prefect": prefect.measure,
    }.items():
        try:
            figures = measure()
        except (TimeoutError, subprocess.TimeoutExpired, celery.exceptions.TimeoutError) as error:
            print(f"  {name}: {error!r}", flush=True)
            figures = None
        if figures is None:
            print(f"  {name} can't be installed or run here: absent", flush=True)
        else:
            found[name] = figures
    return found


def _repeat(
    bench: Bench, http: httpx.Client, source: str, runs: int, inputs: Any = None
) -> list[dict[str, float]]:
    _once(bench, http, source, min(runs, 5), inputs)  # warm: plans compiled, connections open
    return [_once(bench, http, source, runs, inputs) for _ in range(REPEATS)]


def publish(http: httpx.Client, source: str) -> None:
    http.post("/api/v1/workflows", json={"definition": source}).raise_for_status()


def _once(
    bench: Bench, http: httpx.Client, source: str, runs: int, inputs: Any = None
) -> dict[str, float]:
    """Start ``runs`` runs of a definition one after another and wait for all; speed and cost.

    The CPU is that of every process of the instance and of this client.
    """
    source = workloads.noted(source)
    publish(http, source)
    bench.notes.new()  # of what was not measured
    body = {"workflow": json.loads(source)["name"], "inputs": inputs or {}}
    me = psutil.Process()
    cpu, own, started, asked_at = bench.cpu_seconds(), me.cpu_times(), time.monotonic(), time.time()
    ids = []
    for _ in range(runs):
        answer = http.post("/api/v1/runs", json=body)
        answer.raise_for_status()
        ids.append(answer.json()["id"])
    await_end(bench, ids)
    wall, used = time.monotonic() - started, me.cpu_times()
    cpu = bench.cpu_seconds() - cpu + used.user + used.system - own.user - own.system
    items = len((inputs or {}).get("xs", ()))
    steps = reconcile(bench.rows, ids, json.loads(source)["steps"], items, bench.notes.new())
    first, last = bench.rows(
        "SELECT extract(epoch FROM min(started_at)), extract(epoch FROM max(ended_at)) "
        "FROM workflows_steprun WHERE run_id = ANY(%s::uuid[])",
        ids,
    )[0]
    return {
        "per_second": steps / wall, "cpu_ms": 1000 * cpu / steps, "steps": steps,
        "first_ms": 1000 * (float(first) - asked_at),
        "ms_per_step": 1000 * float(last - first) / steps,
    }  # fmt: skip


def await_end(bench: Bench, ids: list[str]) -> None:
    until = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < until:
        left = bench.rows(
            "SELECT count(*) FROM workflows_run WHERE id = ANY(%s::uuid[]) AND ended_at IS NULL",
            ids,
        )[0][0]
        if not left:
            return
        time.sleep(0.005 if len(ids) == 1 else 0.02)
    raise RuntimeError(f"{left} of {len(ids)} runs did not end within {LIMIT_SECONDS:g} s")


def _rows(
    name: str, figures: list[dict[str, float]], shape: str, peers: dict[str, Any]
) -> dict[str, Any]:
    return {
        f"{name}_steps_per_second": row(
            [f["per_second"] for f in figures], "steps/s", lower=False,
            peers={peer: r[shape]["per_second"] for peer, r in peers.items() if shape in r},
        ),
        f"{name}_cpu_ms_per_step": row(
            [f["cpu_ms"] for f in figures], "ms", lower=True,
            peers={peer: r[shape]["cpu_ms"] for peer, r in peers.items() if shape in r},
        ),
    }  # fmt: skip


def _growth(bench: Bench, http: httpx.Client) -> dict[str, Any]:
    """How the time of a step grows from a chain of 100 to one of 10,000 in one run.

    From the first step's start to the last one's end, so that starting a run hides nothing. Short
    chains run before and after each long one, so that a slow moment is one of both.
    """
    short, long = workloads.chain(light=True), workloads.chain(light=True, length=10_000)

    def ms_per_step(source: str) -> float:
        return _once(bench, http, source, 1)["ms_per_step"]

    ms_per_step(long)  # warm: both worker processes have met both
    around = [ms_per_step(short) for _ in range(GROWTH_ROUNDS)]
    ratios = []
    for _ in range(REPEATS):
        grown = ms_per_step(long)
        after = [ms_per_step(short) for _ in range(GROWTH_ROUNDS)]
        ratios.append(grown / statistics.median([*around, *after]))
        around = after
    return {"engine_growth_100_to_10000": row(ratios, "x", lower=True)}


def _scientific(bench: Bench, http: httpx.Client, *, light: bool) -> dict[str, Any]:
    """Graphs as science publishes them, 22 to 2,103 tasks: time of a task, and of the first."""
    found = {}
    for family in graphs.PUBLISHED:
        figures = _repeat(bench, http, workloads.scientific(family, light=light), 1)
        name = f"engine_{family}_{figures[0]['steps']:g}_{'light' if light else 'task'}"
        each, firsts = [1000 / f["per_second"] for f in figures], [f["first_ms"] for f in figures]
        found[f"{name}_ms_per_task"] = row(each, "ms", lower=True)
        found[f"{name}_first_step_ms"] = row(firsts, "ms", lower=True)
    return found


def _submission(bench: Bench, http: httpx.Client) -> dict[str, Any]:
    """Time of ``POST /runs`` for a workflow of 14 steps, as its client sees it."""
    publish(http, workloads.diamond(light=False))
    took = []
    for _ in range(60):
        started = time.monotonic()
        answer = http.post("/api/v1/runs", json={"workflow": "bench_diamond_task", "inputs": {}})
        took.append(1000 * (time.monotonic() - started))
        answer.raise_for_status()
        await_end(bench, [answer.json()["id"]])
    return {"engine_submission_ms": row(took, "ms", lower=True)}


def _idle(bench: Bench, seconds: float = 120.0) -> dict[str, Any]:
    """CPU when there is nothing to do: of everything, and of the workers and the sweeps alone.

    Over two minutes, in which all but the rarest ticks of beat come as often as they do on a
    usual day, and after what a start alone has to do.
    """
    time.sleep(30)
    cpu, workers = bench.cpu_seconds(), _workers(bench)
    before = sum(used for used in workers.values())
    time.sleep(seconds)
    share = 100 * (bench.cpu_seconds() - cpu) / seconds
    own = 100 * (sum(_workers(bench).values()) - before) / seconds
    return {
        "engine_idle_instance_percent_of_a_core": row([share], "%", lower=True),
        "engine_idle_workers_percent_of_a_core": row([own], "%", lower=True),
    }


def _workers(bench: Bench) -> dict[int, float]:
    """CPU seconds of the Celery workers and beat."""
    found = {}
    for process in bench.processes():
        # Celery's own title is "[celeryd: …" or "[celery beat] …".
        line = words(process)
        if "celery" in " ".join(line[:3]) and "config.supervisor.forkserver" not in line:
            times = process.cpu_times()
            found[process.pid] = times.user + times.system
    return found


def _memory(bench: Bench) -> dict[str, Any]:
    sizes = []
    for process in bench.processes():
        line = " ".join(process.cmdline())
        if "celery" in line and " io" in line:
            sizes.append(process.memory_full_info().pss / 2**20)
    return {"engine_io_worker_pss_mb": row(sizes, "MB", lower=True)} if sizes else {}


def row(
    values: list[float], unit: str, lower: bool, peers: dict[str, float] | None = None
) -> dict[str, Any]:
    """A figure in the contract's shape: the median, and the least and most as spread."""
    return {
        "value": round(statistics.median(values), 3),
        "unit": unit,
        "lower_is_better": lower,
        "peers": {name: round(value, 3) for name, value in (peers or {}).items()},
        "spread": [round(min(values), 3), round(max(values), 3)],
    }
