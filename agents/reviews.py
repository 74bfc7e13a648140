"""Texts that wait for a person: asked by a guardrail, answered through HTTP, the admin or a run."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from agents.endpoints.secrets import open_secret, seal_secret
from agents.models import Review
from config import logs
from config.access.callers import Caller
from config.access.hiding import of_visible_runs
from config.errors import Conflict, Forbidden, InvalidInput, NotFound
from monitoring import services as monitoring

logger = logging.getLogger(__name__)
SCOPE = "approvals:decide"
# So long an approved text may pass again; then it is asked anew.
VALID = timedelta(days=7)
# Approved answers to one question that are looked through for one that several steps wait for.
SHARED_AMONG = 20
MAX_REASON = 2_000


@dataclass(frozen=True, slots=True)
class Held:
    """What is held back, by whom it was asked, and the answer that it would have been."""

    client_id: UUID
    agent: str
    version_id: UUID
    invocation_id: UUID
    user_id: UUID | None
    key_id: UUID | None
    conversation_id: UUID | None
    run_id: UUID | None
    about_run_id: UUID | None
    step_id: UUID | None
    guardrail: str
    place: str
    reasons: list[str]
    identity: str
    question: str
    content: Mapping[str, Any]


def is_approved(client_id: UUID, identity: str) -> bool:
    """Whether a person has let this text pass, lately enough."""
    rows = Review.objects.filter(client_id=client_id, identity=identity)
    return rows.filter(state=Review.State.APPROVED, expires_at__gt=timezone.now()).exists()


def released(client_id: UUID, question: str, step_id: UUID | None) -> dict[str, Any] | None:
    """The answer to ``question`` that a person has let pass, as the cache keeps answers.

    What a step of a run was answered is for just that step, and those that waited for the same
    review: its next turn wants another answer.
    """
    rows = (
        Review.objects.filter(client_id=client_id, question=question, state=Review.State.APPROVED)
        .filter(expires_at__gt=timezone.now())
        .order_by("-id")
    )
    found: dict[str, Any] | None = None
    if (row := rows.filter(Q(step_id=None) | Q(step_id=step_id)).first()) is not None:
        found = _content(row).get("answer")
        return found
    for shared in map(_content, rows[:SHARED_AMONG]):
        if _joined(step_id) in shared.get("joined", ()):
            found = shared.get("answer")
            return found
    return None


def ask(held: Held) -> Review:
    """The review that waits for this text, made if there is none."""
    fields = {
        "client_id": held.client_id, "agent_slug": held.agent, "version_id": held.version_id,
        "invocation_id": held.invocation_id, "user_id": held.user_id, "key_id": held.key_id,
        "conversation_id": held.conversation_id, "run_id": held.run_id,
        "about_run_id": held.about_run_id, "step_id": held.step_id,
        "guardrail": held.guardrail, "place": held.place[:200], "reasons": held.reasons,
        "identity": held.identity, "question": held.question,
        "held": seal_secret(json.dumps(held.content, default=str)).decode(),
    }  # fmt: skip
    try:
        with transaction.atomic():
            made = Review.objects.create(**fields)
    except IntegrityError:
        return _join(held)
    logs.event(logger, "agents.review.asked", review=str(made.pk), agent=held.agent,
               guardrail=held.guardrail)  # fmt: skip
    return made


@transaction.atomic
def _join(held: Held) -> Review:
    """The review that waits for this text already; its answer is for this step, too."""
    review = Review.objects.select_for_update().get(
        client_id=held.client_id, identity=held.identity, state=Review.State.WAITING
    )
    content = _content(review)
    joined = content.get("joined", [])
    if held.step_id != review.step_id and _joined(held.step_id) not in joined:
        told = {**content, "joined": [*joined, _joined(held.step_id)]}
        review.held = seal_secret(json.dumps(told)).decode()
        review.save(update_fields=["held"])
    return review


def _joined(step_id: UUID | None) -> str:
    """How a review names who waits for it besides who asked; a call outside of runs has no name."""
    return str(step_id or "")


def _content(review: Review) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(open_secret(review.held.encode()))
    return content


def text_of(review: Review) -> str:
    """The text that is held back."""
    return str(_content(review)["text"])


def find(caller: Caller, review_id: UUID) -> Review:
    """A review that the caller may see; raises Forbidden or NotFound."""
    caller.require(SCOPE, "look at what a guardrail holds back")
    row = of_visible_runs(caller, Review.objects.filter(pk=review_id)).first()
    if row is None:
        raise NotFound("review", review_id)
    found: Review = row
    return found


def decide(caller: Caller, review_id: UUID, *, approve: bool, reason: str = "") -> Review:
    """Let a text pass, or not. Raises Forbidden, NotFound, InvalidInput and Conflict.

    Who asked may not answer. What a run waits for is answered by the run's approval.
    """
    review = find(caller, review_id)
    if review.user_id is not None and review.user_id == caller.user_id:
        raise Forbidden("answer this review", "somebody else than the person who asked")
    if review.step_id is not None:
        raise Conflict("this review", "part of a run", "an answer to the approval of that run")
    if not approve and not reason.strip():
        raise InvalidInput("reason", reason, "say why it is rejected")
    return settle(review.pk, approve=approve, reason=reason, by=caller)


def part(step_ids: Sequence[UUID]) -> None:
    """Part what waits from steps of a run that asked: no approval is left to answer it by."""
    Review.objects.filter(step_id__in=step_ids, state=Review.State.WAITING).update(step_id=None)


@transaction.atomic
def settle(review_id: UUID, *, approve: bool, reason: str, by: Caller) -> Review:
    """Write the answer down; raises Conflict if there is one already."""
    now = timezone.now()
    state = Review.State.APPROVED if approve else Review.State.REJECTED
    won = Review.objects.filter(pk=review_id, state=Review.State.WAITING).update(
        state=state, decided_by=by.user_id, decided_at=now, reason=reason[:MAX_REASON],
        expires_at=now + VALID if approve else None,
    )  # fmt: skip
    review = Review.objects.get(pk=review_id)
    if not won:
        raise Conflict("this review", review.state, "a review that still waits")
    monitoring.audit(
        actor=by.principal, action=f"agents.review.{state}", target=f"review:{review.pk}",
        client_id=review.client_id, user_id=by.user_id,
    )  # fmt: skip
    logs.event(logger, f"agents.review.{state}", review=str(review.pk), agent=review.agent_slug)
    return review


def forget(*, before: datetime) -> int:
    """Delete what is older than the calls that it came from; returns how many."""
    return Review.objects.filter(created_at__lt=before).delete()[0]
