"""What followed a change that a person made by hand: its figure before and since."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from agents import evidence
from learning.models import Improvement

# As long before it as the rules look, and at most as long since.
WINDOW = timedelta(days=28)
# Fewer calls since then say nothing.
LEAST_CALLS = 30
# Metric of a proposal → how it is worked out of an agent's figures, and what it is called.
FIGURES: dict[str, tuple[str, Callable[[Mapping[str, Any]], float]]] = {
    "error_ratio": ("share of bad calls", lambda f: f["bad"] / f["calls"]),
    "errors": ("share of bad calls", lambda f: f["bad"] / f["calls"]),
    "latency_seconds": ("mean seconds a call", lambda f: float(f["mean_seconds"])),
    "cost_usd": ("mean USD a call", lambda f: float(f["cost_usd"]) / f["calls"]),
    "output_tokens": ("mean output tokens a call", lambda f: f["output_tokens"] / f["calls"]),
}


def measured(row: Improvement, now: datetime) -> dict[str, Any] | None:
    """The figure that it was meant to move, before and since; None for what is not by hand.

    All of the agent's live calls, one after the other: what else changed meanwhile is in it, so it
    is a hint where an experiment would be proof. ``before`` and ``since`` are None where too few
    calls say anything, ``metric`` where the proposal named none that is kept.
    """
    done = row.evidence.get("done") if isinstance(row.evidence, Mapping) else None
    if not done:
        return None
    at = datetime.fromisoformat(done["at"])
    wanted = str(row.expected.get("metric", ""))
    told: dict[str, Any] = {
        **done, "metric": wanted or None, "what": "", "before": None, "since": None,
        "direction": row.expected.get("direction"), "calls": [0, 0],
    }  # fmt: skip
    if wanted not in FIGURES:
        return told
    what, figure = FIGURES[wanted]
    sides = [
        evidence.call_figures(row.agent_slug, since, until)
        for since, until in ((at - WINDOW, at), (at, min(now, at + WINDOW)))
    ]
    told |= {"what": what, "calls": [side["calls"] for side in sides]}
    if min(told["calls"]) >= LEAST_CALLS:
        told["before"], told["since"] = (round(figure(side), 6) for side in sides)
    return told
