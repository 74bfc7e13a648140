"""The time line of a run: the steps that have begun on one clock, a page of them at a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from config import readable
from workflows import wording
from workflows.domain import clock
from workflows.domain.bottlenecks import Share
from workflows.stages import Chosen

# Share of the axis that the text of a cut takes.
CUT_ROOM = 0.05
# A cut at the end has its words before it, which on a telephone are a fifth of the line.
END_ROOM = 0.22
# Rows of one page of the time line.
MAX_ROWS = 150

Step = dict[str, Any]


def timeline(
    steps: Mapping[str, Step], items: Mapping[str, list[Step]], critical: Mapping[str, Share],
    longest: Share | None, start: datetime, end: datetime, now: datetime,
    chosen: Chosen | None, begin: int,
) -> dict[str, Any]:  # fmt: skip
    """A page of the steps that have begun, each with its bars, and what is left out."""
    total = max((end - start).total_seconds(), 0.001)
    busy = [
        (offset(row["started_at"], start) or 0.0, offset(row["ended_at"] or now, start) or 0.0)
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
                **box_of(step, now), "bars": _bars(step, measure, start, now),
                "critical": step["key"] in critical,
                "longest": longest is not None and longest.key == step["key"],
                "inner": [
                    {**box_of(i, now), "number": wording.item_name(i["index"], i["place"]),
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


def offset(moment: datetime | None, start: datetime) -> float | None:
    return None if moment is None else max((moment - start).total_seconds(), 0.0)


def faint(step: Step | None) -> bool:
    return step is not None and step["state"] in ("skipped", "unreachable", "cancelled")


def box_of(step: Step, now: datetime) -> dict[str, Any]:
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
        "faint": faint(step), "attempt": step["attempt"],
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
