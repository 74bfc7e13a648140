"""The one path of a call, numbered. Each step is a room of its own; this page is the order.

Nothing is held while waiting: no transaction spans a model, a tool or a stream.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from django.utils import timezone

from agents import connections, limiting, recording, resolving
from agents.budgets import Held
from agents.calls import Answer, Call
from agents.domain import messages, prompts
from agents.domain.messages import Message
from agents.loop import Work, converse
from agents.models.records import CallState
from agents.recording import Story
from agents.reserving import Reserve
from agents.resolving import Choice
from config import logs
from config.access.ids import uuid7
from config.errors import AppError, InvalidInput

__all__ = ["Answer", "Call", "invoke"]

logger = logging.getLogger(__name__)
# A call without a deadline of its own ends after this.
CALL_SECONDS = 120.0
# Characters of all that a caller sends; larger material belongs into an artifact.
MAX_INPUT_CHARACTERS = 400_000


def invoke(call: Call) -> Answer:
    """Answer ``call`` and leave its complete record, whatever happens.

    Raises NotFound, AgentPaused, RateLimited, BudgetExceeded, GuardrailBlocked, InvalidInput,
    Unavailable, StepTimeout or BadAnswer; ``retryable`` says whether asking again may help.
    """
    started = time.monotonic()
    # 1. Pick the version: the open split decides by the unit, or production answers.
    choice = _pick(call)
    if choice.answered_by is not None:
        return recording.stored_answer(choice.answered_by)
    story = Story(invocation_id=uuid7(), started_at=timezone.now())
    work = Work(messages=[])
    held: Held | None = None
    try:
        limiting.check(call, choice)
        # 2. Render: the prompt with its declared variables, then the input or the chat.
        story.inputs = call.messages if call.messages is not None else call.inputs
        work.messages = _render(call, choice, story)
        # 3. Reserve the most that the call may cost, in every budget that applies, or refuse.
        reserve = Reserve(call, choice, story.invocation_id)
        held = reserve.first(work)
        # 4. Let the model and its tools work until there is an answer.
        until = _until(call, started)
        converse(call, choice, work, reserve.served, until=until, afford=reserve.more,
                 screen=lambda name, text: text)  # fmt: skip
        held = reserve.held
        _check_tools(call, work)
        story.output = work.output
    except AppError as error:
        story.error = error
        story.state = CallState.FAILED
        if error.retryable and call.may_fall_back and choice.fallback:
            story.state = CallState.FALLBACK
            story.output = {**work.output, "text": choice.fallback}
    # 5. Settle and store: the money and the record in one transaction.
    story.duration_seconds = time.monotonic() - started
    return _finish(call, choice, work, story, held)


def _pick(call: Call) -> Choice:
    units = {
        "run": str(call.run_id or ""),
        "user": str(call.user_id or ""),
        "client": str(call.client_id),
        "conversation": str(call.conversation_id or ""),
    }
    return resolving.resolve(
        call.agent,
        units,
        effect_id=call.effect_id or "",
        attempt=call.attempt,
        unit=call.unit or "",
    )


def _render(call: Call, choice: Choice, story: Story) -> list[Message]:
    version = choice.version
    story.prompt = prompts.render(version.prompt, version.variables, call.inputs)
    rendered = [messages.system_message(story.prompt, version.canary), *version.examples]
    if call.messages is not None:
        rendered += messages.check_messages(call.messages)
    else:
        rendered.append(messages.user_message(call.inputs))
    size = sum(len(messages.text_of(m)) for m in rendered)
    if size > MAX_INPUT_CHARACTERS:
        limit = f"at most {MAX_INPUT_CHARACTERS} characters in all; put more into an artifact"
        raise InvalidInput("inputs", f"{size} characters", limit)
    return rendered


def _until(call: Call, started: float) -> float:
    limit = started + CALL_SECONDS
    return limit if call.deadline is None else min(limit, call.deadline)


def _check_tools(call: Call, work: Work) -> None:
    """An answer to data whose every tool failed would be made up; say the tool's error instead."""
    failed = [ran.error for ran in work.ran if ran.error is not None]
    if call.messages is None and failed and len(failed) == len(work.ran):
        raise failed[0]


def _finish(call: Call, choice: Choice, work: Work, story: Story, held: Held | None) -> Answer:
    stored = recording.store(call, choice, work, story, held)
    connections.release()
    logs.event(logger, f"agents.invocation.{story.state}", invocation=str(story.invocation_id),
               agent=choice.slug, version=choice.version.number,
               code=story.error.code if story.error else "")  # fmt: skip
    if stored != story.invocation_id:
        return recording.stored_answer(stored)
    if story.error is not None and story.state != CallState.FALLBACK:
        raise story.error
    return _answer(choice, work, story)


def _answer(choice: Choice, work: Work, story: Story) -> Answer:
    usage = work.usage
    output: dict[str, Any] = story.output
    return Answer(
        invocation_id=story.invocation_id,
        output=output,
        cost_usd=work.cost_usd,
        input_tokens=usage.input + usage.cached,
        output_tokens=usage.output + usage.reasoning,
        version_id=choice.version.id,
        model=story.model or next((t.model for t in reversed(work.tries) if t.reply), ""),
        simulated=bool(work.tries) and all(t.is_simulated for t in work.tries),
        cached=bool(story.cached),
        is_fallback=story.state == CallState.FALLBACK,
        findings=story.findings,
    )
