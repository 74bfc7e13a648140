"""A run as its page shows it: the graph, the time line, the critical path, the words."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from config import readable
from workflows import documents, queries, stages, wording
from workflows.domain import clock, drawing
from workflows.domain.bottlenecks import Share, Span, bottleneck, critical_path
from workflows.domain.definition import Plan
from workflows.models import Approval, Run, RunEvent
from workflows.plans import plan_for

# Share of the axis that the text of a cut takes.
CUT_ROOM = 0.05
# A cut at the end has its words before it, which on a telephone are a fifth of the line.
END_ROOM = 0.22
# Larger graphs are folded into stages: nobody reads a drawing of more boxes.
MAX_DRAWN = 240
# Rows of one page of the time line.
MAX_ROWS = 150
TITLE_WIDTH = 18

Step = dict[str, Any]


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
    resumed = [_offset(at, start) or 0.0 for at in again]
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
        "timeline": _timeline(
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
    started = _offset(begun, start)
    since = max((at for at in resumed if started is not None and at <= started), default=0.0)
    return Span(step["key"], started, _offset(ended, start), needs, since)


def _offset(moment: datetime | None, start: datetime) -> float | None:
    return None if moment is None else max((moment - start).total_seconds(), 0.0)


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
         "faint": _faint(steps.get(edge.target)) or _faint(steps.get(edge.source))}
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
                **_node(step, now), "x": node.x, "y": node.y,
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


def _faint(step: Step | None) -> bool:
    return step is not None and step["state"] in ("skipped", "unreachable", "cancelled")


def _node(step: Step, now: datetime) -> dict[str, Any]:
    """A step with what a box or a bar says about it."""
    seconds = step["duration_seconds"]
    is_open = step["started_at"] is not None and step["ended_at"] is None
    if is_open:
        seconds = max((now - step["started_at"]).total_seconds(), 0.0)
    items = step["items"]
    return {
        "id": step["id"], "key": step["key"], "title": step["title"], "state": step["state"],
        "kind": step["kind"], "seconds": seconds, "is_open": is_open,
        "is_busy": step["state"] == "running" or bool(items and items["running"]),
        "since": step["started_at"] if is_open else None,
        "faint": _faint(step), "attempt": step["attempt"],
        "items": items, "went_on": worker_that_went_on(step),
        "done_ratio": items["succeeded"] / items["total"] if items and items["total"] else None,
        "word": _word(step),
    }  # fmt: skip


def worker_that_went_on(step: Step) -> str:
    """The worker that did the step behind the one before, without a message; empty if none did."""
    last = step["attempts"][-1] if step["attempts"] else {}
    took_on = step["kind"] in ("tool", "compensate") and last.get("is_continued")
    return str(last["worker"]) if took_on else ""


_WORDS = {
    "pending": "Not started", "queued": "Queued", "running": "Running", "succeeded": "Done",
    "failed": "Failed", "skipped": "Skipped", "unreachable": "Not reached",
    "cancelled": "Cancelled", "dead": "Needs a person",
}  # fmt: skip
_WAITS = {"approval": "Approval", "wait": "Waiting", "workflow": "Own run"}


def _word(step: Step) -> str:
    """The state of a step in the space of a box."""
    if step["state"] == "waiting":
        return "Items" if step["items"] else _WAITS.get(step["kind"], "Waiting")
    return _WORDS.get(step["state"], str(step["state"]))


def _timeline(
    steps: Mapping[str, Step], items: Mapping[str, list[Step]], critical: Mapping[str, Share],
    longest: Share | None, start: datetime, end: datetime, now: datetime,
    chosen: stages.Chosen | None, begin: int,
) -> dict[str, Any]:  # fmt: skip
    total = max((end - start).total_seconds(), 0.001)
    busy = [
        (_offset(row["started_at"], start) or 0.0, _offset(row["ended_at"] or now, start) or 0.0)
        for row in (*steps.values(), *(i for many in items.values() for i in many))
        if row["started_at"] and row["kind"] not in ("approval", "wait")
    ]
    measure = clock.clock_for(total, busy)
    among = [s for s in steps.values() if chosen is None or s["key"] in chosen.keys]
    begun = sorted(
        (s for s in among if s["started_at"]),
        key=lambda s: (s["started_at"], s["ended_at"] or now),
    )
    begin = min(begin, max(len(begun) - 1, 0)) // MAX_ROWS * MAX_ROWS
    shown = begun[begin : begin + MAX_ROWS]
    rows = []
    for step in shown:
        rows.append(
            {
                **_node(step, now), "bars": _bars(step, measure, start, now),
                "critical": step["key"] in critical,
                "longest": longest is not None and longest.key == step["key"],
                "inner": [
                    {**_node(i, now), "number": wording.item_name(i["index"], i["place"]),
                     "bars": _bars(i, measure, start, now)}
                    for i in items.get(step["key"], ()) if i["started_at"]
                ],
                "more": max(step["items"]["total"] - len(items.get(step["key"], ())), 0)
                if step["items"] else 0,
            }
        )  # fmt: skip
    return {
        "rows": rows,
        "ticks": _ticks(measure),
        "cuts": [
            {"at": _hundredth(measure.at(c.start)),
             "width": _hundredth(measure.at(c.end) - measure.at(c.start)),
             "text": readable.duration(c.end - c.start), "is_last": _is_at_end(c, measure)}
            for c in measure.cuts
        ],
        "chosen": chosen,
        "first": begin + 1, "last": begin + len(shown), "begun": len(begun),
        "earlier": begin - MAX_ROWS if begin else None,
        "later": begin + MAX_ROWS if begin + len(shown) < len(begun) else None,
        "newest": (len(begun) - 1) // MAX_ROWS * MAX_ROWS,
        "is_large": len(steps) > MAX_ROWS,
        "not_started": len(among) - len(begun),
        "went_on": any(row["went_on"] or any(i["went_on"] for i in row["inner"]) for row in rows),
    }  # fmt: skip


def _is_at_end(cut: clock.Cut, measure: clock.Clock) -> bool:
    return measure.at(cut.end) > 1 - CUT_ROOM


def _ticks(measure: clock.Clock) -> list[dict[str, Any]]:
    """Moments of the axis. None says what another says, or stands where a cut says its length."""
    ends = [cut for cut in measure.cuts if _is_at_end(cut, measure)]
    free = [
        t for t in clock.ticks(measure)
        if not any(abs(measure.at(t) - measure.at(cut.start)) < CUT_ROOM for cut in measure.cuts)
        and not (ends and measure.at(t) > 1 - END_ROOM)
    ]  # fmt: skip
    texts = [readable.duration(t) if t else "0" for t in free]
    if len(set(texts)) < len(texts):  # steps of milliseconds after a long wait
        texts = [f"{t:.3f} s" if t else "0" for t in free]
    return [
        {"at": _hundredth(measure.at(t)), "text": text, "is_last": measure.at(t) > 1 - CUT_ROOM}
        for t, text in zip(free, texts, strict=True)
    ]


def _bars(step: Step, measure: clock.Clock, start: datetime, now: datetime) -> list[dict[str, Any]]:
    """One bar per attempt, and a thin one for the time in the queue before the first."""
    attempts = [a for a in step["attempts"] if a["started_at"]] or [
        {"started_at": step["started_at"], "ended_at": step["ended_at"], "state": step["state"]}
    ]
    if step["items"] or step["kind"] in ("approval", "wait", "workflow"):
        attempts = [
            {"started_at": step["started_at"], "ended_at": step["ended_at"], "state": step["state"]}
        ]
    if worker_that_went_on(step):  # its history has its end alone
        attempts = [*attempts[:-1], {**attempts[-1], "started_at": step["started_at"]}]
    bars = []
    if step["queued_at"] and step["queued_at"] < attempts[0]["started_at"]:
        bars.append(_bar("queue", step["queued_at"], attempts[0]["started_at"], measure, start))
    for attempt in attempts:
        state = attempt["state"]
        if attempt is attempts[-1] and step["ended_at"] is None:
            state = step["state"]
        bars.append(_bar(state, attempt["started_at"], attempt["ended_at"] or now, measure, start))
    return bars


def _bar(
    state: str, begun: datetime, ended: datetime, measure: clock.Clock, start: datetime
) -> dict[str, Any]:
    left = measure.at((begun - start).total_seconds())
    right = measure.at((ended - start).total_seconds())
    return {
        "state": state, "at": _hundredth(left), "width": _hundredth(max(right - left, 0.0)),
        "text": readable.duration(max((ended - begun).total_seconds(), 0.0)),
    }  # fmt: skip


def _hundredth(ratio: float) -> str:
    return f"{ratio * 100:.2f}"
