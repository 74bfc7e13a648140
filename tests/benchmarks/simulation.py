"""The whole learning loop against a known truth, at full size: an hour or more."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.benchmarks.instance import ROOT


def run() -> dict[str, dict[str, Any]]:
    """``simulate_learning thirds``: each promised rate with its 95 % interval as the spread."""
    command = [sys.executable, "manage.py", "simulate_learning", "thirds"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    rows = {
        f"simulation: {rate['name']}": {
            "value": rate["rate"] * 100, "unit": f"% of {rate['of']}",
            "lower_is_better": rate["target_is"] != "least", "peers": {},
            "spread": [rate["low"] * 100, rate["high"] * 100],
        }
        for rate in found["rates"] if rate["rate"] is not None
    }  # fmt: skip
    pace = found["calls_per_second"]
    rows["simulation: calls"] = {
        "value": pace, "unit": "calls/s", "lower_is_better": False, "peers": {},
        "spread": [pace, pace],
    }  # fmt: skip
    return rows
