"""``make bench``: every benchmark, or one; figures into ``docs/reference/benchmarks.{md,json}``.

Speeds are ratios: peers run in the same run, on the same machine. Nothing here is a timed test.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PARTS = {
    "alike": "tests.benchmarks.alike",
    "anomalies": "tests.benchmarks.anomalies",
    "audit": "tests.benchmarks.audit",
    "calls": "tests.benchmarks.calls",
    "dashboards": "tests.benchmarks.dashboards",
    "engine": "tests.benchmarks.engine",
    "learning": "tests.benchmarks.learning",
    "memory": "tests.benchmarks.memory",
    "savings": "tests.benchmarks.savings",
    "simulation": "tests.benchmarks.simulation",
}


# Goals stand here, so that what falls short is seen beside its figure.
NOTES = [
    "Wanted of the engine, beside raw Celery canvas with task events on: chain 1.0, fan-out 2,",
    "diamonds 1.6 where every step is a task of its own; 4, 3 and 3 where light steps go on in one",
    "worker; at most 2.5 and 1.2 CPU ms a step; submission 5 ms; idle workers under 2 % of a core;",
    "growth 1.2; a first step within 300 ms; a task of a scientific graph (archive to mosaic, the",
    "number is its tasks) 5 ms. A figure worse than that has not reached its goal.",
    "",
    "Afterwards rows of steps, notes of effects, results of items and order are counted one by",
    "one, and a run fails unless all are right. The instance has no Flower. Peers' large shapes",
    "are smaller: canvas and DBOS fan out over 500 items for our 10,000, and go through 200 and",
    "500 steps of the random DAG (each message of canvas bears all that comes after it). That is",
    "in their favour; that they go level by level, for want of such graphs, is not. Prefect, and",
    "canvas without events, count one round after a first.",
    "",
    "Why submission and CPU fall short: any request to the API that reads a few rows takes 4.3 CPU",
    "ms of the web process, and once a run's first message is out its workers share the two cores",
    "(24 ms beside them, 17 with them stopped, on a busy machine). A task of bare canvas takes 5.5",
    "to 8 CPU ms itself.",
    "",
    "Wanted of calls: at most 12 ms added at the median and 40 at p95; 5 added to a cached one",
    "(beside a server that does nothing); 8 CPU ms; 0.3 ms to record one; each webhook within five",
    "seconds at 50 requests/s; a breaker open 5 s after its endpoint dies, refusing or hanging;",
    "and no call failed meanwhile; 100,000 audit entries verified a second.",
    "",
    "Wanted of learning: ten million exposures analysed in 2 s, an assignment in 20 µs. `whole` is",
    "what each sweep took before sums stood, `sweep` what it takes beside them, its analysis too,",
    "where nothing is said of the calls and nothing looks at the time before (CUPED).",
    "",
    "Rows of `savings` are of questions that lighter models get wrong, too; what each setting",
    "saves and loses stands beside the others in [endpoints](endpoints.md).",
    "",
    "A virtual machine's speed moves, so peers run before and after us, and the mean counts:",
    "`engine_peers_after_to_before` of a peer far from 1, over its shapes, means that no",
    "comparison with it in that run can be trusted. Where it is missing, peers ran before only.",
    "",
]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--only", choices=sorted(PARTS), help="one part")
    chosen = parser.parse_args().only
    file = REFERENCE / "benchmarks.json"
    figures: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    at = datetime.now(UTC).isoformat(timespec="seconds")
    for name in [chosen] if chosen else sorted(PARTS):
        print(f"{name}: measuring", flush=True)
        found = importlib.import_module(PARTS[name]).run()
        # A row that a part no longer has is not left beside those that it has now.
        figures = {key: row for key, row in figures.items() if not key.startswith(name)}
        for key, row in found.items():
            figures[key] = {**row, "at": at}
            print(f"  {key}: {_told(row)}", flush=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    (REFERENCE / "benchmarks.md").write_text(_page(figures))


def _told(row: dict[str, Any]) -> str:
    peers = "; ".join(
        f"{row['value'] / value:.2f} x {name} ({value:g})"
        for name, value in row["peers"].items()
        if value
    )
    low, high = row["spread"]
    return f"{row['value']:g} {row['unit']} ({low:g} to {high:g})" + (f"; {peers}" if peers else "")


def _page(figures: dict[str, Any]) -> str:
    lines = [
        "# Benchmarks",
        "",
        *NOTES,
        "Written by `make bench`. Each peer ran in the same run on the same machine, so read the",
        f"ratios, not the figures. {os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}. `engine_load_average_before` says how busy the machine was.",
        "",
        "| figure | value | spread | beside | at |",
        "|---|---|---|---|---|",
    ]
    for name, row in sorted(figures.items()):
        peers = ", ".join(
            f"{row['value'] / value:.2f} x {peer} ({value:g})"
            for peer, value in row["peers"].items()
            if value
        )
        better = "lower" if row["lower_is_better"] else "higher"
        low, high = row["spread"]
        lines.append(
            f"| {name} ({better} is better) | {row['value']:g} {row['unit']} | {low:g} to {high:g} "
            f"| {peers} | {row['at'][:16].replace('T', ' ')} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
