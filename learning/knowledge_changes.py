"""Documents changed because an answer that quoted them was corrected: proposed, made, taken back.

A change is a new version of the document under its title; the one before stays as history.
"""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from django.db.models.functions import Now

from agents import evidence
from agents.knowledge import index
from agents.knowledge.index import Given, Quoted
from config import logs
from config.access.callers import Caller
from config.errors import AppError, Conflict
from learning import improvements
from learning.domain import corrections
from learning.domain.corrections import Change
from learning.domain.prioritise import BAD_CALL_USD, FORMULA, Priority, confidence_of, monthly
from learning.models import Example, Improvement
from monitoring import services as monitoring

logger = logging.getLogger(__name__)
State = Improvement.State
# What one correction is thought to save: one wrong answer in so many days.
DAYS = 28.0


def propose(example: Example) -> Improvement | None:
    """A change of the document that a corrected answer quoted; None where none can be read off."""
    if example.source != Example.Source.CORRECTION or example.invocation_id is None:
        return None
    quoted = index.quoted(evidence.cited_passages(example.invocation_id))
    found = _change_for(example, quoted)
    if found is None:
        return None
    one, change = found
    priority = Priority(monthly(BAD_CALL_USD, days=DAYS), confidence_of(5), 0.25)
    what = "Correct" if change.before else "Add a correction to"
    shown = {"title": one.title, "document_id": str(one.document_id),
             "before": change.before, "after": change.after}  # fmt: skip
    try:
        row, _ = improvements.propose(
            client_id=one.client_id, agent_slug=example.agent_slug, kind="knowledge",
            title=f"{what} {one.title}",
            proposal={"document": one.title, "before": change.before, "after": change.after},
            evidence={"example": str(example.pk), "invocations": [str(example.invocation_id)],
                      "reason": example.reason, "wrong": example.wrong_answer[:500],
                      "right": example.answer[:500], "change": shown,
                      "shared": one.is_shared, "formula": FORMULA,
                      "priority": priority.shown()},
            expected={"metric": "rating", "direction": "up"}, impact=priority.impact_usd,
            confidence=priority.confidence, effort=priority.effort_days,
            risk="high" if one.is_shared else "medium", proposed_by="an approved correction",
        )  # fmt: skip
    except AppError as error:  # refused or taken back before
        logs.event(logger, "learning.knowledge.refused", example=str(example.pk), code=error.code)
        return None
    return row


def _change_for(example: Example, quoted: list[Quoted]) -> tuple[Quoted, Change] | None:
    for one in quoted:
        change = corrections.changed_sentence(
            one.text, wrong=example.wrong_answer, right=example.answer, question=example.question
        )
        if change is not None:
            return one, change
    cited = [one for one in quoted if one.is_cited]
    if not cited or not example.reason.strip():
        return None
    return cited[0], corrections.note(example.question, example.answer, example.reason)


def sweep() -> int:
    """Make approved changes that are not made yet; how many. Finds what a dead process left."""
    rows = Improvement.objects.filter(kind="knowledge", state=State.APPROVED)
    return sum(make(row) for row in rows)


def make(row: Improvement) -> bool:
    """Store the document with the approved change; False if it no longer fits, or was made."""
    change = _change_of(row)
    document = index.current(row.proposal["document"], row.client_id)
    text = None if document is None else _text_of(document)
    made = None if text is None else corrections.applied(text, change)
    if document is None or text is None or (made is None and change.after not in text):
        improvements.close(row.pk, reason="the document has changed meanwhile",
                           states=(State.APPROVED,))  # fmt: skip
        return False
    after = document
    if made is not None:
        after, _ = index.add(_given(document, made), client_id=row.client_id,
                             created_by=f"improvement {row.pk}")  # fmt: skip
    shown = {**row.evidence, "document_before": str(document.pk), "document_after": str(after.pk)}
    if not improvements.move(row.pk, State.ROLLING_OUT):
        return False
    Improvement.objects.filter(pk=row.pk).update(evidence=shown, updated_at=Now())
    return improvements.move(row.pk, State.SHIPPED)


def take_back(*, caller: Caller, improvement_id: UUID, reason: str) -> Improvement:
    """Store the document without the change again; raises NotFound, or Conflict.

    A change that others have written over since can't be taken back by itself.
    """
    caller.require("learning:decide", "take a change of knowledge back")
    row = improvements.find(improvement_id)
    if row.kind != Improvement.Kind.KNOWLEDGE or row.state != State.SHIPPED:
        raise Conflict(f"improvement {row.title!r}", f"{row.kind}, {row.state}",
                       "a change of knowledge that was made")  # fmt: skip
    change = _change_of(row)
    document = index.current(row.proposal["document"], row.client_id)
    text = None if document is None else corrections.reverted(_text_of(document), change)
    if document is None or text is None:
        raise Conflict(f"document {row.proposal['document']!r}", "changed since",
                       "the change as it was made")  # fmt: skip
    index.add(_given(document, text), client_id=row.client_id, created_by=caller.name)
    if improvements.move(row.pk, State.ROLLED_BACK):
        improvements.bar(row, reason=f"taken back: {reason}", by=caller.name)
        monitoring.audit(
            actor=caller.principal, action="learning.knowledge.taken_back",
            target=f"improvement:{row.pk}", client_id=row.client_id, user_id=caller.user_id,
            after={"reason": reason},
        )  # fmt: skip
    row.refresh_from_db()
    return row


def _change_of(row: Improvement) -> Change:
    return Change(str(row.proposal["before"]), str(row.proposal["after"]))


def _text_of(document: Any) -> str:
    return corrections.as_markdown(
        [(block.heading, block.text) for block in index.blocks_of(document)]
    )


def _given(document: Any, text: str) -> Given:
    return Given(
        title=document.title, content=text.encode(), media_type="text/markdown",
        source=document.source, as_of=document.as_of, expires_at=document.expires_at,
        is_shared=document.is_shared,
    )  # fmt: skip
