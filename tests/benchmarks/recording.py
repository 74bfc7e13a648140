"""What taking a call's measurements costs, in a process like a worker's beside the instance."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ROUNDS = 500
NUMBERS = {
    "invocations": 1.0, "invocation_errors": 0.0, "invocations_blocked": 0.0,
    "invocation_fallbacks": 0.0, "cache_hits": 0.0, "invocation_duration_seconds": 1.2,
    "input_tokens": 400.0, "cached_tokens": 0.0, "output_tokens": 120.0, "cost_usd": 0.0004,
    "saved_usd": 0.0, "model_calls": 1.0, "tool_calls": 0.0, "model_duration_seconds": 1.1,
}  # fmt: skip
LABELS = {"agent": "bench", "version": "1", "domain": "accounting", "model": "offline-standard"}


def measure(home: Path) -> dict[str, dict[str, Any]]:
    """The median of one recording inside a transaction, in milliseconds."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DATABASE_", "REDIS_"))}
    env = {**kept, "RATCHET_HOME": str(home), "DJANGO_SETTINGS_MODULE": "config.settings"}
    argv = [sys.executable, "-m", "tests.benchmarks.recording"]
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    low, middle, high = json.loads(done.stdout.strip().splitlines()[-1])
    return {
        "calls_recording_median": {
            "value": round(middle, 3), "unit": "ms a call", "lower_is_better": True, "peers": {},
            "spread": [round(low, 3), round(high, 3)],
        }
    }  # fmt: skip


def main() -> None:
    import django

    django.setup()
    from django.db import transaction

    from monitoring.services import Measurement, record

    taken = []
    for _ in range(ROUNDS):
        with transaction.atomic():
            started = time.perf_counter()
            record([Measurement(NUMBERS, LABELS)])
            taken.append(1000 * (time.perf_counter() - started))
    print(json.dumps(statistics.quantiles(taken[ROUNDS // 10 :], n=4)))


if __name__ == "__main__":
    main()
