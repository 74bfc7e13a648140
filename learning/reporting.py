"""The written report of a cycle: seen, proposed, tried, shipped, refused, cost and payback."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from agents import evidence
from agents import services as agents
from config.access.callers import any_reader
from config.readable import plural
from learning import drifting, patterns, saying
from learning.domain.decisions import ADVICE
from learning.domain.prioritise import FORMULA
from learning.models import (
    Cycle,
    Experiment,
    Feedback,
    Improvement,
    Replay,
    Rollout,
    Study,
    Tombstone,
)

MOST_ROWS = 10
_MASKED = re.compile(r"\\([\\`*_\[\]#|])")
_ENDINGS = {"shipped": "Shipped", "refused": "Not shown to help", "rolled_back": "Rolled back",
            "rejected": "Rejected by a person"}  # fmt: skip


def as_text(report: str) -> str:
    """The report for a mail of plain text: what Markdown needs masked stands as it is."""
    return html.unescape(_MASKED.sub(r"\1", report))


def figures(cycle: Cycle, until: datetime, *, days: int) -> dict[str, Any]:
    """What happened in the ``days`` before ``until``, and what stands open, as JSON."""
    since = until - timedelta(days=days)
    window = {"created_at__gte": since, "created_at__lt": until}
    ended = {"ended_at__gte": since, "ended_at__lt": until}
    changed = Improvement.objects.filter(updated_at__gte=since, updated_at__lt=until)
    counts = evidence.call_counts(since, until)
    studies = Study.objects.filter(**window).aggregate(cost=Sum("cost_usd"))["cost"] or Decimal(0)
    replays = list(Replay.objects.filter(**ended))
    spent = studies + sum((Decimal(r.result.get("cost_usd", "0")) for r in replays), Decimal(0))
    shipped = list(changed.filter(state=Improvement.State.SHIPPED))
    return {
        "since": since.isoformat(),
        "until": until.isoformat(),
        "calls": sum(counts.values()),
        "feedback": Feedback.objects.filter(**window).count(),
        "steps": {
            step.name: {"result": step.result, "error": step.error}
            for step in cycle.steps.order_by("name")
        },
        "patterns": _patterns(until, days),
        "drifts": _drifts(since),
        "ranked": [_improvement(i) for i in _open()[:MOST_ROWS]],
        "open": _open().count(),
        "proposed": _proposed(cycle, window),
        "replays": [
            {"agent": r.agent_slug, "verdict": r.verdict, "cases": r.result.get("cases", 0),
             "cost_usd": r.result.get("cost_usd", "0")}
            for r in replays[:MOST_ROWS]
        ],
        "experiments": [_comparison(e, e.name) for e in Experiment.objects.filter(**ended)],
        "rollouts": [_comparison(r, f"stage {r.stage + 1}") for r in _rollouts(ended)],
        "ended": {
            state: [_improvement(i) for i in changed.filter(state=state)[:MOST_ROWS]]
            for state in _ENDINGS
        },
        "spent_usd": f"{spent:f}",
        "payback_usd_a_month": round(sum(i.impact * i.confidence for i in shipped), 2),
    }  # fmt: skip


def _rollouts(ended: Mapping[str, datetime]) -> Any:
    """Those that ended; a drill is nothing that was tried."""
    return Rollout.objects.filter(**ended, is_drill=False)


def _by_hand(rows: Sequence[Mapping[str, Any]], state: str) -> list[str]:
    """Rollouts that ended so without an improvement: they changed what callers meet, too."""
    return [
        f"- {row['agent']}: {_plain(row['why'])}" for row in rows
        if row["state"] == state and not row["improvement"]
    ]  # fmt: skip


def _proposed(cycle: Cycle, window: Mapping[str, datetime]) -> int:
    """A weekly cycle's own proposals, which come after the week it is about; else the window's."""
    if cycle.cadence == Cycle.Cadence.WEEKLY:
        return sum(int(step.result.get("new", 0)) for step in cycle.steps.all())
    return Improvement.objects.filter(**window).count()


def _open() -> Any:
    return Improvement.objects.filter(
        state__in=[Improvement.State.PROPOSED, Improvement.State.APPROVED]
    ).order_by("-priority", "-id")


def _patterns(until: datetime, days: int) -> list[dict[str, Any]]:
    rows = patterns.listed(any_reader(), until=until.date(), days=max(days, 7))[:MOST_ROWS]
    return [
        {"key": p["key"], "kind": p["kind"], "title": p["title"], "trend": p["trend"],
         **p["impact"]}
        for p in rows
    ]  # fmt: skip


def _drifts(since: datetime) -> list[dict[str, Any]]:
    return [
        {"agent": d.agent_slug, "version": d.version_number, "metric": d.metric,
         "effect": round(d.effect, 4), "effect_name": d.effect_name,
         "from": d.reference_mean, "to": d.current_mean}
        for d in drifting.listed(since=since, confirmed=True)[: 2 * MOST_ROWS]
    ]  # fmt: skip


def _improvement(row: Improvement) -> dict[str, Any]:
    return {
        "id": str(row.pk), "agent": row.agent_slug, "title": row.title, "kind": row.kind,
        "risk": row.risk, "state": row.state, "priority": round(row.priority, 2),
        "shown": row.evidence.get("priority", "") if isinstance(row.evidence, dict) else "",
        "reason": _went_back(row) or row.decision_reason,
    }  # fmt: skip


def _went_back(row: Improvement) -> str:
    """Why it was rolled back or taken back, where it was: another reason than the decision's."""
    if row.state != Improvement.State.ROLLED_BACK:
        return ""
    found = Tombstone.objects.filter(agent_slug=row.agent_slug, digest=row.digest)
    return found.order_by("-id").values_list("reason", flat=True).first() or ""


