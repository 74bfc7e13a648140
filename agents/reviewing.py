"""A call that a guardrail holds back for a person: what is kept of it, and how it goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence

from agents import cache, reviews
from agents.cache import Hit
from agents.calls import Call
from agents.domain.messages import Message
from agents.errors import ReviewRequired
from agents.guarding import Guard
from agents.recording import Story
from agents.resolving import Choice
from agents.reviews import Held
from agents.work import Work
from config.errors import AppError

ANSWER = "answer"


def released(call: Call, guard: Guard, messages: Sequence[Message]) -> Hit | None:
    """The answer to just this, if a person has let it pass."""
    if not guard.asks:
        return None
    answer = reviews.released(guard.client_id, _question(guard, messages), call.step_id)
    return None if answer is None else cache.let_pass(answer)


def ask(
    call: Call, choice: Choice, work: Work, story: Story, guard: Guard, error: AppError
) -> None:
    """Put what is held back before a person; ``error`` then names the review.

    A replay bothers nobody: its error names none.
    """
    if not isinstance(error, ReviewRequired) or call.stand_in is not None:
        return
    identity, text = error.held
    content: dict[str, object] = {"text": text}
    question = ""
    if error.direction == ANSWER:
        question = _question(guard, story.question)
        last = next((t for t in reversed(work.talk) if t.reply), None)
        content["answer"] = {
            "output": work.remembered or {"text": text}, "model": last.model if last else "",
            "cost_usd": str(work.cost_usd), "sealed": guard.sealed,
            "simulated": all(t.is_simulated for t in work.tries),
        }  # fmt: skip
    review = reviews.ask(
        Held(
            client_id=call.client_id, agent=choice.slug, version_id=choice.version.id,
            invocation_id=story.invocation_id, user_id=call.user_id, key_id=call.key_id,
            conversation_id=call.conversation_id, run_id=call.run_id,
            about_run_id=call.about_run_id, step_id=call.step_id, guardrail=error.guardrail,
            place=error.direction, reasons=list(error.reasons), identity=identity,
            question=question, content=content,
        )
    )  # fmt: skip
    error.review = str(review.pk)


def _question(guard: Guard, messages: Sequence[Message]) -> str:
    return guard.identity(json.dumps(messages, sort_keys=True, default=str))
