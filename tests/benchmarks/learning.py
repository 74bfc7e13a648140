"""The learning loop: assignment, analysis of ten million exposures, sweeps over stored calls.

``RATCHET_BENCH_SWEEP`` says over how many (a million by default, twice). The whole simulation,
which takes an hour or more, is ``make bench ONLY=simulation``.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from agents.domain import traffic
from learning.analysis import analyse
from tests.benchmarks.instance import ROOT

ASSIGNED = 100_000
EXPOSURES, DAYS = 10_000_000, 60
ROUNDS = 5
SWEPT = int(os.environ.get("RATCHET_BENCH_SWEEP", "1000000"))


def run() -> dict[str, dict[str, Any]]:
    """Figures by name."""
    return {**quick(), **sweeps()}


def sweeps() -> dict[str, dict[str, Any]]:
    """A sweep of an experiment over ``SWEPT`` calls, and the folding of all of them.

    Of a workflow over a tenth as many runs.
    """
    command = [sys.executable, "-m", "tests.benchmarks.sweeping", str(SWEPT)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    rows = {}
    for kind in ("by_run", "by_user", "with_percentiles", "of_a_bandit"):
        of = f"{SWEPT:,} stored calls of {found[f'units_{kind}']:,} units {kind.replace('_', ' ')}"
        for name, words in (("whole", "s to fold"), ("sweep", "s a sweep beside")):
            rows[f"learning_{name}_{kind}"] = _row([found[f"{name}_{kind}"]], f"{words} {of}")
    of = f"{found['units_of_a_workflow']:,} stored runs of a workflow, three steps each"
    for name, words in (("whole", "s to fold"), ("sweep", "s a sweep beside")):
        value = found[f"{name}_of_a_workflow"]
        rows[f"learning_{name}_of_a_workflow"] = _row([value], f"{words} {of}")
    return rows


def quick() -> dict[str, dict[str, Any]]:
    """What takes seconds: one assignment, and one analysis of ten million exposures."""
    return {
        "learning_assignment": _row(_microseconds(), "µs of CPU an assignment"),
        "learning_analysis_10m": _row(_seconds(), "s of CPU for 10 million exposures in 60 days"),
    }


def _microseconds() -> list[float]:
    arms = {"a": [[0, 2_000]], "b": [[2_000, 4_000]], "control": [[8_000, 10_000]]}
    units = [f"01a22251-d67e-7098-8a49-{number:012x}" for number in range(ASSIGNED)]
    seed = "7c9e6679f3a54b1f9d8e1b2c3d4e5f60"

    def assign() -> None:
        for unit in units:
            traffic.arm_of(arms, traffic.bucket_of(seed, unit))

    return [seconds / ASSIGNED * 1e6 for seconds in _timed(assign)]


def _seconds() -> list[float]:
    document = _document()
    return _timed(lambda: analyse(document))


def _document() -> dict[str, Any]:
    """Ten million units as an experiment stores them: sums per arm and day, four metrics."""
    a_day = EXPOSURES // DAYS // 2

    def arm(key: str, rate: float) -> dict[str, Any]:
        ratio = {
            "n": a_day, "numerator_sum": a_day * 2.0, "numerator_sum_squares": a_day * 5.0,
            "denominator_sum": a_day * 1.0, "denominator_sum_squares": a_day * 1.0,
            "numerator_denominator_sum_product": a_day * 2.0,
        }  # fmt: skip
        return {
            "key": key, "units": a_day,
            "metrics": {
                "success": {"n": a_day, "successes": int(a_day * rate)},
                "seconds_per_call": ratio, "cost_usd_per_call": ratio,
                "tokens": {"n": a_day, "sum": a_day * 300.0, "sum_squares": a_day * 100_000.0},
            },
        }  # fmt: skip

    return {
        "experiment": {
            "name": "ten million", "control": "control", "planned_units": EXPOSURES // 2,
            "metrics": [
                {"key": "success", "type": "proportion", "role": "primary"},
                {"key": "seconds_per_call", "type": "ratio", "role": "guardrail", "margin": 0.1,
                 "direction": "decrease"},
                {"key": "cost_usd_per_call", "type": "ratio", "role": "guardrail", "margin": 0.1,
                 "direction": "decrease"},
                {"key": "tokens", "type": "mean", "role": "secondary", "direction": "decrease"},
            ],
        },
        "stages": [
            {
                "name": "all", "weights": {"control": 1, "b": 1},
                "days": [
                    {"date": f"day {day}", "arms": [arm("control", 0.90), arm("b", 0.901)]}
                    for day in range(DAYS)
                ],
            }
        ],
    }  # fmt: skip


def _timed(work: Callable[[], Any]) -> list[float]:
    found = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return found


def _row(values: list[float], unit: str) -> dict[str, Any]:
    return {
        "value": round(statistics.median(values), 4), "unit": unit, "lower_is_better": True,
        "peers": {}, "spread": [round(min(values), 4), round(max(values), 4)],
    }  # fmt: skip
