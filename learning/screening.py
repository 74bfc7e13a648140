"""Only what a replay has shown to be no worse goes live, or what a person answers for by name.

A replay speaks of two versions. So what counts is the latest ended one of this very candidate
beside the version that is in production now: an edited candidate, or another version in production,
is to be replayed anew. A change without a candidate version can't be replayed: a person makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from agents import services as agents
from config.access.callers import Caller
from config.errors import AppError, Conflict, InvalidInput
from config.readable import plural
from learning import learnt_from
from learning.domain.replaying import MIN_CASES, Verdict
from learning.models import Experiment, Improvement, Replay
from monitoring import services as monitoring

SOUND = (Verdict.BETTER, Verdict.NOT_WORSE)
NONE, RUNNING, OVERRIDDEN, NOT_NEEDED = "none", "running", "overridden", "not_needed"
# A machine replays one again that had too few cases, once in this time, and so often in all.
AGAIN, MOST_AGAIN = timedelta(days=7), 4
TODO = "replay it again, edit or reject it, or let it go live with `override` and a reason"


class ReplayNeeded(AppError):
    """No replay has shown that the candidate is no worse; ``verdict`` says what is known."""

    code, http_status = "replay_needed", 409

    def __init__(self, what: str, verdict: str, says: str, todo: str) -> None:
        super().__init__(what, verdict, says, todo)
        self.what, self.verdict, self.says, self.todo = what, verdict, says, todo

    def __str__(self) -> str:
        return f"{self.what} may not go live: {self.says}; {self.todo}"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a candidate. ``verdict``: a replay's, or one of the words above."""

    verdict: str
    says: str
    replay_id: UUID | None = None
    # How many replays of it have ended, and when a machine may replay one again that had too few
    # cases to tell; whether one runs.
    replays: int = 0
    again_from: datetime | None = None
    is_running: bool = False

    @property
    def may_go_live(self) -> bool:
        return self.verdict in (*SOUND, OVERRIDDEN, NOT_NEEDED)

    @property
    def is_refused(self) -> bool:
        """Whether a replay has ended and did not show it to be no worse."""
        return not self.may_go_live and self.verdict not in (NONE, RUNNING)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; ``todo`` is empty where nothing is to be done."""
        todo = "" if self.may_go_live or self.verdict == RUNNING else TODO
        return {
            "may_go_live": self.may_go_live, "verdict": self.verdict, "says": self.says,
            "replay_id": self.replay_id and str(self.replay_id), "replays": self.replays,
            "todo": todo,
        }  # fmt: skip


def of(row: Improvement) -> Standing:
    """Whether an improvement's candidate may go live, and why (not)."""
    if row.candidate_version_id is None:
        return Standing(NOT_NEEDED, "it has no version that could be replayed")
    overridden = row.override
    if overridden.get("version") == str(row.candidate_version_id):
        says = f"{overridden['by']} answers for it ({overridden['found']}): {overridden['reason']}"
        return Standing(OVERRIDDEN, says)
    return of_version(row.agent_slug, row.candidate_version_id)


def of_version(agent_slug: str, version_id: UUID) -> Standing:
    """What the latest replay of this version beside production says."""
    present = agents.production_of(agent_slug)
    rows = Replay.objects.filter(
        agent_slug=agent_slug, candidate_id=version_id, baseline_id=present["id"]
    ).order_by("-id")
    over = list(rows.exclude(state=Replay.State.RUNNING))
    running = rows.filter(state=Replay.State.RUNNING).first()
    if over:
        ended, times = over[0], len(over)
        verdict = ended.verdict or Verdict.TOO_FEW
        may_again = verdict == Verdict.TOO_FEW and times < MOST_AGAIN and running is None
        again_from = (ended.ended_at or ended.created_at) + AGAIN if may_again else None
        says = _said(ended) + (f"; {times} replays of it have ended" if times > 1 else "")
        return Standing(verdict, says, ended.pk, times, again_from, running is not None)
    if running is not None:
        return Standing(RUNNING, "its replay has not ended yet", running.pk, is_running=True)
    beside = f"version {present['number']}, which is in production"
    return Standing(NONE, f"it was not replayed beside {beside}")


def check_not_refused(row: Improvement) -> None:
    """Raise ReplayNeeded where the candidate's replay has ended badly, or could not tell."""
    found = of(row)
    if found.is_refused:
        raise ReplayNeeded(row.title, found.verdict, found.says, TODO)


