"""What is so, in words: the first line of a run's page, and its history as sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from config import readable
from workflows.domain.bottlenecks import Share

_EVENTS = {
    "run.created": "The run was created",
    "run.started": "The run started",
    "run.forked": "The run was forked from an earlier one",
    "run.paused": "The run was paused",
    "run.resumed": "The run went on",
    "run.retried": "The run was tried again from where it stopped",
    "run.cancelled": "The run was cancelled",
    "run.cancelling": "The run is being cancelled",
    "run.succeeded": "The run succeeded",
    "run.failed": "The run failed",
    "run.failing": "The run is failing",
    "run.signalled": "A signal arrived",
    "approval.approved": "Approved",
    "approval.rejected": "Rejected",
    "approval.requested": "Approval asked for",
    "approval.expired": "The approval expired",
    "approval.escalated": "The approval was handed up",
    "step.requeued": "A step was given out again by a person",
    "step.settled": "A person said that a step had happened",
}
_STEP_EVENTS = {
    "started": "started",
    "succeeded": "succeeded",
    "failed": "failed",
    "retried": "failed and is tried again",
    "skipped": "was skipped by its condition",
    "unreachable": "cannot be reached any more",
    "cancelled": "was cancelled",
    "waiting": "waits",
    "abandoned": "was not waited for any longer",
    "lost": "lost its worker and is given out again",
    "dead": "needs a person: it was given out too often",
    "expanded": "spread over its items",
}


# Before the title of a step, the title of its compensation.
UNDO = "Undo: "


def item_name(index: int, place: Sequence[int] | None) -> str:
    """What people call an item: its number, or of a nested fan-out ``3.2``, the list's and its."""
    return f"{place[0] + 1}.{place[1] + 1}" if place else str(index + 1)


def event_words(
    event: Mapping[str, Any],
    titles: Mapping[str, str],
    items: Mapping[tuple[str, int], str] | None = None,
) -> str:
    """One event of a run's history as a sentence without its time.

    ``items``: what items are called, by their step and position, where that is not their number.
    """
    name = str(event["name"])
    if name in _EVENTS and not (event["key"] and name.startswith("step.")):
        detail = event["detail"] if isinstance(event["detail"], dict) else {}
        extra = [f"level {detail['level']}" if "level" in detail else "",
                 f"“{detail['name']}”" if "name" in detail else "",
                 str(detail.get("reason") or "")]  # fmt: skip
        return ": ".join([_EVENTS[name], *filter(None, extra)])
    what = name.partition(".")[2]
    title = titles.get(event["key"], event["key"])
    number = ""
    if event["index"] is not None:
        number = f" {(items or {}).get((event['key'], event['index'])) or event['index'] + 1}"
    again = f", attempt {event['attempt']}" if event["attempt"] > 1 else ""
    code = (event["detail"] or {}).get("code") if isinstance(event["detail"], dict) else None
    return f"{title}{number} {_STEP_EVENTS.get(what, what)}{again}" + (f": {code}" if code else "")


def verdict(
    summary: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]],
    waiting: Sequence[Mapping[str, Any]],
    longest: Share | None,
    now: datetime,
    signals: Mapping[str, str],
) -> tuple[str, str]:
    """The first line of a run's page: its head in a few words, and the rest of the sentence.

    ``steps`` are the rows without items; ``waiting`` the approvals that are open, lowest first;
    ``signals`` what steps wait for that wait for a signal, by key.
    """
    state = str(summary["state"])
    titles = {str(step["key"]): str(step["title"]) for step in steps}
    took = summary["duration_seconds"]
    if state == "succeeded":
        return (
            f"Succeeded in {readable.duration(took)}",
            f"for {readable.money(summary['cost_usd'])}.{_longest(longest, titles)}",
        )
    if state in ("failed", "failing"):
        return _failed(state, steps)
    if state in ("cancelled", "cancelling"):
        word = "Cancelled" if state == "cancelled" else "Cancelling"
        done = sum(step["state"] == "succeeded" and step["kind"] != "compensate" for step in steps)
        count = f"after {done} of {summary['progress']['total']} steps."
        return word, f"{count}{_being_undone(steps)}{_not_undone(steps)}"
    if state == "waiting":
        return "Waiting for a place", "under the workflow’s limit of runs at the same time."
    count = f"{summary['progress']['done']} of {summary['progress']['total']} steps"
    done = f"{count} are done"
    if state == "paused":
        return "Paused", f"after {count}; nothing new starts until it is resumed."
    if waiting:
        since = readable.largest_unit(max((now - waiting[0]["created_at"]).total_seconds(), 0))
        return (
            f"Waiting for the {waiting[0]['role']}’s approval",
            f"since {since}; {done}.",
        )
    return _running(steps, done, signals, now)


