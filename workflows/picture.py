"""A run as its page shows it: the graph, the critical path, the words, and the time line."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from workflows import documents, queries, stages, wording
from workflows.domain import drawing
from workflows.domain.bottlenecks import Share, Span, bottleneck, critical_path
from workflows.domain.definition import Plan
from workflows.models import Approval, Run, RunEvent
from workflows.plans import plan_for
from workflows.timeline import Step, box_of, faint, offset, timeline

# Larger graphs are folded into stages: nobody reads a drawing of more boxes.
MAX_DRAWN = 240
TITLE_WIDTH = 18


def run_picture(run: Run, *, now: datetime, stage: str = "", begin: int = 0) -> dict[str, Any]:
    """Everything that the moving part of a run's page shows.

    The time line has a page of the steps that have begun, from the place ``begin`` (from 0) on:
    of all of them, or of one ``stage`` of a graph that is folded, or of the critical ``path``.
    """
    plan = plan_for(run.version_id)
    rows = documents.steps_of(run, plan, limit=documents.SHOWN_ITEMS)
    steps, items = _apart(rows)
    start = run.started_at or run.created_at
    again = RunEvent.objects.filter(run_id=run.pk, name="run.retried").values_list("at", flat=True)
    resumed = [offset(at, start) or 0.0 for at in again]
    spans = [_span(step, plan, start, now, resumed) for step in steps.values()]
    path = critical_path(spans)
    longest = bottleneck(path)
    summary = documents.run_summary(run, queries.figures_of([run.pk]).get(run.pk))
    approvals = list(run.approvals.filter(state=Approval.State.WAITING).order_by("turn", "level"))
    waiting = [documents.approval_summary(approval) for approval in approvals]
    signals = {key: str(step.options["signal"]) for key, step in plan.steps.items()
               if step.kind == "wait" and "signal" in step.options}  # fmt: skip
    head, rest = wording.verdict(summary, list(steps.values()), waiting, longest, now, signals)
    critical = {share.key: share for share in path}
    folded = stages.folded(run.version_id) if len(plan.steps) > MAX_DRAWN else None
    chosen = stages.chosen(folded, stage, critical)
    return {
        "summary": summary,
        "title": plan.title,
        "head": head,
        "mood": _mood(run.state, waiting=bool(waiting), steps=steps),
        "rest": rest,
        "waiting": waiting[:1],
        "graph": stages.graph_of(folded, steps, critical, longest)
        if folded
        else _graph(run.version_id, plan, steps, critical, longest, now),
        "timeline": timeline(
            steps, items, critical, longest, start, run.ended_at or now, now, chosen, begin
        ),
        "steps": list(steps.values()),
        "items": {
            (i["key"], i["index"]): wording.item_name(i["index"], i["place"])
            for many in items.values()
            for i in many
        },
        "path": path,
        "longest": longest,
        "longest_title": steps[longest.key]["title"] if longest else "",
    }


def _mood(state: str, *, waiting: bool, steps: Mapping[str, Step]) -> str:
    """The state whose mark stands before the first line: who needs a person does not just run."""
    if state != "running":
        return state
    if waiting:
        return "waiting"
    return "dead" if any(step["state"] == "dead" for step in steps.values()) else state


def _apart(rows: Sequence[Step]) -> tuple[dict[str, Step], dict[str, list[Step]]]:
    """Steps by key (the last turn of a repeat), and the items of each fan-out."""
    steps: dict[str, Step] = {}
    items: dict[str, list[Step]] = defaultdict(list)
    for row in rows:
        if row["index"] is None:
            steps[row["key"]] = row
        else:
            items[row["key"]].append(row)
    return steps, items


def _span(step: Step, plan: Plan, start: datetime, now: datetime, resumed: Sequence[float]) -> Span:
    known = plan.steps.get(step["key"])
    needs = (*known.needs, *known.failures_of) if known else ()
    begun = step["started_at"]
    ended = step["ended_at"] or (now if begun else None)
    if step["state"] in ("skipped", "unreachable", "cancelled") and not begun:
        begun = ended = None
    started = offset(begun, start)
    since = max((at for at in resumed if started is not None and at <= started), default=0.0)
    return Span(step["key"], started, offset(ended, start), needs, since)


@lru_cache(maxsize=256)
def _drawn(version_id: UUID) -> drawing.Drawing:
    plan = plan_for(version_id)
    edges = [(need, key) for key, step in plan.steps.items()
             for need in (*step.needs, *step.failures_of)]  # fmt: skip
    return drawing.draw(plan.layers, edges)


def _graph(
    version_id: UUID, plan: Plan, steps: Mapping[str, Step], critical: Mapping[str, Share],
    longest: Share | None, now: datetime,
) -> dict[str, Any]:  # fmt: skip
    drawn = _drawn(version_id)
    follows = list(critical)
    on_path = set(itertools.pairwise(follows))
    edges: list[dict[str, Any]] = [
        {"path": edge.path, "critical": (edge.source, edge.target) in on_path,
         "faint": faint(steps.get(edge.target)) or faint(steps.get(edge.source))}
        for edge in drawn.edges
    ]  # fmt: skip
    edges.sort(key=lambda edge: edge["critical"])
    nodes = []
    for node in drawn.nodes:
        step = steps.get(node.key)
        if step is None:
            continue
        nodes.append(
            {
                **box_of(step, now), "x": node.x, "y": node.y,
                "lines": drawing.wrapped(step["title"], TITLE_WIDTH),
                "critical": node.key in critical,
                "longest": longest is not None and longest.key == node.key,
                "ratio": longest.ratio if longest else None,
            }
        )  # fmt: skip
    return {
        "width": drawn.width, "height": drawn.height, "nodes": nodes, "edges": edges,
        "node_width": drawing.NODE_WIDTH, "node_height": drawing.NODE_HEIGHT,
    }  # fmt: skip
