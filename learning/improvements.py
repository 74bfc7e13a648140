"""Propose, approve and refuse changes; and bar what was rolled back."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from agents import evidence as recorded
from agents import services as agents
from agents import versions
from config import logs
from config.access.callers import Caller
from config.errors import AppError, Conflict, InvalidInput, NotFound
from learning import screening
from learning.models import Experiment, Improvement, Rollout, Tombstone
from monitoring import services as monitoring

logger = logging.getLogger(__name__)
State = Improvement.State
OPEN = Improvement.OPEN
# So far back do rules look: what was done by hand is not proposed again before.
AFTER_HAND = timedelta(days=28)
# Before → after, for moves that a conditional write makes.
MOVES: dict[str, frozenset[str]] = {
    State.APPROVED: frozenset({State.PROPOSED}),
    State.PROPOSED: frozenset({State.TESTING}),
    State.REJECTED: frozenset({State.PROPOSED, State.APPROVED, State.TESTING}),
    State.TESTING: frozenset({State.APPROVED, State.TESTING}),
    State.ROLLING_OUT: frozenset(
        {State.PROPOSED, State.APPROVED, State.TESTING, State.ROLLING_OUT}
    ),
    State.SHIPPED: frozenset({State.ROLLING_OUT}),
    State.REFUSED: frozenset({State.TESTING}),
    State.ROLLED_BACK: frozenset({State.TESTING, State.ROLLING_OUT, State.SHIPPED}),
}


class Barred(AppError):
    """The change was rolled back or refused before; only a person may lift that."""

    code, http_status = "barred", 409

    def __init__(self, agent: str, reason: str, tombstone_id: UUID) -> None:
        super().__init__(agent, reason, tombstone_id)
        self.agent, self.reason, self.tombstone_id = agent, reason, tombstone_id

    def __str__(self) -> str:
        return (
            f"this change of {self.agent} is barred ({self.reason}); who may decide lifts that in "
            f"the admin, under tombstones ({self.tombstone_id})"
        )


def propose(
    *,
    client_id: UUID,
    agent_slug: str,
    kind: str,
    title: str,
    proposal: dict[str, Any],
    evidence: dict[str, Any],
    expected: dict[str, Any] | None = None,
    impact: float = 0.0,
    confidence: float = 0.0,
    effort: float = 1.0,
    risk: str = "medium",
    base_version_id: UUID | None = None,
    candidate_version_id: UUID | None = None,
    proposed_by: str = "",
) -> tuple[Improvement, bool]:
    """The open proposal of this content, made if there is none; and whether it is new.

    Raises Barred for what has a standing tombstone, InvalidInput for an effort of 0 or less.
    """
    if effort <= 0:
        raise InvalidInput("effort", effort, "above 0")
    digest = digest_of(agent_slug, kind, proposal, candidate_version_id)
    barred = standing_tombstone(agent_slug, digest)
    if barred is not None:
        raise Barred(agent_slug, barred.reason, barred.pk)
    before = _done_before(agent_slug, digest)
    if before is not None and before.decided_at and before.decided_at > timezone.now() - AFTER_HAND:
        return before, False  # what is looked at is still from before it
    if before is not None:
        evidence = {**evidence, "done_before": before.evidence["done"]}
    row, created = Improvement.objects.get_or_create(
        agent_slug=agent_slug,
        digest=digest,
        state__in=OPEN,
        defaults={
            "state": State.PROPOSED, "client_id": client_id, "kind": kind, "title": title[:200],
            "proposal": proposal, "evidence": evidence, "expected": expected or {},
            "impact": impact, "confidence": confidence, "effort": effort,
            "priority": impact * confidence / effort, "risk": risk,
            "base_version_id": base_version_id, "candidate_version_id": candidate_version_id,
            "proposed_by": proposed_by[:80],
        },
    )  # fmt: skip
    return row, created


def digest_of(
    agent_slug: str, kind: str, proposal: dict[str, Any], candidate_version_id: UUID | None
) -> str:
    """The candidate version's own digest, or else that of what is proposed."""
    if candidate_version_id is not None:
        return str(agents.version_values(agent_slug, candidate_version_id)["digest"])
    text = json.dumps([agent_slug, kind, proposal], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def approve(
    *, caller: Caller, improvement_id: UUID, reason: str = "", override: bool = False,
    by_policy: bool = False,
) -> Improvement:  # fmt: skip
    """A person accepts a proposal; its candidate goes live once a replay found it no worse.

    With ``override`` the person answers for it by name, with a reason, whatever a replay says;
    so may one that was approved before. ``by_policy``: no person does, but a trial policy. Raises
    Conflict unless it is proposed, ReplayNeeded where its replay has ended badly or could not tell.
    """
    if override:
        screening.check_override(caller, reason)
    return _decide(
        caller, improvement_id, State.APPROVED, reason, override=override, by_policy=by_policy
    )


@transaction.atomic
def done(*, caller: Caller, improvement_id: UUID, note: str) -> Improvement:
    """A person has made a change that no version says; what follows is measured from now on.

    It is not proposed again for four weeks, which is as far back as the rules look. Raises Conflict
    for one with a candidate, or that is not waiting; InvalidInput without a note.
    """
    if caller.user_id is None:
        raise Conflict("the change", "done by a machine", "a person who did it")
    if not note.strip():
        raise InvalidInput("note", note, "what was done")
    row = Improvement.objects.select_for_update().filter(pk=improvement_id).first()
    if row is None:
        raise NotFound("improvement", improvement_id)
    if row.candidate_version_id is not None or row.kind == Improvement.Kind.KNOWLEDGE:
        raise Conflict(f"improvement {row.title!r}", "with a change of its own", "to be approved")
    if row.state not in (State.PROPOSED, State.APPROVED):
        raise Conflict(f"improvement {row.title!r}", row.state, "proposed or approved")
    at = timezone.now()
    told = {
        "by": caller.name[:80], "user_id": str(caller.user_id), "at": at.isoformat(),
        "note": note[:500],
    }  # fmt: skip
    Improvement.objects.filter(pk=row.pk).update(
        state=State.SHIPPED, decided_by_id=caller.user_id, decided_at=at, updated_at=at,
        decision_reason=f"done by hand: {note}"[:500], evidence={**row.evidence, "done": told},
    )  # fmt: skip
    labels = {"agent": row.agent_slug}
    monitoring.record([monitoring.Measurement({"improvements_deployed": 1.0}, labels)])
    _audit(caller, row, "done_by_hand", {"note": note})
    monitoring.mark(kind="deployment", scope="agent", key=row.agent_slug,
                    text=f"done by hand: {row.title}"[:200],
                    href=f"/admin/learning/improvement/{row.pk}/change/")  # fmt: skip
    row.refresh_from_db()
    return row


@transaction.atomic
def undone(*, caller: Caller, improvement_id: UUID, reason: str) -> Improvement:
    """A person has taken back what was done by hand; it is barred from then on."""
    if not reason.strip():
        raise InvalidInput("reason", reason, "why it was taken back")
    row = find(improvement_id)
    if not is_by_hand(row) or not move(row.pk, State.ROLLED_BACK):
        raise Conflict(f"improvement {row.title!r}", row.state, "done by hand")
    bar(row, reason=f"taken back: {reason}", by=caller.name)
    _audit(caller, row, "rolled_back", {"reason": reason})
    row.refresh_from_db()
    return row


def is_by_hand(row: Improvement) -> bool:
    """Whether a person made the change, outside of any version."""
    return row.state == State.SHIPPED and "done" in row.evidence


def _done_before(agent_slug: str, digest: str) -> Improvement | None:
    rows = Improvement.objects.filter(
        agent_slug=agent_slug, digest=digest, state=State.SHIPPED, evidence__has_key="done"
    )
    return rows.order_by("-decided_at").first()


def _audit(caller: Caller, row: Improvement, what: str, after: dict[str, Any]) -> None:
    monitoring.audit(
        actor=caller.principal, action=f"learning.improvement.{what}",
        target=f"improvement:{row.pk}", client_id=row.client_id, user_id=caller.user_id,
        subject_id=caller.user_id, after=after,
    )  # fmt: skip


def reject(*, caller: Caller, improvement_id: UUID, reason: str) -> Improvement:
    """A person refuses it, with a reason; it is not proposed again."""
    if not reason.strip():
        raise InvalidInput("reason", reason, "why it is refused")
    with transaction.atomic():
        row = _decide(caller, improvement_id, State.REJECTED, reason)
        bar(row, reason=f"rejected: {reason}", by=caller.name)
    return row


def find(improvement_id: UUID) -> Improvement:
    """One improvement; raises NotFound."""
    found = Improvement.objects.filter(pk=improvement_id).first()
    if found is None:
        raise NotFound("improvement", improvement_id)
    return found


def bar(row: Improvement, *, reason: str, by: str) -> Tombstone:
    """Bar what an improvement proposes, until a person lifts it."""
    return _bury(
        client_id=row.client_id, agent_slug=row.agent_slug, digest=row.digest, reason=reason,
        version_id=row.candidate_version_id or row.pk, evidence=row.evidence, by=by,
    )  # fmt: skip


def close(improvement_id: UUID, *, reason: str, states: Sequence[str] = (State.PROPOSED,)) -> bool:
    """Refuse what turned out not to be possible; False unless it is in one of ``states``."""
    return bool(
        Improvement.objects.filter(pk=improvement_id, state__in=states).update(
            state=State.REJECTED, decision_reason=reason[:500], decided_at=Now(), updated_at=Now()
        )
    )


@transaction.atomic
def edit(*, caller: Caller, improvement_id: UUID, prompt: str, reason: str = "") -> Improvement:
    """A person changes the candidate's prompt before deciding: another version takes its place.

    Raises NotFound, InvalidInput for a prompt that could not answer or changes nothing, Barred for
    content that was rolled back, Conflict unless it is proposed with a candidate, or when somebody
    else has just changed it.
    """
    row = find(improvement_id)
    if row.state != State.PROPOSED or row.candidate_version_id is None:
        raise Conflict(f"improvement {row.title!r}", row.state, "proposed, with a candidate")
    present = recorded.version(row.agent_slug, row.candidate_version_id)
    plain = prompt.replace("\r\n", "\n")
    if plain.strip() == present.prompt.strip():
        raise InvalidInput("prompt", "unchanged", "another prompt than the candidate's")
    version, _ = agents.publish(
        agent=recorded.agent(row.agent_slug), note=f"edited in review: {row.title}",
        content=replace(versions.content_of(present), prompt=plain), created_by=caller.name,
    )  # fmt: skip
    check_not_barred(row.agent_slug, version.pk)
    by_content = row.digest == present.digest
    changed = {
        "candidate_version_id": version.pk, "updated_at": Now(),
        "evidence": {**row.evidence, "edited_by": caller.name[:80], "edited_because": reason[:300]},
    }  # fmt: skip
    if by_content:
        changed["digest"] = version.digest
    if Improvement.objects.filter(agent_slug=row.agent_slug, digest=version.digest).exclude(
        pk=row.pk
    ).filter(state__in=OPEN).exists():  # fmt: skip
        raise Conflict(f"this content of {row.agent_slug}", "proposed already", "one proposal")
    won = Improvement.objects.filter(
        pk=row.pk, state=State.PROPOSED, candidate_version_id=present.pk
    ).update(**changed)
    if not won:
        raise Conflict(f"improvement {row.title!r}", "changed meanwhile", "as you read it")
    monitoring.audit(
        actor=caller.principal, action="learning.improvement.edited",
        target=f"improvement:{row.pk}", client_id=row.client_id, user_id=caller.user_id,
        subject_id=caller.user_id,
        before={"version": str(present.pk)}, after={"version": str(version.pk), "reason": reason},
    )  # fmt: skip
    row.refresh_from_db()
    return row


def move(improvement_id: UUID | None, state: str) -> bool:
    """Move an improvement if its present state allows; False if it does not, or there is none."""
    if improvement_id is None:
        return False
    return bool(
        Improvement.objects.filter(pk=improvement_id, state__in=MOVES[state]).update(
            state=state, updated_at=Now()
        )
    )


def bury(
    *,
    client_id: UUID,
    agent_slug: str,
    version_id: UUID,
    reason: str,
    evidence: dict[str, Any],
    by: str,
) -> Tombstone:
    """Bar a version's content, with the evidence."""
    digest = str(agents.version_values(agent_slug, version_id)["digest"])
    return _bury(
        client_id=client_id, agent_slug=agent_slug, digest=digest, version_id=version_id,
        reason=reason, evidence=evidence, by=by,
    )  # fmt: skip


def check_not_barred(agent_slug: str, version_id: UUID) -> None:
    """Raise Barred if this content was rolled back and nobody lifted it."""
    digest = str(agents.version_values(agent_slug, version_id)["digest"])
    found = standing_tombstone(agent_slug, digest)
    if found is not None:
        raise Barred(agent_slug, found.reason, found.pk)


def standing_tombstone(agent_slug: str, digest: str) -> Tombstone | None:
    """The tombstone that bars this content; None if none stands."""
    return Tombstone.objects.filter(agent_slug=agent_slug, digest=digest, lifted_at=None).first()


def lift(*, caller: Caller, tombstone_id: UUID, reason: str = "") -> bool:
    """A person allows another try; False if it was lifted before."""
    if caller.user_id is None:
        raise Conflict("tombstone", "standing", "a person to lift it")
    lifted = Tombstone.objects.filter(pk=tombstone_id, lifted_at=None).update(
        lifted_at=Now(), lifted_by_id=caller.user_id
    )
    if lifted:
        monitoring.audit(actor=caller.principal, action="learning.tombstone.lifted",
                         target=f"tombstone:{tombstone_id}", user_id=caller.user_id,
                         after={"reason": reason})  # fmt: skip
    return bool(lifted)


def _bury(
    *, client_id: UUID, agent_slug: str, digest: str, version_id: UUID, reason: str,
    evidence: dict[str, Any], by: str,
) -> Tombstone:  # fmt: skip
    row, _ = Tombstone.objects.get_or_create(
        agent_slug=agent_slug,
        digest=digest,
        lifted_at=None,
        defaults={
            "client_id": client_id, "version_id": version_id, "reason": reason[:500],
            "evidence": evidence, "raised_by": by[:80],
        },
    )  # fmt: skip
    return row


def is_on_trial(row: Improvement) -> bool:
    """Whether somebody meets it now: its experiment or rollout is open."""
    tried = Experiment.objects.filter(improvement_id=row.pk, state__in=["running", "paused"])
    return tried.exists() or Rollout.objects.filter(
        improvement_id=row.pk, state__in=["running", "paused"]
    ).exists()  # fmt: skip


@transaction.atomic
def _decide(
    caller: Caller, improvement_id: UUID, state: str, reason: str, *, override: bool = False,
    by_policy: bool = False,
) -> Improvement:  # fmt: skip
    before = Improvement.objects.select_for_update().filter(pk=improvement_id).first()
    if before is None:
        raise NotFound("improvement", improvement_id)
    if before.state == State.TESTING and is_on_trial(before):
        raise Conflict(f"improvement {before.title!r}", "on trial", "its experiment stopped first")
    allowed = MOVES[state] | ({State.APPROVED} if override else set())
    if before.state not in allowed:
        raise Conflict(f"improvement {before.title!r}", before.state, " or ".join(sorted(allowed)))
    changes: dict[str, Any] = {}
    if override:
        changes["override"] = screening.overridden(before, caller, reason)
    elif state == State.APPROVED:
        screening.check_not_refused(before)
    Improvement.objects.filter(pk=improvement_id).update(
        state=state, decided_by_id=caller.user_id, decided_at=Now(),
        decision_reason=reason[:500], updated_at=Now(), is_by_policy=by_policy, **changes,
    )  # fmt: skip
    row = find(improvement_id)
    _audit(caller, row, state, {"reason": reason, **changes})
    logs.event(logger, "learning.improvement.decided", improvement=str(row.pk), state=state)
    return row
