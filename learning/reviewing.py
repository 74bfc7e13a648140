"""All that a reviewer needs to decide about one improvement, in one document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from agents import evidence, sight, versions
from config.access.callers import Caller
from config.errors import AppError, InvalidInput, NotFound
from learning import (
    afterwards,
    handoff,
    improvements,
    knowledge_changes,
    patterns,
    screening,
    trials,
    wishing,
)
from learning.domain.abilities.declaring import in_order
from learning.models import Experiment, Improvement, Replay, Rollout, Tombstone, TuningJob

State = Improvement.State
# What was done, in the words that the page answers with.
DONE = {
    "approve": "approved", "override": "approved in spite of its replay", "reject": "rejected",
    "edit": "the new prompt is its candidate now, and is replayed",
    "replay": "a replay has begun", "take_back": "taken back",
    "hand_out": "in the issue tracker", "done": "done by hand; what follows is measured",
}  # fmt: skip
MOST_CASES, MOST_RUNS, MOST_TOMBSTONES = 12, 20, 5
# What of the evidence has a place of its own on the page.
_TOLD_APART = ("done", "pattern", "invocations", "formula", "priority", "suggested_tool", "change",
               "feedback")  # fmt: skip
_RISKS = {
    "low": "Low: a trial policy may approve it by itself, and it is easily taken back.",
    "medium": "Medium: a person approves it; it is compared on live traffic before it ships.",
    "high": "High: a person approves it; look at the exact runs before you do.",
}


def find(caller: Caller, improvement_id: UUID) -> Improvement:
    """An improvement of the clients that the caller may see; raises NotFound."""
    found = caller.only_visible(Improvement.objects.filter(pk=improvement_id)).first()
    if found is None:
        raise NotFound("improvement", improvement_id)
    return found


def dossier(caller: Caller, improvement_id: UUID) -> dict[str, Any]:
    """Pattern, evidence, exact runs, differences, replay, risk and history of one improvement."""
    row = find(caller, improvement_id)
    shown = row.evidence if isinstance(row.evidence, Mapping) else {}
    pattern = _pattern(caller, row, shown)
    return {
        "id": str(row.pk), "title": row.title, "agent": row.agent_slug, "kind": row.kind,
        "state": row.state, "headline": _headline(row),
        "risk": {"level": row.risk, "says": _risk(row)},
        "priority": {"score": round(row.priority, 4), "shown": shown.get("priority", ""),
                     "formula": shown.get("formula", "")},
        "proposed_by": row.proposed_by, "created_at": row.created_at,
        "decided": {"by": str(row.decided_by or ""), "at": row.decided_at,
                    "reason": row.decision_reason},
        "proposal": row.proposal, "expected": row.expected,
        "evidence": {
            name: value for name, value in shown.items()
            if name not in _TOLD_APART and value not in (None, "", [], {})
        },
        "suggested_tool": in_order(shown.get("suggested_tool") or {}) or None,
        "change": shown.get("change"),
        "quotes": wishing.quotes(caller, shown.get("feedback", ())),
        "pattern": pattern, "runs": _runs(caller, shown, pattern),
        "difference": difference(row), "replays": _replays(caller, row),
        "standing": _standing(row).as_dict(), "override": row.override or None,
        "afterwards": afterwards.measured(row, timezone.now()),
        "barred": _tombstones(row), "follows": _follows(row),
        "neighbours": _neighbours(caller, row),
        "actions": _actions(row), "work_item": row.work_item or None,
        "has_tracker": settings.WORK_ITEM_WEBHOOK_URL != "-",
    }  # fmt: skip


def act(
    caller: Caller, improvement_id: UUID, what: str, *, reason: str = "", prompt: str = "",
    override: bool = False,
) -> Improvement:  # fmt: skip
    """Approve, reject, edit, replay or take back; raises the AppError that stands in the way.

    A candidate that was not replayed is, once it is approved or put in another's place.
    """
    caller.require("learning:decide", "decide about improvements")
    row = find(caller, improvement_id)
    if what not in DONE:
        raise InvalidInput("do", what, f"one of {', '.join(DONE)}")
    if what in ("approve", "override"):
        row = improvements.approve(
            caller=caller,
            improvement_id=row.pk,
            reason=reason,
            override=override or what == "override",
        )
        if row.kind == Improvement.Kind.KNOWLEDGE:
            knowledge_changes.make(row)
    elif what == "reject":
        row = improvements.reject(caller=caller, improvement_id=row.pk, reason=reason)
    elif what == "edit":
        row = improvements.edit(caller=caller, improvement_id=row.pk, prompt=prompt, reason=reason)
    elif what == "done":
        row = improvements.done(caller=caller, improvement_id=row.pk, note=reason)
    elif what == "take_back" and improvements.is_by_hand(row):
        row = improvements.undone(caller=caller, improvement_id=row.pk, reason=reason)
    elif what == "take_back":
        row = knowledge_changes.take_back(caller=caller, improvement_id=row.pk, reason=reason)
    elif what == "hand_out":
        row = handoff.post(caller, row.pk)
    else:
        trials.begin_replay(row, asked_by=caller.name)
    if what in ("approve", "edit"):
        trials.begin_missing_replay(row, asked_by=caller.name)
    row.refresh_from_db()
    return row


def lines_of(diff: Sequence[str]) -> list[dict[str, str]]:
    """A unified diff line by line, each with its kind and how it is read out."""
    kinds = {"+": ("new", "+", "added"), "-": ("gone", "−", "removed"), "@": ("place", "", "")}
    found = []
    for line in diff:
        if line.startswith(("+++", "---")):
            continue
        kind, mark, said = kinds.get(line[:1], ("same", "", ""))
        text = "…" if kind == "place" else line[1:]
        found.append({"kind": kind, "mark": mark, "said": said, "text": text})
    return found[1:] if found and found[0]["kind"] == "place" else found


def told(shown: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Evidence in words, a line a fact."""
    return [(name, handoff.said(value)) for name, value in shown.items()]