def _comparison(row: Experiment | Rollout, name: str) -> dict[str, Any]:
    found = {"name": name, "state": row.state, "verdict": row.verdict}
    if isinstance(row, Experiment):
        return {"agent": row.subject, **found, "headline": row.said}
    return {
        "agent": row.agent_slug, **found, "headline": saying.of_rollout(row, timezone.now()),
        "why": _why(row), "improvement": str(row.improvement_id or ""),
    }  # fmt: skip


def _why(row: Rollout) -> str:
    """What everybody has now, or why not."""
    version = agents.version_values(row.agent_slug, row.to_version_id)["number"]
    if row.state == Rollout.State.DONE:
        return f"everybody has version {version}"
    return f"version {version} went back: {row.state_reason.removesuffix(ADVICE)}"


def markdown(cycle: Cycle, seen: Mapping[str, Any]) -> str:
    """The report as people read it; it says what is empty, and what failed."""
    parts = [
        f"# Learning report, {cycle.cadence}, {cycle.tick}",
        f"{plural(seen['calls'], 'live call')} and "
        f"{plural(seen['feedback'], 'piece of feedback', 'pieces of feedback')} from "
        f"{seen['since'][:10]} to {seen['until'][:10]}.",
        "## Seen",
        *_today(cycle),
        *_lines(
            seen["patterns"],
            lambda p: (
                f"- {p['kind']}, {p['trend']}: {_plain(p['title'])}: "
                f"{plural(p['count'], 'time')}, {plural(p['users'], 'user')}, "
                f"{plural(p['runs'], 'run')}, {Decimal(p['cost_usd']):.4f} USD"
            ),
            "No failures or complaints.",
        ),
        *_lines(
            seen["drifts"],
            lambda d: (
                f"- Drift of {d['agent']} version {d['version']}: {d['metric']}, "
                f"{d['effect_name']} {d['effect']:g}{_from_to(d)}"
            ),
            "No confirmed drift.",
        ),
        *_history(seen["steps"].get("history")),
        "## Proposed",
        f"{seen['proposed']} new, {seen['open']} open, ranked by {FORMULA}:",
        *_lines(
            seen["ranked"],
            lambda i: (
                f"- {i['agent']}: {_plain(i['title'])} ({i['kind']}, risk {i['risk']}); "
                f"{i['shown'] or i['priority']}"
            ),
            "Nothing is open.",
        ),
        "## Tried",
        *_lines(
            [*seen["replays"], *seen["experiments"], *seen["rollouts"]],
            _tried,
            "No replay, experiment or rollout ended.",
        ),
        *_endings(seen["ended"], seen["rollouts"]),
        "## Cost and payback",
        f"Spent on studies and replays: {Decimal(seen['spent_usd']):.4f} USD. Shipped in this "
        f"time and expected to pay back: {seen['payback_usd_a_month']:.2f} USD a month "
        "(impact × confidence, as proposed; the rollout's page has the measured effect).",
        *_failed(seen["steps"]),
    ]
    return "\n\n".join(_joined(parts)) + "\n"


