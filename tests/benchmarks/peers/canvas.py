"""Raw Celery canvas: nothing durable, chains, groups and chords on Redis.

As a program (``python -m tests.benchmarks.peers.canvas``) it is the Celery application of the
workers; as a module it measures them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
from celery import Celery, chain, group

from config import embedded
from tests.benchmarks.workloads import CHAIN, DIAMONDS, FAN, STAGES, random_levels

ROOT = Path(__file__).parents[3]
REPEATS = 3
# Each message bears all that comes after it, so ten times the steps make a hundred times the bytes.
RANDOM = 200
WIDE = 500
_URL = os.environ.get("CANVAS_REDIS", "redis://127.0.0.1:1/0")

app = Celery("canvas", broker=_URL, backend=_URL)
app.conf.update(
    result_expires=900,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    task_default_queue="canvas",
)


@app.task(name="canvas.step")
def step(previous: Any = None, number: int = 0) -> dict[str, int]:
    """Does nothing, and says which one it was."""
    return {"number": number}


def measure(*, events: bool) -> dict[str, dict[str, float]]:
    """Steps a second and CPU a step of each shape, with two prefork workers of one process.

    In a process of its own: an application keeps its connections to the broker that it first met.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_measure_here, events=events).result()


def _measure_here(*, events: bool) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory(prefix="ratchet-canvas-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        with embedded.start(home, with_postgres=False) as handle:
            url = handle.services.redis_url
            app.conf.update(broker_url=url, result_backend=url)
            worker = _worker(url, events=events)
            try:
                return _measure(worker, handle.pids(), large=events)
            finally:
                worker.terminate()
                worker.wait(60)


def _worker(url: str, *, events: bool) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "celery", "-A", "tests.benchmarks.peers.canvas", "worker",
            "-P", "prefork", "-c", "2", "-Q", "canvas", "-l", "error",
            "--without-gossip", "--without-mingle", *(["-E"] if events else [])]  # fmt: skip
    env = {**os.environ, "CANVAS_REDIS": url}
    return subprocess.Popen(
        argv, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _measure(
    worker: subprocess.Popen[bytes], servers: list[int], *, large: bool
) -> dict[str, dict[str, float]]:
    """With ``large``: that shapes are smaller there than ours is in favour of canvas."""
    step.delay().get(timeout=240)  # the worker starts meanwhile
    shapes = {
        "chain": (CHAIN, lambda: [_chain()]),
        "fan": (FAN + 2, lambda: [_fan()]),
        "diamonds": (14 * DIAMONDS, lambda: [_diamond() for _ in range(DIAMONDS)]),
    }
    if large:
        shapes["random_dag_2000"] = (RANDOM, lambda: [_random()])
        shapes["fan_out_10000"] = (WIDE + 2, lambda: [_fan(WIDE)])
    found = {}
    for name, (steps, start) in shapes.items():
        for result in start():
            _await(result)  # warm
        speeds, costs = [], []
        for _ in range(REPEATS if large else 1):
            cpu, began = _cpu(worker.pid, servers), time.monotonic()
            for result in start():
                _await(result)
            wall = time.monotonic() - began
            speeds.append(steps / wall)
            costs.append(1000 * (_cpu(worker.pid, servers) - cpu) / steps)
        found[name] = {"per_second": statistics.median(speeds), "cpu_ms": statistics.median(costs)}
    return found


def _await(result: Any) -> None:
    """Wait for the last step; else its client asks each second for every one before it, too."""
    result.get(timeout=120, follow_parents=False)


def _chain() -> Any:
    return chain(*[step.s(number=i) if i else step.s(None, number=0) for i in range(CHAIN)])()


def _fan(width: int = FAN) -> Any:
    return _levels([1, width, 1])


def _diamond() -> Any:
    return _levels([len(stage) for stage in STAGES])


def _random() -> Any:
    """The random DAG as near as canvas comes to it: each level waits for the whole one before."""
    return _levels(random_levels(RANDOM))


def _levels(widths: list[int]) -> Any:
    """Steps side by side, level by level; the first is one step."""
    parts: list[Any] = [step.s(None, number=0)]
    for width in widths[1:]:
        parts.append(group(step.s(number=i) for i in range(width)) if width > 1
                     else step.s(number=0))  # fmt: skip
    return chain(*parts)()


def _cpu(worker: int, servers: list[int]) -> float:
    """CPU of the workers, the broker and this client."""
    processes = [psutil.Process(worker), *psutil.Process(worker).children(recursive=True)]
    processes += [psutil.Process(pid) for pid in servers] + [psutil.Process()]
    total = 0.0
    for process in processes:
        times = process.cpu_times()
        total += times.user + times.system
    return total