def _longest(longest: Share | None, titles: Mapping[str, str]) -> str:
    if longest is None:
        return ""
    said = (
        f" {titles.get(longest.key, longest.key)} held it up most: "
        f"{readable.duration(longest.seconds)}, {readable.percent(longest.ratio)} of the way"
    )
    if longest.queued > 0.2 * longest.seconds:
        said += f", {readable.duration(longest.queued)} of it before a worker took it"
    return said + "."


def _failed(state: str, steps: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    word = "Failed" if state == "failed" else "Failing"
    for step in steps:
        error = step["error"] if isinstance(step["error"], dict) else None
        if step["state"] in ("failed", "dead") and error and step["kind"] != "compensate":
            why = f"— {error.get('message') or error.get('code')}."
            return f"{word} at {step['title']}", why + _being_undone(steps) + _not_undone(steps)
    return word, "before any step could say why." + _being_undone(steps) + _not_undone(steps)


def _not_undone(steps: Sequence[Mapping[str, Any]]) -> str:
    """What is left done of a run that was stopped, where its compensation failed."""
    left = [_undone(step, step["items"] and step["items"]["total"] - step["items"]["succeeded"])
            for step in steps
            if step["kind"] == "compensate" and step["state"] in ("failed", "dead")]  # fmt: skip
    return f" {readable.listed(left)} could not be undone." if left else ""


def _undone(step: Mapping[str, Any], count: int | None) -> str:
    """What a compensation undoes, with how many of its items where it is a fan-out."""
    title = str(step["title"]).removeprefix(UNDO)
    return f"{count} of {step['items']['total']} items of {title}" if step["items"] else title


def _being_undone(steps: Sequence[Mapping[str, Any]]) -> str:
    """How far the fan-outs are whose items are being undone."""
    under_way = [
        _undone(step, step["items"]["succeeded"])
        for step in steps
        if step["kind"] == "compensate" and step["state"] == "waiting" and step["items"]
    ]
    return f" {readable.listed(under_way)} are undone." if under_way else ""


def _running(
    steps: Sequence[Mapping[str, Any]], done: str, signals: Mapping[str, str], now: datetime
) -> tuple[str, str]:
    dead = [str(step["title"]) for step in steps if step["state"] == "dead"]
    if dead:
        return "Needs a person", f"at {readable.listed(dead)}; {done}."
    busy = [str(s["title"]) for s in steps if s["state"] == "running" or (
        s["state"] == "waiting" and s["items"])]  # fmt: skip
    if busy:
        return "Running", f"{readable.listed(busy)}; {done}."
    queued = [step for step in steps if step["state"] == "queued"]
    later = [step["queued_at"] for step in queued if step["queued_at"] and step["queued_at"] > now]
    if len(later) < len(queued):
        return "Running", f"in a moment: the next step is on its way to a worker; {done}."
    open_ = [step for step in steps if step["state"] == "waiting"]
    if awaited := [f"“{signals[s['key']]}”" for s in open_ if s["key"] in signals]:
        word = "signal" if len(awaited) == 1 else "signals"
        return f"Waiting for the {word} {readable.listed(awaited)}", f"— {done}."
    if inside := [str(step["title"]) for step in open_ if step["kind"] == "workflow"]:
        return "Running", f"{readable.listed(inside)} in a run of its own; {done}."
    if later:
        wait = readable.largest_unit((min(later) - now).total_seconds())
        return "Running", f"again in {wait}, after a failure; {done}."
    if timed := [str(step["title"]) for step in open_ if step["kind"] == "wait"]:
        return "Waiting for its time", f"at {readable.listed(timed)}; {done}."
    return "Running", f"— {done}."