def check(row: Improvement) -> None:
    """Raise ReplayNeeded unless the candidate may go live now."""
    found = of(row)
    if not found.may_go_live:
        raise ReplayNeeded(row.title, found.verdict, found.says, TODO)


def check_by_hand(
    caller: Caller, versions: Mapping[str, set[UUID]], row: Improvement | None, *,
    override: bool = False, reason: str = "",
) -> None:  # fmt: skip
    """What a person puts on live traffic beside the proposals: agent → versions.

    The candidate of an improvement needs its replay, as ever, named (``row``) or not. Any other
    version is the person's own choice, unless its replay has shown it to be worse. ``override``
    with a reason lets both go, on record. Raises ReplayNeeded, and InvalidInput for an override
    without a reason.
    """
    for slug, ids in versions.items():
        for version_id in ids:
            named = row is not None and row.candidate_version_id == version_id
            proposed = row if named else _open(slug, version_id)
            if proposed is not None:
                found = of(proposed)
                is_held = not found.may_go_live
            else:
                found = of_version(slug, version_id)
                is_held = found.verdict == Verdict.WORSE
            if not is_held:
                continue
            if not override:
                raise ReplayNeeded(f"this version of {slug}", found.verdict, found.says, TODO)
            check_override(caller, reason)
            monitoring.audit(
                actor=caller.principal, action="learning.replay.overridden",
                target=f"version:{version_id}", client_id=caller.home_client_id,
                user_id=caller.user_id, subject_id=caller.user_id,
                after={"agent": slug, "found": found.says, "reason": reason},
            )  # fmt: skip


def check_experiment(
    caller: Caller, row: Experiment, *, override: bool = False, reason: str = ""
) -> None:
    """``check_by_hand`` for all arms of a draft that a person starts, but the control's."""
    if row.is_aa:
        return
    versions: dict[str, set[UUID]] = {}
    for arm in row.variants.filter(is_control=False):
        if row.agent_slug:
            versions.setdefault(row.agent_slug, set()).add(arm.version_id)
        for slug, version in arm.agent_versions.items():
            versions.setdefault(slug, set()).add(UUID(str(version)))
    check_by_hand(caller, versions, row.improvement, override=override, reason=reason)


def check_override(caller: Caller, reason: str) -> None:
    """Raise unless a person, with the right to decide, says why no replay is waited for."""
    caller.require("learning:decide", "let a change go live in spite of its replay")
    if caller.user_id is None:
        raise Conflict("the override", "asked by a machine", "a person who answers for it")
    if not reason.strip():
        raise InvalidInput("reason", reason, "why it may go live in spite of its replay")


def overridden(row: Improvement, caller: Caller, reason: str) -> dict[str, Any]:
    """The record of a person who lets this candidate go live; empty where its replay is sound.

    Raises Conflict for an improvement without a candidate.
    """
    if row.candidate_version_id is None:
        raise Conflict(f"improvement {row.title!r}", "without a candidate", "a candidate version")
    found = of(row)
    if found.may_go_live:
        return row.override
    return {
        "by": caller.name, "user_id": str(caller.user_id), "reason": reason[:500],
        "found": found.says, "version": str(row.candidate_version_id),
        "at": timezone.now().isoformat(),
    }  # fmt: skip


def _open(agent_slug: str, version_id: UUID) -> Improvement | None:
    """The open improvement that proposes this version."""
    return Improvement.objects.filter(
        agent_slug=agent_slug, candidate_version_id=version_id, state__in=Improvement.OPEN
    ).first()


def _said(replay: Replay) -> str:
    result = replay.result
    cases = result.get("cases", 0)
    scores = "" if not cases else (
        f": {100 * result['baseline_score']:.0f} % → {100 * result['candidate_score']:.0f} % "
        f"on {plural(cases, 'case')}"
    )  # fmt: skip
    if replay.verdict == Verdict.WORSE:
        return f"its latest replay found it worse{scores}"
    if replay.verdict in SOUND:
        return f"its latest replay found it {replay.verdict.replace('_', ' ')}{scores}"
    if replay.verdict == Verdict.INCONCLUSIVE:
        return f"its latest replay could not tell{scores}"
    least = result.get("independent", 0)
    what = plural(least, "case that does not", "cases that do not")
    told = int(result.get("not_compared", {}).get(learnt_from.NOTE, 0))
    more = f", beside {told} that a version has learnt from" if told else ""
    return f"its latest replay had {what} hang together, of at least {MIN_CASES}{more}"
