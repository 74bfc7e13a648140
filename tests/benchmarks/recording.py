"""What taking a call's measurements costs its caller, in a process like a worker's.

They go with the statement that stores the call, so the cost is the difference: the same call is
stored with and without them, in turn, each as a transaction of its own. Making the values of the
statement counts, too.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from decimal import Decimal
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
    """Medians of the difference, in milliseconds: measured, and measured and audited."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DATABASE_", "REDIS_"))}
    env = {**kept, "RATCHET_HOME": str(home), "DJANGO_SETTINGS_MODULE": "config.settings"}
    argv = [sys.executable, "-m", "tests.benchmarks.recording"]
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return {
        f"calls_recording_{name}": {
            "value": round(middle, 3), "unit": "ms a call", "lower_is_better": True, "peers": {},
            "spread": [round(low, 3), round(high, 3)],
        }
        for name, (low, middle, high) in found.items()
    }  # fmt: skip


def main() -> None:
    import django

    django.setup()
    from django.utils import timezone

    from agents import budgets, recording
    from agents.models import Invocation
    from config import statements
    from config.access.ids import uuid7
    from monitoring import writing
    from monitoring.services import Audited, Measurement, digest_of

    plain = recording._STORE.replace(f", {writing.WRITES}", "")
    assert plain != recording._STORE, "what a call writes beside itself is left out"
    client, agent = uuid7(), uuid7()
    said = {"text": "What was booked on account 4400 in March? " * 20}

    def store(form: str) -> float:
        row = Invocation(
            client_id=client, agent_id=agent, agent_slug="bench", version_id=agent,
            version_number=1, state="succeeded", inputs=said, output=said, model="offline",
            endpoint="offline", started_at=timezone.now(), duration_seconds=1.2,
        )  # fmt: skip
        parts = {**budgets.settling(None, Decimal(0)), "invocations": statements.rows_of([row]),
                 "models": "[]", "tools": "[]", "cached": "[]"}  # fmt: skip
        started = time.perf_counter()
        if form == "plain":
            statements.execute(plain, parts)
        else:
            entry = Audited(
                actor="agent:bench", action="agents.invocation.succeeded",
                target=f"invocation:{row.pk}", client_id=client, session=str(row.pk),
                before_digest=digest_of(row.inputs), after_digest=digest_of(row.output),
            )  # fmt: skip
            entries = [entry] if form == "audited" else []
            given = writing.given([Measurement(NUMBERS, LABELS)], entries)
            statements.execute(recording._STORE, {**parts, **given})
        return 1000 * (time.perf_counter() - started)

    forms = ("plain", "median", "audited")
    taken = [{form: store(form) for form in forms} for _ in range(ROUNDS)][ROUNDS // 10 :]
    found = {
        form: statistics.quantiles([one[form] - one["plain"] for one in taken], n=4)
        for form in forms[1:]
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