def difference(row: Improvement) -> dict[str, Any] | None:
    """What the candidate changes: lines of the prompt, and before and after of all else."""
    if row.candidate_version_id is None:
        return None
    try:
        after = evidence.version(row.agent_slug, row.candidate_version_id)
        before = (
            evidence.version(row.agent_slug, row.base_version_id)
            if row.base_version_id
            else evidence.production(row.agent_slug)
        )
    except AppError:
        return None
    changed = versions.diff(before, after)
    return {
        "before": before.number, "after": after.number, "prompt": changed.pop("prompt", []),
        "others": changed, "candidate_prompt": after.prompt,
        "is_stale": before.pk != evidence.production(row.agent_slug).pk,
    }  # fmt: skip


def _risk(row: Improvement) -> str:
    """What its risk means; what no version says is compared with nothing before it is so."""
    if row.kind == Improvement.Kind.KNOWLEDGE:
        return (
            f"{row.risk.capitalize()}: the document changes once you approve it; taken back, "
            "it is as before."
        )
    if row.candidate_version_id is None:  # no policy approves what it can't try
        return f"{row.risk.capitalize()}: a person approves it, and makes it."
    return _RISKS.get(row.risk, "")


def _headline(row: Improvement) -> str:
    if row.state == State.PROPOSED:
        what = "a candidate to try" if row.candidate_version_id else "a person makes it"
        if row.kind == Improvement.Kind.KNOWLEDGE:
            what = "approved, it changes the document"
        stopped = Experiment.objects.filter(
            improvement_id=row.pk, state=Experiment.State.STOPPED
        ).order_by("-ended_at").first()  # fmt: skip
        if stopped is not None:
            why = f" ({stopped.state_reason})" if stopped.state_reason else ""
            what = f"its experiment was stopped by {stopped.state_by}{why}"
        return f"Waits for your decision; {what}."
    who = f" by {row.decided_by}" if row.decided_by else ""
    why = f": {row.decision_reason}" if row.decision_reason else ""
    held = ""
    if row.state == State.APPROVED and _by_hand(row):
        held = " A person makes it now, and then says so here: done by hand."
    elif row.state == State.APPROVED and not (found := _standing(row)).may_go_live:
        held = f" Not live yet: {found.says}."
    return f"{row.get_state_display().capitalize()}{who}{why}.{held}"


def _standing(row: Improvement) -> screening.Standing:
    """What its replay says; of an agent without a version in production, that there is none."""
    try:
        return screening.of(row)
    except AppError as error:
        return screening.Standing(screening.NONE, str(error))