def _today(cycle: Cycle) -> list[str]:
    """What of the tick's own day is counted, though the report is about the days before it."""
    if cycle.created_at.date() != cycle.tick:
        return []
    return [f"Patterns count {cycle.tick} up to {cycle.created_at:%H:%M} UTC as well."]


def _history(step: Mapping[str, Any] | None) -> list[str]:
    """A month beside the three before it, of the exported record; nothing in other cycles."""
    if step is None or step["error"]:
        return []
    found, days = step["result"], step["result"]["days"]
    parts = [
        "## The month beside the three before, from the exported record",
        f"{days['now']} of 30 and {days['before']} of 90 days were exported"
        + (" (`export_telemetry` writes them)." if days["now"] + days["before"] < 120 else "."),
    ]
    lines = [
        f"- {slug}: {drift['metric']}, {drift['effect_name']} {drift['effect']:g}"
        f"{_from_to(drift)}, "
        f"{plural(one['calls'][0], 'call')} before and {one['calls'][1]:,} now"
        for slug, one in found["agents"].items()
        for drift in one["drifts"]
    ]
    lines += [
        f"- {slug}, complaints: {one['complaints'][0]} before, {one['complaints'][1]} now"
        + (f" ({', '.join(f'{name} {n}' for name, n in one['categories'].items())})"
           if one["categories"] else "")
        for slug, one in found["agents"].items()
        if any(one.get("complaints", ()))
    ]  # fmt: skip
    if not found["agents"]:
        return [*parts, "No agent has calls in both stretches, so nothing could be compared."]
    count = len(found["agents"])
    compared = "one agent was" if count == 1 else f"{count} agents were"
    return [
        *parts,
        *(lines or [f"{compared.capitalize()} compared; nothing changed that matters."]),
    ]


def _tried(row: Mapping[str, Any]) -> str:
    if "cases" in row:
        return (
            f"- Replay of {row['agent']}: {row['verdict']} on "
            f"{plural(row['cases'], 'case')}, "
            f"{Decimal(row['cost_usd']):.4f} USD"
        )
    if "why" in row:  # a rollout says itself how it ended, and where
        return f"- {row['agent']}, rollout: {_plain(row['headline'])}"
    return f"- {row['agent']}, {_plain(row['name'])}: {row['state']}. {_plain(row['headline'])}"


def _endings(
    ended: Mapping[str, Sequence[Mapping[str, Any]]], rolled: Sequence[Mapping[str, Any]]
) -> list[str]:
    lines = []
    for state, title in _ENDINGS.items():
        own = [
            f"- {i['agent']}: {_plain(i['title'])}"
            + (f" ({_plain(i['reason'])})" if i["reason"] else "")
            for i in ended.get(state, ())
        ] + _by_hand(rolled, "done" if state == "shipped" else state)
        lines += [f"## {title}", *own] if own else []
    return lines or ["## Shipped, refused, rolled back", "Nothing."]


def _failed(steps: Mapping[str, Mapping[str, Any]]) -> list[str]:
    broken = {name: step["error"] for name, step in steps.items() if step["error"]}
    if not broken:
        return []
    return ["## Not analysed", *(f"- {n}: {_plain(e['message'])}" for n, e in broken.items())]


def _lines(rows: Iterable[Any], render: Any, otherwise: str) -> list[str]:
    return [render(row) for row in rows] or [otherwise]


def _joined(parts: Sequence[str]) -> list[str]:
    """Paragraphs, with neighbouring list items kept together."""
    found: list[str] = []
    for part in parts:
        if part.startswith("- ") and found and found[-1].startswith("- "):
            found[-1] += f"\n{part}"
        else:
            found.append(part)
    return found


def _from_to(drift: Mapping[str, Any]) -> str:
    if drift["from"] is None or drift["to"] is None:
        return ""
    return f" (mean {drift['from']:.4g} → {drift['to']:.4g})"


def _plain(text: str) -> str:
    """One line that Markdown and HTML take for text."""
    text = text.replace("<", "&lt;").replace(">", "&gt;")
    for mark in "\\`*_[]#|":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())[:200]
