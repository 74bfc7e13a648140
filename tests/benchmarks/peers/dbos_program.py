"""Runs inside the environment of DBOS: the same shapes, a step that does nothing."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time

import psutil
from dbos import DBOS, DBOSClient

CHAIN, FAN, DIAMONDS, REPEATS = 100, 200, 200, 3
# We fan out over 10,000, which would take minutes.
WIDE = 500
LEVELS = json.loads(os.environ["PEER_LEVELS"])
STAGES = (1, 3, 1, 2, 1, 3, 1, 1, 1)
POLLING_SECONDS = 0.05
CONFIG = {
    "name": "bench",
    "system_database_url": os.environ["PEER_URL"],
    "log_level": "ERROR",
    "run_admin_server": False,
    "application_version": "1",
    "executor_id": os.environ.get("DBOS_EXECUTOR", "client"),
}


@DBOS.step()
def step(number):
    return number


@DBOS.step()
async def async_step(number):
    return number


@DBOS.workflow()
def chained(length):
    return [step(number) for number in range(length)]


@DBOS.workflow()
async def fanned(width):
    await async_step(0)
    done = await asyncio.gather(*[async_step(number) for number in range(width)])
    await async_step(width)
    return len(done)


@DBOS.workflow()
async def levelled(widths):
    for width in widths:
        await asyncio.gather(*[async_step(number) for number in range(width)])


def worker():
    DBOS(config=CONFIG)
    DBOS.launch()
    DBOS.register_queue("bench", worker_concurrency=100, polling_interval_sec=POLLING_SECONDS)
    sys.stdin.read()


def cpu(pids):
    total = 0.0
    for pid in pids:
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            times = process.cpu_times()
            total += times.user + times.system
    return total


def main():
    workers = []
    for number in range(2):
        env = {**os.environ, "DBOS_EXECUTOR": f"w{number}"}
        argv = [sys.executable, "-P", __file__, "worker"]
        workers.append(
            subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        )
        time.sleep(6)  # the first one makes the tables
    try:
        print(json.dumps(measure([w.pid for w in workers])))
    finally:
        for process in workers:
            process.kill()


def measure(pids):
    client = DBOSClient(system_database_url=os.environ["PEER_URL"])
    watched = [*pids, *json.loads(os.environ["PEER_SERVERS"]), os.getpid()]

    def start(name, *args):
        options = {"workflow_name": name, "queue_name": "bench", "app_version": "1"}
        return client.enqueue(options, *args)

    shapes = {
        "chain": (CHAIN, lambda: [start("chained", CHAIN)]),
        "fan": (FAN + 2, lambda: [start("fanned", FAN)]),
        "diamonds": (
            14 * DIAMONDS,
            lambda: [start("levelled", STAGES) for _ in range(DIAMONDS)],
        ),
        "random_dag_2000": (sum(LEVELS), lambda: [start("levelled", LEVELS)]),
        "fan_out_10000": (WIDE + 2, lambda: [start("fanned", WIDE)]),
    }
    found = {}
    for name, (steps, begin) in shapes.items():
        speeds, costs = [], []
        for repeat in range(REPEATS + 1):
            used, began = cpu(watched), time.monotonic()
            for handle in begin():
                handle.get_result(polling_interval_sec=0.01)
            if repeat:  # the first warms
                speeds.append(steps / (time.monotonic() - began))
                costs.append(1000 * (cpu(watched) - used) / steps)
        found[name] = {"per_second": statistics.median(speeds), "cpu_ms": statistics.median(costs)}
    return found


if __name__ == "__main__":
    worker() if sys.argv[1:] == ["worker"] else main()