def _pattern(caller: Caller, row: Improvement, shown: Mapping[str, Any]) -> dict[str, Any] | None:
    key = shown.get("pattern")
    if not key:
        return None
    rows = patterns.listed(caller, until=timezone.now().date(), days=90, agent=row.agent_slug)
    return next((one for one in rows if one["key"] == key), None)


def _runs(
    caller: Caller, shown: Mapping[str, Any], pattern: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """The calls that the proposal rests on, those that the caller may see."""
    ids = [*shown.get("invocations", ()), *(pattern or {}).get("invocations", ())]
    once = list(dict.fromkeys(str(one) for one in ids))[:MOST_RUNS]
    return evidence.told_calls(caller, [UUID(one) for one in once])


def _replays(caller: Caller, row: Improvement) -> list[dict[str, Any]]:
    found = []
    rows = Replay.objects.filter(
        Q(improvement_id=row.pk)
        | Q(candidate_id=row.candidate_version_id, agent_slug=row.agent_slug)
    )
    for one in rows.order_by("-id")[:3]:
        cases = sight.of_visible_calls(caller, one.cases.all(), "recorded_id")
        cases = cases.exclude(candidate_score=None).order_by("candidate_score", "key")
        found.append({
            "id": str(one.pk), "state": one.state, "verdict": one.verdict, "result": one.result,
            "at": one.ended_at or one.created_at,
            "is_of_candidate": one.candidate_id == row.candidate_version_id,
            "cases": [
                {"source": case.source, "recorded_id": case.recorded_id and str(case.recorded_id),
                 "before": case.baseline_score, "after": case.candidate_score,
                 "missing": case.candidate_missing, "missed": case.baseline_missing}
                for case in cases[:MOST_CASES]
            ],
        })  # fmt: skip
    return found


def _tombstones(row: Improvement) -> list[dict[str, Any]]:
    rows = Tombstone.objects.filter(agent_slug=row.agent_slug, lifted_at=None)[:MOST_TOMBSTONES]
    return [
        {"reason": one.reason, "by": one.raised_by, "at": one.created_at,
         "is_this": one.digest == row.digest}
        for one in rows
    ]  # fmt: skip


def _follows(row: Improvement) -> list[dict[str, Any]]:
    """What came of it: experiments, rollouts, the job it stems from."""
    found = [
        {"what": "experiment", "id": str(one.pk), "state": one.state, "says": one.headline}
        for one in Experiment.objects.filter(improvement_id=row.pk)
    ]
    found += [
        {"what": "rollout", "id": str(one.pk), "state": one.state, "says": one.headline}
        for one in Rollout.objects.filter(improvement_id=row.pk)
    ]
    found += [
        {"what": "fine-tuning job", "id": str(one.pk), "state": one.state, "says": one.reason}
        for one in TuningJob.objects.filter(improvement_id=row.pk)
    ]
    return found


def _neighbours(caller: Caller, row: Improvement) -> dict[str, str | None]:
    """The proposals before and after this one in the order of the list."""
    waiting = caller.only_visible(Improvement.objects.filter(state=State.PROPOSED))
    ids = list(waiting.order_by("-priority", "-id").values_list("pk", flat=True)[:500])
    place = ids.index(row.pk) if row.pk in ids else -1
    after = place + 1
    return {
        "before": str(ids[place - 1]) if place > 0 else None,
        "after": str(ids[after]) if after < len(ids) else None,
        "waiting": str(len(ids)),
    }


def _actions(row: Improvement) -> list[str]:
    """What a person may do with it now."""
    if row.state == State.PROPOSED:
        more = ["edit", "replay"] if row.candidate_version_id else _by_hand(row)
        found = _standing(row)
        more += ["override"] if not found.may_go_live else []
        # What would be refused is not offered.
        return [*([] if found.is_refused else ["approve"]), "reject", *more]
    if row.state == State.APPROVED:
        more = ["replay", "override"] if not _standing(row).may_go_live else _by_hand(row)
        return ["reject", *more]
    if row.state == State.TESTING and not improvements.is_on_trial(row):
        return ["reject"]  # its experiment has ended, and somebody has to say what follows
    if row.state == State.SHIPPED and (
        row.kind == Improvement.Kind.KNOWLEDGE or improvements.is_by_hand(row)
    ):
        return ["take_back"]
    return []


def _by_hand(row: Improvement) -> list[str]:
    can = row.candidate_version_id is None and row.kind != Improvement.Kind.KNOWLEDGE
    return ["done"] if can else []
