"""A month beside the three before it, from the exported record: also what the database has left.

The tests and sizes are those of the daily drift. The exported record holds no text, so failures are
told by their codes and answers by their length.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from learning.domain.drift import Drift, categorical_drift, numeric_drift
from monitoring import exported

WINDOW, REFERENCE = timedelta(days=30), timedelta(days=90)
# The sizes that docs/reference/drift.md measured false alarms and power at.
ROWS = {"before": 500, "now": 200}
NUMBERS = ("duration_seconds", "cost_usd", "output_tokens")
COLUMNS = (
    "agent", "state", "error_code", "is_demo", "split_epoch", "cached", "model", *NUMBERS,
)  # fmt: skip
BAD = ("failed", "blocked")
MOST_CODES = 5


@dataclass(slots=True)
class Side:
    """One agent's calls in one stretch: counts of all, and an even sample of the good ones."""

    most: int
    rng: random.Random
    calls: int = 0
    bad: int = 0
    cost_usd: float = 0.0
    seen: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    sample: list[dict[str, Any]] = field(default_factory=list)

    def add(self, call: dict[str, Any]) -> None:
        """Count a call, and keep it with the chance that every call has (reservoir sampling)."""
        self.calls += 1
        self.cost_usd += float(call["cost_usd"] or 0)
        if call["state"] in BAD:
            self.bad += 1
            self.codes[call["error_code"] or "unknown"] += 1
            return
        self.seen += 1
        if len(self.sample) < self.most:
            self.sample.append(call)
        elif (place := self.rng.randrange(self.seen)) < self.most:
            self.sample[place] = call


def compare(root: str, until: date) -> dict[str, Any]:
    """Each agent's month before ``until`` beside the 90 days before that, JSON-ready.

    ``days`` says how many of both stretches were exported. Raises Unavailable.
    """
    start = until - WINDOW
    sides: dict[str, dict[str, Side]] = {}
    found_days = {}
    for side, since, end in (("before", start - REFERENCE, start), ("now", start, until)):
        there = exported.days(root, "invocations", since=since, until=end)
        found_days[side] = exported.covered(root, "invocations", since=since, until=end)
        for day in there:
            for batch in exported.rows(root, "invocations", day, COLUMNS):
                for values in zip(*(batch[name] for name in COLUMNS), strict=True):
                    call = dict(zip(COLUMNS, values, strict=True))
                    if call["is_demo"] or call["cached"]:
                        continue
                    # What an experiment did to calls is no reference for anything.
                    if side == "before" and call["split_epoch"] is not None:
                        continue
                    own = sides.setdefault(call["agent"], {})
                    if side not in own:
                        own[side] = Side(ROWS[side], random.Random(f"{call['agent']}/{side}"))
                    own[side].add(call)
    return {
        "days": found_days,
        "agents": {
            slug: _agent(own["before"], own["now"])
            for slug, own in sorted(sides.items())
            if "before" in own and "now" in own
        },
    }


def _agent(before: Side, now: Side) -> dict[str, Any]:
    drifts = []
    for name in NUMBERS:
        values = [
            [float(c[name]) for c in side.sample if c[name] is not None] for side in (before, now)
        ]
        drifts += _told(name, numeric_drift(*values), *(sum(v) / max(len(v), 1) for v in values))
    models = ([str(c["model"]) for c in side.sample] for side in (before, now))
    drifts += _told("model", categorical_drift(*models))
    states = (["bad"] * side.bad + ["good"] * (side.calls - side.bad) for side in (before, now))
    ratios = [side.bad / side.calls if side.calls else 0.0 for side in (before, now)]
    drifts += _told("errors", categorical_drift(*states), *ratios)
    return {
        "calls": [before.calls, now.calls], "bad": [before.bad, now.bad],
        "cost_usd": [round(before.cost_usd, 6), round(now.cost_usd, 6)],
        "codes": dict(now.codes.most_common(MOST_CODES)), "drifts": drifts,
    }  # fmt: skip


def _told(
    metric: str, drift: Drift, before: float | None = None, now: float | None = None
) -> list[dict[str, Any]]:
    if not drift.drifted:
        return []
    return [
        {"metric": metric, "test": drift.test, "effect": round(drift.effect, 4),
         "effect_name": drift.effect_name, "from": before, "to": now}
    ]  # fmt: skip
