"""The picture of a large run: its graph folded into stages, each with how far its steps are."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from config import readable
from workflows.domain import drawing, folding
from workflows.domain.bottlenecks import Share
from workflows.domain.folding import Stage
from workflows.plans import plan_for

TITLE_WIDTH = 18
# A drawing of more edges is a grey cloud: then only those to the next column are drawn.
MOST_EDGES = 240
# What is said of a stage: the first of these that a step of it is in, else how far it is.
_URGENT = {
    "dead": "{} need{s} help", "failed": "{} failed", "running": "{} running",
    "waiting": "{} waiting", "queued": "{} queued",
}  # fmt: skip
_FAINT = frozenset({"skipped", "unreachable", "cancelled"})
_ENDED = _FAINT | {"succeeded", "failed"}

Step = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Folded:
    """A definition's stages and where they are drawn."""

    stages: tuple[Stage, ...]
    drawn: drawing.Drawing


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the time line is asked to show: a stage, or the critical path."""

    key: str
    title: str
    keys: frozenset[str]


@lru_cache(maxsize=64)
def folded(version_id: UUID) -> Folded:
    """The stages of a version's graph. A definition is immutable, so once is enough."""
    plan = plan_for(version_id)
    titles = {key: step.title for key, step in plan.steps.items()}
    stages = folding.fold(plan.layers, titles)
    between = folding.edges_between(
        stages,
        [(need, key) for key, step in plan.steps.items()
         for need in (*step.needs, *step.failures_of)],
    )  # fmt: skip
    columns = {stage.key: stage.column for stage in stages}
    if len(between) > MOST_EDGES:
        between = [(a, b) for a, b in between if columns[b] == columns[a] + 1]
    return Folded(tuple(stages), drawing.draw(columns, between))


def chosen(found: Folded | None, asked: str, critical: Mapping[str, Share]) -> Chosen | None:
    """What ``?stage=`` asks for; None for everything."""
    if asked == "path":
        return Chosen(asked, "", frozenset(critical))
    for stage in found.stages if found else ():
        if stage.key == asked:
            return Chosen(asked, stage.title, frozenset(stage.steps))
    return None


def graph_of(
    found: Folded, steps: Mapping[str, Step], critical: Mapping[str, Share], longest: Share | None
) -> dict[str, Any]:
    """The drawing with each stage's counts; the critical path runs through stages."""
    of = {key: stage.key for stage in found.stages for key in stage.steps}
    path = [key for key, _ in itertools.groupby(of[key] for key in critical if key in of)]
    on_path = set(itertools.pairwise(path))
    places = {node.key: node for node in found.drawn.nodes}
    edges = [
        {"path": edge.path, "critical": (edge.source, edge.target) in on_path, "faint": False}
        for edge in found.drawn.edges
    ]
    edges.sort(key=lambda edge: bool(edge["critical"]))
    nodes = [
        {
            **_node(stage, [steps[key] for key in stage.steps if key in steps]),
            "x": places[stage.key].x, "y": places[stage.key].y,
            "lines": drawing.wrapped(stage.title, TITLE_WIDTH),
            "critical": stage.key in path,
            "longest": longest is not None and of.get(longest.key) == stage.key,
            "ratio": longest.ratio if longest else None,
        }
        for stage in found.stages
    ]  # fmt: skip
    return {"width": found.drawn.width, "height": found.drawn.height, "nodes": nodes,
            "edges": edges, "folded": True}  # fmt: skip


def _node(stage: Stage, steps: Sequence[Step]) -> dict[str, Any]:
    states = Counter(str(step["state"]) for step in steps)
    total = len(stage.steps)
    states["pending"] += total - len(steps)
    ended = sum(count for state, count in states.items() if state in _ENDED)
    state, word = _said(states, ended, total)
    counts = [f"{n:,} {readable_state(s)}" for s, n in states.most_common() if n]
    return {
        "id": "", "key": stage.key, "title": stage.title, "state": state, "word": word,
        "counts": readable.listed(counts, 9), "seconds": None, "since": None, "attempt": 1,
        "is_busy": bool(states["running"]), "faint": all(s in _FAINT for s in +states),
        "items": {"succeeded": ended, "total": total}, "done_ratio": ended / total,
    }  # fmt: skip


def _said(states: Counter[str], ended: int, total: int) -> tuple[str, str]:
    """The state of a stage and the word for it, in the space of a box."""
    for state, words in _URGENT.items():
        if count := states[state]:
            return state, words.format(count, s="s" if count == 1 else "")
    if ended < total:
        return "pending", f"{total - ended:,} to do" if ended else "Not started"
    return ("succeeded", "Done") if states["succeeded"] else (next(iter(+states)), "Left out")


def readable_state(state: str) -> str:
    """What steps in ``state`` are, behind their number."""
    known = {"succeeded": "done", "pending": "not started", "dead": "waiting for a person",
             "unreachable": "not reached"}  # fmt: skip
    return known.get(state, state)
