"""How workflows do over a stretch of time, from rollups: ended runs, duration, cost, bottleneck."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from monitoring import charts
from monitoring.domain.metrics import SEPARATOR
from monitoring.queries import EMPTY
from monitoring.sight import Sight
from monitoring.stretch import Stretch

METRICS = ("runs", "run_errors", "run_duration_seconds", "run_cost_usd")
STEPS = ("steps", "step_duration_seconds", "queue_wait_seconds", "step_retries")
SHOWN_STEPS = 10


@dataclass(frozen=True, slots=True)
class Figures:
    """A workflow's ended runs; ``slowest`` is the step that took most time in all, if known."""

    runs: float
    failed: float
    success_ratio: float | None
    p50_seconds: float | None
    p95_seconds: float | None
    p99_seconds: float | None
    cost_usd: float
    by_step: list[float | None]
    slowest: str
    slowest_share: float | None


def by_workflow(sight: Sight, when: Stretch, name: str = "") -> dict[str, Figures]:
    """Figures of every workflow that had a run ended, or of one."""
    grid = sight.grid(METRICS, when, scope="workflow", keys=[name] if name else None,
                      ranked=("run_duration_seconds",))  # fmt: skip
    busiest = _bottlenecks(sight, when, name)
    found = {}
    for key in grid.cells:
        runs, failed = grid.total(key, "runs").total, grid.total(key, "run_errors").total
        seconds = grid.total(key, "run_duration_seconds")
        if runs:
            step, share = busiest.get(key, ("", None))
            found[key] = Figures(
                runs, failed, 1 - failed / runs, seconds.percentile(0.5),
                seconds.percentile(0.95), seconds.percentile(0.99),
                grid.total(key, "run_cost_usd").total,
                charts.totals_of(grid.values(key, "runs")), step, share,
            )  # fmt: skip
    return found


def statistics(sight: Sight, when: Stretch, name: str) -> dict[str, Any]:
    """Success, durations, cost and slowest steps of ended runs, as clients see them."""
    found = by_workflow(sight, when, name).get(name)
    cost = Decimal(str(found.cost_usd)) if found else Decimal(0)
    return {
        "workflow": name, "range": when.name, "since": when.since, "until": when.until,
        "runs": int(found.runs) if found else 0, "failed": int(found.failed) if found else 0,
        "success_ratio": found.success_ratio if found else None,
        "duration_seconds": {
            "p50": found.p50_seconds if found else None,
            "p95": found.p95_seconds if found else None,
            "p99": found.p99_seconds if found else None,
        },
        "cost": {"total_usd": _money(cost), "currency": "USD",
                 "per_run_usd": _money(cost / int(found.runs)) if found else None},
        "steps": slowest_steps(sight, when, name),
    }  # fmt: skip


def _money(usd: Decimal) -> str:
    return f"{usd:.9f}"


def _bottlenecks(sight: Sight, when: Stretch, name: str) -> dict[str, tuple[str, float]]:
    """Workflow → the step in which most time went, and its share of all steps' time."""
    found = sight.totals(("step_duration_seconds",), when, scope="step", ranked=(),
                         prefix=_of(name) if name else None)  # fmt: skip
    times: dict[str, list[tuple[float, str]]] = {}
    for key, stats in found.items():
        workflow, _, step = key.partition(SEPARATOR)
        total = stats.get("step_duration_seconds", EMPTY).total
        times.setdefault(workflow, []).append((total, step))
    busiest = {}
    for workflow, steps in times.items():
        whole, (most, step) = sum(total for total, _ in steps), max(steps)
        if whole:
            busiest[workflow] = (step, most / whole)
    return busiest


def slowest_steps(sight: Sight, when: Stretch, workflow: str) -> list[dict[str, Any]]:
    """Steps of a workflow by the time that went into them, most first."""
    found = sight.totals(STEPS, when, scope="step", prefix=_of(workflow))
    rows: list[dict[str, Any]] = []
    for key, stats in found.items():
        _, seconds, waits, retries = (stats.get(one, EMPTY) for one in STEPS)
        rows.append({
            "key": key.partition(SEPARATOR)[2], "times": seconds.count,
            "total_seconds": seconds.total,
            "p50_seconds": seconds.percentile(0.5), "p95_seconds": seconds.percentile(0.95),
            "wait_p95_seconds": waits.percentile(0.95), "retries": retries.total,
        })  # fmt: skip
    whole = sum(row["total_seconds"] for row in rows)
    for row in rows:
        row["share"] = row["total_seconds"] / whole if whole else None
    return sorted(rows, key=lambda row: -row["total_seconds"])[:SHOWN_STEPS]


def _of(workflow: str) -> str:
    """How the keys of its steps begin."""
    return f"{workflow}{SEPARATOR}"
