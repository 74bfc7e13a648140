"""Where a rollout stands, in one sentence of today's words: for its page and for lists.

And what would follow if it were taken back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from agents import services as agents
from config import readable
from learning.domain.decisions import ADVICE
from learning.models import Rollout
from learning.rollouts import OPEN

# Audiences of a stage that a sentence names.
MOST_NAMED = 6


def of_rollout(row: Rollout, now: datetime) -> str:
    """What its page answers in the first line."""
    if row.is_drill:
        return of_drill(row, now)
    stage = row.stages[row.stage]
    where = f"stage {row.stage + 1} of {len(row.stages)}, {_share(stage)}"
    reason = row.state_reason.removesuffix(ADVICE)
    long = readable.largest_unit(max(0.0, (now - row.stage_started_at).total_seconds()))
    words = {
        "running": f"At {where}, for {long}. {row.headline}",
        "paused": f"Held at {where}: {(reason or 'by a person').removesuffix('.')}.",
        "done": f"Everybody has it. {row.postcheck.get('words', '')}",
        "rolled_back": f"Taken back at {where}: {reason}",
    }
    return words[row.state].strip()


def _share(stage: Mapping[str, Any]) -> str:
    """``25 % of all units``, ``50 % of department:audit and region:emea``."""
    whose = readable.listed(list(stage.get("audience") or ()), limit=MOST_NAMED) or "all units"
    return f"{stage['share'] * 100:g} % of {whose}"


def in_list(row: Rollout, now: datetime) -> str:
    """The same beside a column that shows its state and stage."""
    if row.is_drill:
        return of_drill(row, now)
    if row.state == "done":
        return of_rollout(row, now)
    why = "" if row.state == "running" else row.state_reason.removesuffix(ADVICE)
    return why or row.headline or "Not looked at yet"


def of_going_back(row: Rollout) -> str:
    """What follows if it is taken back now; empty where it can't be: it went back already."""
    if row.state == Rollout.State.ROLLED_BACK:
        return ""
    bad = agents.version_values(row.agent_slug, row.to_version_id)["number"]
    present = agents.production_of(row.agent_slug)
    if row.state == Rollout.State.DONE and present["id"] != row.to_version_id:
        follows = (f"Version {bad} is not in production any more: version {present['number']} "
                   "stays, for everybody")  # fmt: skip
    elif row.state == Rollout.State.DONE:
        former = agents.version_values(row.agent_slug, row.from_version_id)["number"]
        follows = f"Version {bad}, which everybody has, goes back to version {former} for everybody"
    else:
        follows = (
            f"Version {bad}, at stage {row.stage + 1} of {len(row.stages)} with "
            f"{_share(row.stages[row.stage])}, goes back to version {present['number']} "
            "for everybody"
        )
    barred = "" if row.is_drill else f" Version {bad} is barred until a person lifts that."
    return f"{follows}, from the next call on.{barred}"


def of_drill(row: Rollout, now: datetime) -> str:
    """Where this drill is or how it ended, from its own times and counts."""
    counts, begun = row.postcheck.get("drill"), row.postcheck.get("drill_began_at")
    if row.state in OPEN:
        if begun is None:
            waits = readable.duration((now - row.created_at).total_seconds())
            return f"No worker has taken this drill up yet, since {waits}."
        since = readable.duration((now - datetime.fromisoformat(begun)).total_seconds())
        return f"The drill sends its calls since {since}; a sweep has to find what is wrong."
    if counts is None:
        return "Taken back; its callers go on for a moment, to see whether any still meets it."
    if not counts["found"]:
        return f"Nobody found what was wrong: {row.state_reason}."
    took = ""
    if row.breached_at is not None and row.ended_at is not None:
        seconds = max(0.0, (row.ended_at - row.breached_at).total_seconds())
        took = f" {readable.duration(seconds)} after it first showed"
    after = counts.get("exposures_after_rollback", 0)
    met = (
        "no call met the candidate"
        if not after
        else f"{readable.plural(after, 'call')} still met the candidate"
    )
    return f"The harm was found and taken back{took}; {met} after that."
