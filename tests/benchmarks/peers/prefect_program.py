"""Runs inside the environment of Prefect: the same shapes, tasks that do nothing."""

import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import psutil

# It takes minutes as it is, so after the first round one counts.
CHAIN, FAN, REPEATS = 100, 200, 1
# 200 of them would take many minutes.
DIAMONDS = 8
STAGES = (1, 3, 1, 2, 1, 3, 1, 1, 1)
PROCESSES, THREADS = 2, 4
START_SECONDS = 120.0


def flows():
    from prefect import flow, task
    from prefect.task_runners import ThreadPoolTaskRunner

    @task
    def step(number):
        return number

    @flow
    def chained(length):
        return [step(number) for number in range(length)]

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=8))
    def fanned(width):
        step(0)
        done = [future.result() for future in [step.submit(number) for number in range(width)]]
        step(width)
        return done

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=3))
    def diamond():
        done = []
        for width in STAGES:
            if width == 1:
                done.append(step(0))
            else:
                futures = [step.submit(number) for number in range(width)]
                done += [future.result() for future in futures]
        return done

    return chained, fanned, diamond


def work(asked, told):
    diamond = flows()[2]
    assert len(diamond()) == sum(STAGES)
    told.put(0)
    while (runs := asked.get()) is not None:
        with ThreadPoolExecutor(THREADS) as pool:
            for done in pool.map(lambda _: diamond(), range(runs)):
                assert len(done) == sum(STAGES)
        told.put(runs)


def cpu():
    """Of this process and its children: the server and the workers."""
    total = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        times = process.cpu_times()
        total += times.user + times.system
    return total


def configure(home):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ.update(
        PREFECT_API_URL=f"http://127.0.0.1:{port}/api", PREFECT_HOME=home, DO_NOT_TRACK="1",
        PREFECT_LOGGING_LEVEL="CRITICAL", PREFECT_LOGGING_TO_API_ENABLED="false",
        PREFECT_SERVER_ANALYTICS_ENABLED="false", PREFECT_SERVER_UI_ENABLED="false",
    )  # fmt: skip
    return port


def serving(port):
    argv = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port"]
    server = subprocess.Popen(
        [*argv, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(f"{os.environ['PREFECT_API_URL']}/health").read()
            return server
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    server.kill()
    raise SystemExit("the server of Prefect does not start")


def measured(workers, asked, told):
    chained, fanned, _ = flows()

    def diamonds():
        for _ in workers:
            asked.put(DIAMONDS // PROCESSES)
        for _ in workers:
            told.get()

    shapes = {
        "chain": (CHAIN, lambda: chained(CHAIN)),
        "fan": (FAN + 2, lambda: fanned(FAN)),
        "diamonds": (sum(STAGES) * DIAMONDS, diamonds),
    }
    found = {}
    for name, (steps, begin) in shapes.items():
        speeds, costs = [], []
        for repeat in range(REPEATS + 1):
            used, began = cpu(), time.monotonic()
            begin()
            if repeat:  # the first warms
                speeds.append(steps / (time.monotonic() - began))
                costs.append(1000 * (cpu() - used) / steps)
        found[name] = {"per_second": statistics.median(speeds), "cpu_ms": statistics.median(costs)}
    return found


def main():
    with tempfile.TemporaryDirectory(prefix="ratchet-prefect-") as home:
        server = serving(configure(home))
        spawning = multiprocessing.get_context("spawn")
        asked, told = spawning.Queue(), spawning.Queue()
        workers = [
            spawning.Process(target=work, args=(asked, told), daemon=True) for _ in range(PROCESSES)
        ]
        try:
            for worker in workers:
                worker.start()
            for _ in workers:
                told.get()
            print(json.dumps(measured(workers, asked, told)))
        finally:
            for _ in workers:
                asked.put(None)
            server.terminate()
            server.wait(timeout=30)


if __name__ == "__main__":
    main()
