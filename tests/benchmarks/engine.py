"""``make bench ONLY=engine``: steps a second beside Celery canvas, DBOS, LangGraph and Prefect.

Runs are started over HTTP by one client; the instance is the shipped one. Afterwards every row is
counted: no step missing, none done twice, none before what it needs, each item's result its own.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from typing import Any

import celery.exceptions
import httpx
import psutil

from tests.benchmarks import graphs, workloads
from tests.benchmarks.instance import Bench, running, words
from tests.benchmarks.peers import canvas, dbos, langgraph, prefect

REPEATS = 3
LIMIT_SECONDS = 600.0
# Chains of 100 before and after each of 10,000.
GROWTH_ROUNDS = 10
_STEPS = "kind NOT IN ('end', 'chunk') AND NOT (item = -1 AND value IS NOT NULL)"


def run() -> dict[str, Any]:
    """All rows of the engine's table."""
    load = os.getloadavg()[0]
    earlier = _peers()
    found: dict[str, Any] = {"engine_load_average_before": row([load], "processes", lower=True)}
    compared: list[tuple[str, list[dict[str, float]], str]] = []
    with running() as bench, bench.client() as http:
        found |= _memory(bench)
        found |= _idle(bench)
        for light in (False, True):
            name = "light" if light else "task"
            shapes = {
                "chain": (workloads.chain(light=light), 1),
                "fan": (workloads.fan(light=light), 1),
                "diamonds": (workloads.diamond(light=light), workloads.DIAMONDS),
            }
            for shape, (source, runs) in shapes.items():
                figures = _repeat(bench, http, source, runs)
                compared.append((f"engine_{shape}_{name}", figures, shape))
            found |= _large(bench, http, light=light)
            found |= _scientific(bench, http, light=light)
        found |= _growth(bench, http)
        found |= _submission(bench, http)
    later = _peers()
    found |= _moved(earlier, later)
    peers = _between(earlier, later)
    for name, figures, shape in compared:
        found |= _rows(name, figures, shape, peers)
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
    """How fast the peers were after us, as a ratio of before: far from 1, trust no comparison."""
    ratios = [
        later[peer][shape]["per_second"] / figures["per_second"]
        for peer, shapes in earlier.items()
        if peer in later
        for shape, figures in shapes.items()
    ]
    return {"engine_peers_after_to_before": row(ratios, "x", lower=False)} if ratios else {}


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
    publish(http, source)
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
    steps = _reconcile(bench, ids, json.loads(source)["steps"], len((inputs or {}).get("xs", ())))
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


def _reconcile(bench: Bench, ids: list[str], steps: dict[str, Any], items: int) -> int:
    """How many steps were done; raises if any is missing, was done twice, wrong or too early."""
    total, good, right = bench.rows(
        "SELECT count(*), count(*) FILTER (WHERE state = 'succeeded'), count(*) FILTER (WHERE "
        "item < 0 OR output->'value' = value) FROM workflows_steprun WHERE run_id = "
        f"ANY(%s::uuid[]) AND {_STEPS}",
        ids,
    )[0]
    twice = bench.rows(
        "SELECT count(*) FROM (SELECT step_id FROM workflows_runevent WHERE run_id = "
        "ANY(%s::uuid[]) AND name = 'step.succeeded' GROUP BY step_id HAVING count(*) > 1) t",
        ids,
    )[0][0]
    bad = bench.rows(
        "SELECT count(*) FROM workflows_run WHERE id = ANY(%s::uuid[]) AND state <> 'succeeded'",
        ids,
    )[0][0]
    tasks = sum("for_each" not in step for step in steps.values())
    wanted = len(ids) * (tasks + items)
    early = _early(bench, ids, steps)
    if not total == good == right == wanted or twice or bad or early:
        raise RuntimeError(
            f"{wanted} steps wanted: {total} rows, {good} succeeded, {right} right, {twice} done "
            f"twice, {early} before what they need; {bad} runs failed"
        )
    return int(total)


def _early(bench: Bench, ids: list[str], steps: dict[str, Any]) -> int:
    """How many steps began before a step that they need had ended."""
    times = {
        (run, key): (started, ended)
        for run, key, started, ended in bench.rows(
            "SELECT run_id, key, coalesce(started_at, ended_at), ended_at FROM workflows_steprun "
            "WHERE run_id = ANY(%s::uuid[]) AND item = -1 AND kind NOT IN ('end', 'chunk')",
            ids,
        )
    }
    return sum(
        times[run, need][1] > started
        for (run, key), (started, _) in times.items()
        for need in steps[key].get("needs", ())
    )


def _rows(
    name: str, figures: list[dict[str, float]], shape: str, peers: dict[str, Any]
) -> dict[str, Any]:
    return {
        f"{name}_steps_per_second": row(
            [f["per_second"] for f in figures], "steps/s", lower=False,
            peers={peer: rows[shape]["per_second"] for peer, rows in peers.items()},
        ),
        f"{name}_cpu_ms_per_step": row(
            [f["cpu_ms"] for f in figures], "ms", lower=True,
            peers={peer: rows[shape]["cpu_ms"] for peer, rows in peers.items()},
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


def _large(bench: Bench, http: httpx.Client, *, light: bool) -> dict[str, Any]:
    """A random DAG of 2,000 steps and a fan-out over 10,000 items."""
    name = "light" if light else "task"
    random = _repeat(bench, http, workloads.random_dag(light=light), 1)
    wide = _repeat(bench, http, workloads.wide(light=light), 1, {"xs": list(range(10_000))})
    found = _rows(f"engine_random_dag_2000_{name}", random, "random", {})
    found |= _rows(f"engine_fan_out_10000_{name}", wide, "wide", {})
    firsts = [f["first_ms"] for f in random]
    return {**found, f"engine_random_dag_2000_{name}_first_step_ms": row(firsts, "ms", lower=True)}


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


def _idle(bench: Bench, seconds: float = 20.0) -> dict[str, Any]:
    """CPU when there is nothing to do: of everything, and of the workers and the sweeps alone."""
    time.sleep(10)
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
