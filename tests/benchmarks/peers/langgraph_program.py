"""Runs inside the environment of LangGraph: the same shapes, nodes that do nothing."""

import json
import multiprocessing
import operator
import os
import statistics
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, TypedDict

import psutil
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.graph import END, START, StateGraph
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

CHAIN, FAN, DIAMONDS, REPEATS = 100, 200, 200, 3
STAGES = (1, 3, 1, 2, 1, 3, 1, 1, 1)
PROCESSES, THREADS = 2, 4


class Counted(TypedDict):
    done: Annotated[int, operator.add]


def count(state):
    return {"done": 1}


def saver():
    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    pool = ConnectionPool(os.environ["PEER_URL"], min_size=THREADS, max_size=10, kwargs=options)
    return PostgresSaver(pool)


def graph_of(stages, checkpoints):
    graph, before = StateGraph(Counted), [START]
    for place, width in enumerate(stages):
        names = [f"n{place}_{number}" for number in range(width)]
        for name in names:
            graph.add_node(name, count)
            graph.add_edge(before if len(before) > 1 else before[0], name)
        before = names
    graph.add_edge(before[0], END)
    return graph.compile(checkpointer=checkpoints)


def run(graph, steps):
    config = {"configurable": {"thread_id": str(uuid.uuid4())}, "recursion_limit": 1000}
    found = graph.invoke({"done": 0}, config, durability="sync")
    assert found["done"] == steps, found


def work(asked, told):
    graph = graph_of(STAGES, saver())
    run(graph, sum(STAGES))
    told.put(0)
    while (runs := asked.get()) is not None:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda _: run(graph, sum(STAGES)), range(runs)))
        told.put(runs)


def cpu(pids):
    total = 0.0
    for pid in pids:
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            times = process.cpu_times()
            total += times.user + times.system
    return total


def main():
    checkpoints = saver()
    checkpoints.setup()
    spawning = multiprocessing.get_context("spawn")  # a fork would share connections
    asked, told = spawning.Queue(), spawning.Queue()
    workers = [
        spawning.Process(target=work, args=(asked, told), daemon=True) for _ in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for _ in workers:
        told.get()
    chain, fan = graph_of([1] * CHAIN, checkpoints), graph_of([1, FAN, 1], checkpoints)

    def diamonds():
        for _ in workers:
            asked.put(DIAMONDS // PROCESSES)
        for _ in workers:
            told.get()

    shapes = {
        "chain": (CHAIN, lambda: run(chain, CHAIN)),
        "fan": (FAN + 2, lambda: run(fan, FAN + 2)),
        "diamonds": (sum(STAGES) * DIAMONDS, diamonds),
    }
    # The children of this process are its workers.
    watched = [os.getpid(), *json.loads(os.environ["PEER_SERVERS"])]
    found = {}
    for name, (steps, begin) in shapes.items():
        speeds, costs = [], []
        for repeat in range(REPEATS + 1):
            used, began = cpu(watched), time.monotonic()
            begin()
            if repeat:  # the first warms
                speeds.append(steps / (time.monotonic() - began))
                costs.append(1000 * (cpu(watched) - used) / steps)
        found[name] = {"per_second": statistics.median(speeds), "cpu_ms": statistics.median(costs)}
    print(json.dumps(found))
    for _ in workers:
        asked.put(None)


if __name__ == "__main__":
    main()
