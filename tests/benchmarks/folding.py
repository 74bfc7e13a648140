"""The folding of one busy minute of 100,000 measurements, on one core, without a database."""

from __future__ import annotations

import json
import random
import time
from typing import Any

from monitoring.domain.rollups import fold

# A call measures ten things at once: 10,000 rows of ten numbers; and rows of one number each.
CALLS, NUMBERS = 10_000, 10
ROUNDS = 5
METRICS = ("invocations", "invocation_errors", "cache_hits", "invocation_duration_seconds",
           "model_duration_seconds", "input_tokens", "output_tokens", "cost_usd", "saved_usd",
           "model_calls")  # fmt: skip


def fold_a_minute() -> dict[str, dict[str, Any]]:
    """Seconds to fold 100,000 numbers of a minute into its windows (median of five)."""
    draw = random.Random(20_261_128)
    labels = [
        json.dumps({
            "agent": f"agent-{n % 51}", "version": "1", "domain": f"domain-{n % 5}",
            "client": f"client-{n % 12}", "user": f"user-{n % 40}", "endpoint": f"e{n % 3}",
            "provider": f"p{n % 3 % 2}",
            "model": f"m{n % 3}", "audience": "internal",
        })
        for n in range(CALLS)
    ]  # fmt: skip
    rows = [
        (label, METRICS, [1.0, 0.0, 0.0, *(draw.lognormvariate(0, 0.6) for _ in range(7))])
        for label in labels
    ]
    single = [(label, (METRICS[n % NUMBERS],), (draw.lognormvariate(0, 0.6),))
              for n, label in enumerate(labels * NUMBERS)]  # fmt: skip
    return {
        "rollups.minute_of_100k": _timed(rows),
        "rollups.minute_of_100k_single_rows": _timed(single),
    }


def _timed(rows: Any) -> dict[str, Any]:
    seconds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        fold(rows)
        seconds.append(time.process_time() - began)
    seconds.sort()
    return {"value": round(seconds[ROUNDS // 2], 3), "unit": "s of one core",
            "lower_is_better": True, "peers": {},
            "spread": [round(seconds[0], 3), round(seconds[-1], 3)]}  # fmt: skip
