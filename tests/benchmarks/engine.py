"""``make bench ONLY=engine``: steps a second beside raw Celery canvas and DBOS, in one run.

Runs are started over HTTP by one client; the instance is the shipped one. Afterwards every row is
counted: no step missing, none done twice, none out of order.
"""

from __future__ import annotations

import json
import statistics
import time
from typing import Any

import httpx

from tests.benchmarks import workloads
from tests.benchmarks.instance import Bench, running
from tests.benchmarks.peers import canvas, dbos

REPEATS = 3
LIMIT_SECONDS = 240.0
_STEPS = "kind NOT IN ('end', 'chunk') AND NOT (item = -1 AND value IS NOT NULL)"


def run() -> dict[str, Any]:
    """All rows of the engine's table."""
    found: dict[str, Any] = {}
    peers = {"celery_canvas": canvas.measure(events=True),
             "celery_canvas_events_off": canvas.measure(events=False)}  # fmt: skip
    if (other := dbos.measure()) is not None:
        peers["dbos"] = other
    with running() as bench, bench.client() as http:
        for light in (False, True):
            name = "light" if light else "task"
            shapes = {
                "chain": (workloads.chain(light=light), 1),
                "fan": (workloads.fan(light=light), 1),
                "diamonds": (workloads.diamond(light=light), workloads.DIAMONDS),
            }
            for shape, (source, runs) in shapes.items():
                figures = _repeat(bench, http, source, runs)
                found |= _rows(f"engine_{shape}_{name}", figures, shape, peers)
        found |= _growth(bench, http)
        found |= _large(bench, http)
        found |= _submission(bench, http)
        found |= _idle(bench)
        found |= _memory(bench)
    return found


def _repeat(bench: Bench, http: httpx.Client, source: str, runs: int) -> list[dict[str, float]]:
    publish(http, source)
    name = json.loads(source)["name"]
    _once(bench, http, name, min(runs, 5))  # warm: plans compiled, connections open
    return [_once(bench, http, name, runs) for _ in range(REPEATS)]


def publish(http: httpx.Client, source: str) -> None:
    http.post("/api/v1/workflows", json={"definition": source}).raise_for_status()


def _once(
    bench: Bench, http: httpx.Client, name: str, runs: int, inputs: Any = None
) -> dict[str, float]:
    cpu, started = bench.cpu_seconds(), time.monotonic()
    ids = []
    for _ in range(runs):
        body = {"workflow": name, "inputs": inputs or {}}
        answer = http.post("/api/v1/runs", json=body)
        answer.raise_for_status()
        ids.append(answer.json()["id"])
    _await(bench, ids)
    wall = time.monotonic() - started
    cpu = bench.cpu_seconds() - cpu
    steps = _reconcile(bench, ids)
    return {"per_second": steps / wall, "cpu_ms": 1000 * cpu / steps, "wall": wall, "steps": steps}


def _await(bench: Bench, ids: list[str]) -> None:
    until = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < until:
        left = bench.rows(
            "SELECT count(*) FROM workflows_run WHERE id = ANY(%s::uuid[]) AND ended_at IS NULL",
            ids,
        )[0][0]
        if not left:
            return
        time.sleep(0.005)
    raise RuntimeError(f"{left} of {len(ids)} runs did not end within {LIMIT_SECONDS:g} s")


def _reconcile(bench: Bench, ids: list[str]) -> int:
    """How many steps were done; raises if any is missing, was done twice or began too early."""
    total, good = bench.rows(
        f"SELECT count(*), count(*) FILTER (WHERE state = 'succeeded') FROM workflows_steprun "
        f"WHERE run_id = ANY(%s::uuid[]) AND {_STEPS}",
        ids,
    )[0]
    twice = bench.rows(
        "SELECT count(*) FROM (SELECT step_id FROM workflows_runevent WHERE run_id = "
        "ANY(%s::uuid[]) AND name = 'step.succeeded' GROUP BY step_id HAVING count(*) > 1) t",
        ids,
    )[0][0]
    if total != good or twice:
        raise RuntimeError(f"{total} steps, {good} succeeded, {twice} done twice")
    return int(total)


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
    """How the time of a step grows from a chain of 100 to one of 10,000 in one run."""
    per_step = {}
    for length in (100, 10_000):
        source = workloads.chain(light=True, length=length)
        publish(http, source)
        name = json.loads(source)["name"]
        figures = [_once(bench, http, name, 1) for _ in range(1 if length > 1000 else REPEATS)]
        per_step[length] = statistics.median(f["wall"] / f["steps"] for f in figures)
    return {"engine_growth_100_to_10000": row([per_step[10_000] / per_step[100]], "x", lower=True)}


def _large(bench: Bench, http: httpx.Client) -> dict[str, Any]:
    source = workloads.random_dag()
    publish(http, source)
    figures = _once(bench, http, "bench_random_2000", 1)
    first = bench.rows(
        "SELECT extract(epoch FROM min(s.started_at) - r.created_at) FROM workflows_run r "
        "JOIN workflows_steprun s ON s.run_id = r.id WHERE r.workflow_name = 'bench_random_2000' "
        "GROUP BY r.id ORDER BY r.id DESC LIMIT 1"
    )[0][0]
    publish(http, workloads.wide())
    wide = _once(bench, http, "bench_wide", 1, inputs={"xs": list(range(10_000))})
    return {
        "engine_random_dag_2000_steps_per_second": row([figures["per_second"]], "steps/s", False),
        "engine_random_dag_2000_first_step_ms": row([float(first) * 1000], "ms", True),
        "engine_fan_out_10000_items_per_second": row([wide["per_second"]], "items/s", False),
    }


def _submission(bench: Bench, http: httpx.Client) -> dict[str, Any]:
    """Time of ``POST /runs`` for a workflow of 14 steps, as its client sees it."""
    publish(http, workloads.diamond(light=False))
    took = []
    for _ in range(60):
        started = time.monotonic()
        answer = http.post("/api/v1/runs", json={"workflow": "bench_diamond_task", "inputs": {}})
        took.append(1000 * (time.monotonic() - started))
        answer.raise_for_status()
        _await(bench, [answer.json()["id"]])
    return {"engine_submission_ms": row(took, "ms", lower=True)}


def _idle(bench: Bench, seconds: float = 20.0) -> dict[str, Any]:
    """CPU of workers, beat, PostgreSQL and Redis when there is nothing to do."""
    time.sleep(5)
    cpu = bench.cpu_seconds()
    time.sleep(seconds)
    share = 100 * (bench.cpu_seconds() - cpu) / seconds
    return {"engine_idle_percent_of_a_core": row([share], "%", lower=True)}


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
