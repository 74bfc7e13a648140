"""The one path of a call, numbered. Each step is a room of its own; this page is the order.

Nothing is held while waiting: no transaction spans a model, a tool or a stream.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.utils import timezone

from agents import (
    budgets,
    cache,
    connections,
    easing,
    given,
    judging,
    limiting,
    offering,
    recording,
    resolving,
    reviewing,
    spans,
    spotlight,
    tripping,
    windowing,
)
from agents.budgets import Held
from agents.cache import Flight, Hit
from agents.calls import Answer, Call, Pending
from agents.domain import condensing, messages, prompts, retrieval
from agents.domain.guardrails.findings import Source
from agents.domain.guardrails.redact import redact
from agents.domain.messages import Message
from agents.errors import GuardrailBlocked
from agents.guarding import Guard
from agents.knowledge import limits, quoting
from agents.knowledge.embedding import Payer
from agents.knowledge.quoting import Quotable
from agents.loop import converse
from agents.models.records import CallState
from agents.recording import Story
from agents.reserving import Reserve
from agents.resolving import Choice
from agents.work import Work
from config import logs
from config.access.ids import uuid7
from config.errors import AppError
from scaling.breaker import Look

__all__ = ["Answer", "Call", "invoke"]

logger = logging.getLogger(__name__)
# A call without a deadline of its own ends after this.
CALL_SECONDS = 120.0
# Characters kept of an input that was stopped.
MAX_STOPPED_CHARACTERS = 4_000


def invoke(call: Call) -> Answer:
    """Answer ``call`` and leave its complete record, whatever happens.

    Raises NotFound, AgentPaused, RateLimited, BudgetExceeded, GuardrailBlocked, InvalidInput,
    Unavailable, StepTimeout or BadAnswer; ``retryable`` says whether asking again may help.
    """
    with spans.invoke_agent(call) as span:
        return _invoke(call, span)


def _invoke(call: Call, span: Any) -> Answer:
    started = time.monotonic()
    if call.invocation_id is None:  # a split may assign by it
        call = replace(call, invocation_id=uuid7())
    # 1. Pick the version: the open split decides by the unit, or production answers.
    choice = _pick(call)
    if choice.answered_by is not None:
        return recording.stored_answer(choice.answered_by)
    limiting.check(call, choice)
    story = story_of(call)
    work = Work(messages=[])
    held: Held | None = None
    guard = Guard(
        call.client_id, choice.version.guardrails, choice.version.canary, agent=choice.slug
    )
    if guard.holds_back:  # a word that is out can't be taken back
        call = replace(call, stream=None)
    until = _until(call, started)
    found: Hit | Flight | None = None
    shortened: dict[str, Any] | None = None
    tripped: Look | None = None
    reserve = Reserve(call, choice, story.invocation_id)
    try:
        # 2. Input guardrails: attacks and secrets are stopped, personal data becomes tokens. What
        # is stopped is on record too, with the turns before it: as limited as they are.
        story.limited_to = limits.inherited(call)
        limits.check(call, story.limited_to)
        safe = screened(call, guard, story)
        safe, shortened = windowing.fitted(safe, choice)
        # 3. Render: the prompt with its variables and what it may quote, then the input or chat.
        payer = Payer(call.client_id, tuple(reserve.keys()), work.vectors)
        quotes = quoting.quotable(safe, choice, guard, payer)
        story.limited_to = limits.joined(story.limited_to, quotes.limited_to)
        work.messages = render(safe, choice, story, quotes.text)
        story.question = list(work.messages)
        offered = offering.narrowed(choice.version, safe.inputs, safe.messages)
        if offered is not choice.version:
            choice = reserve.choice = replace(choice, version=offered)
        # 4. Cache: the same question of the same tenant to the same version.
        found = reviewing.released(call, guard, work.messages) or cache.seek(
            safe, choice, work.messages, until=until, payer=payer
        )
        if isinstance(found, Hit):
            _take_hit(call, story, found, guard)
        else:
            spotlight.shine(safe, choice, work)
            # 5. Leave out a version whose own answers keep failing, until a probe succeeds.
            tripped = tripping.check(choice)
            # 6. Reserve the most that it may cost in every budget that applies, or refuse.
            held = reserve.first(work)
            if call.ask is None:  # passages that a judge doubts are left out like the rules'
                doubted = judging.check(
                    guard, work, reserve.served, until=until, afford=reserve.more
                )
                if doubted:
                    quotes = quoting.without(quotes, doubted, choice, guard)
                    work.messages = render(safe, choice, story, quotes.text)
                    spotlight.shine(safe, choice, work)
            # 7. Let a model and the tools work until there is an answer.
            converse(call, choice, work, reserve.served, until=until, afford=reserve.more,
                     guard=guard)  # fmt: skip
            # 8. Output guardrails: what must not leave does not.
            work.let_out(guard.check_answer(work.said, work.finish_reason))
            story.output, story.kept = work.output, work.remembered
            _cite(work, story, quotes)
    except AppError as error:
        reviewing.ask(call, choice, work, story, guard, error)
        take_error(call, choice, work, story, error)
    except Pending as pending:  # the batch has it: what is reserved stays so
        pending.held = reserve.held
        if isinstance(found, Flight):
            cache.land(found, None)
        raise
    except BaseException as error:
        if held is not None:
            budgets.settle(held, cost_usd=work.cost_usd)
            limiting.spend(call, choice, work.usage)
        if isinstance(found, Flight):
            cache.land(found, None)
        raise error
    # 9. Settle and store: the money and the record in one transaction.
    tripping.report(call, choice, work, tripped, story.error)
    story.route = reserve.route
    if work.escalated is not None:
        story.route = {**(story.route or {}), "escalated": work.escalated}
    if shortened is not None:
        story.route = {**(story.route or {}), "history": shortened}
    limiting.spend(call, choice, work.usage)
    story.findings, story.sealed = guard.findings, guard.sealed
    story.duration_seconds = time.monotonic() - started
    spans.invoked(span, choice, story, work.cost_usd)
    return _finish(call, choice, work, story, held, found, guard)


def story_of(call: Call) -> Story:
    """The beginning of a call's record."""
    return Story(call.invocation_id or uuid7(), started_at=call.asked_at or timezone.now())


def _pick(call: Call) -> Choice:
    choice = resolving.resolve(
        call.agent,
        call.units,
        effect_id=call.effect_id or "",
        attempt=call.attempt,
        unit=call.unit or "",
        pinned=call.version_id,
    )
    if call.stand_in is None:
        return choice
    tools = tuple(call.stand_in(tool) for tool in choice.version.tools)
    return replace(choice, version=replace(choice.version, tools=tools))


def screened(call: Call, guard: Guard, story: Story) -> Call:
    """The call as a model may read it. What was said earlier counts as data, not orders."""
    if call.messages is None:
        messages.check_size([messages.user_message(call.inputs)])  # looking at it is dear
        safe = guard.screen(call.inputs, Source.USER, "input")
        story.inputs = safe
        return replace(call, inputs=safe)
    checked = messages.check_messages(call.messages)
    messages.check_size(checked)
    order = messages.order_in(checked)
    said = [
        _screened_message(call, message, guard, Source.USER, "message")
        if index == order
        else _screened_message(call, message, guard, Source.EARLIER, f"message {index}")
        for index, message in enumerate(checked)
    ]
    story.inputs = {"messages": said}
    inputs = guard.screen(call.inputs, Source.USER, "input")
    if said == call.messages and inputs == call.inputs:
        return call  # a copy of all of it costs more than to compare what was said
    return replace(call, messages=said, inputs=inputs)


def _screened_message(
    call: Call, message: Message, guard: Guard, source: Source, where: str
) -> Message:
    """A message with everything screened that is somebody's wording, as its role weighs it."""
    role = message["role"]
    told = {key: value for key, value in message.items() if key != "role"}
    if role in messages.INSTRUCTING:
        source = Source.USER
    elif role == "tool":
        source = Source.TOOL
    elif role == "assistant" and source is Source.EARLIER:
        if not call.is_remembered:
            return {"role": role, **_screened_answer(call, told, guard, where)}
        source = Source.ANSWER
    return {"role": role, **guard.screen(told, source, where)}


def _screened_answer(call: Call, told: Message, guard: Guard, where: str) -> Message:
    """A turn of the agent's in a transcript that the caller gives, who may have written it.

    Its wording alone is held against it, unless the agent did answer just that.
    """
    before = len(guard.findings)
    try:
        return guard.screen(told, Source.EARLIER, where)
    except GuardrailBlocked:
        content = told.get("content")
        if not isinstance(content, str) or not given.is_given(call, content):
            raise
    del guard.findings[before:]
    rest = {key: value for key, value in told.items() if key != "content"}
    answer = guard.screen({"content": content}, Source.ANSWER, where)
    return {**guard.screen(rest, Source.EARLIER, where), **answer}


def _take_hit(call: Call, story: Story, hit: Hit, guard: Guard) -> None:
    guard.learn(hit.sealed)
    story.output = story.kept = hit.output
    story.cached, story.model = hit.tier, hit.model
    story.saved_usd, story.is_simulated = hit.cost_usd, hit.simulated
    if call.stream is not None:
        call.stream(guard.restored(str(hit.output["text"])))


def take_error(call: Call, choice: Choice, work: Work, story: Story, error: AppError) -> None:
    """Put the error into the record; the declared fallback answers where it may.

    Not where a reader has had the beginning of another answer: half of one is no whole one.
    """
    story.error, story.output = error, work.output
    story.state = CallState.FAILED
    if story.inputs is None:  # stopped before it was read: for the reviewer, without its secrets
        told = call.inputs if call.messages is None else call.messages
        story.inputs = {"stopped": redact(json.dumps(told, default=str)[:MAX_STOPPED_CHARACTERS])}
    if isinstance(error, GuardrailBlocked):
        story.state, story.output, story.kept = CallState.BLOCKED, {}, {}
    elif error.retryable and call.may_fall_back and choice.fallback and not work.is_heard:
        story.state, story.output = CallState.FALLBACK, {**work.output, "text": choice.fallback}
        story.kept = {**(work.remembered or {}), "text": choice.fallback}


def render(call: Call, choice: Choice, story: Story, quotes: str) -> list[Message]:
    """What a model is sent: prompt, examples, then the input or the chat."""
    version = choice.version
    story.prompt = prompts.render(version.prompt, version.variables, call.inputs)
    rendered = [messages.system_message(story.prompt + quotes, version.canary), *version.examples]
    if call.messages is not None:
        tightened = settings.TOKEN_OPTIMISATION and version.model.get("compress", True)
        rendered += [_tightened(m) if tightened else m for m in call.messages]
    else:
        rendered.append(messages.user_message(call.inputs))
    messages.check_size(rendered)
    return rendered


def _tightened(message: Message) -> Message:
    """A message of a person with fewer tokens and the same words and figures."""
    text = message.get("content")
    if message["role"] != "user" or not isinstance(text, str):
        return message
    return {**message, "content": condensing.tight(text)}


def _cite(work: Work, story: Story, quotes: Quotable) -> None:
    """Say with the answer which passages it had, and which of them it names."""
    if not quotes.passages:
        return
    citations = retrieval.cited(work.text, quotes.passages)
    story.output = {**story.output, "citations": citations}
    if story.kept is not None:
        story.kept = {**story.kept, "citations": citations}


def _until(call: Call, started: float) -> float:
    limit = started + CALL_SECONDS
    return limit if call.deadline is None else min(limit, call.deadline)


def _finish(
    call: Call,
    choice: Choice,
    work: Work,
    story: Story,
    held: Held | None,
    found: Hit | Flight | None,
    guard: Guard,
) -> Answer:
    kept = _to_keep(work, story) if isinstance(found, Flight) else None
    row = cache.row_of(found, call, choice, kept) if kept and isinstance(found, Flight) else None
    stored = recording.store(call, choice, work, story, held, row)
    easing.note(call, choice, work, story.error, story.route)
    if isinstance(found, Flight):
        cache.land(found, kept)
    connections.release()
    logs.event(logger, f"agents.invocation.{story.state}", invocation=str(story.invocation_id),
               agent=choice.slug, version=choice.version.number,
               code=story.error.code if story.error else "")  # fmt: skip
    if stored != story.invocation_id:
        return recording.stored_answer(stored)
    if story.error is not None and story.state != CallState.FALLBACK:
        raise story.error
    return answer_of(choice, work, story, guard)


def _to_keep(work: Work, story: Story) -> dict[str, Any] | None:
    """What the cache remembers: good answers only, as they may be remembered."""
    if story.state != CallState.SUCCEEDED or story.kept is None:
        return None
    return {
        "output": story.kept,
        "sealed": story.sealed,
        "model": last_model(work),
        "cost_usd": str(work.cost_usd),
        "simulated": all(t.is_simulated for t in work.tries),
    }


def last_model(work: Work) -> str:
    """The model that gave the answer."""
    if work.stood is not None:
        return work.stood.model
    return next((t.model for t in reversed(work.talk) if t.reply), "")


def answer_of(choice: Choice, work: Work, story: Story, guard: Guard) -> Answer:
    """The answer as its caller gets it, personal data restored."""
    usage = work.usage
    return Answer(
        invocation_id=story.invocation_id,
        output=guard.restored(story.output),
        cost_usd=work.cost_usd + work.vectors_usd,
        input_tokens=usage.input + usage.cached,
        output_tokens=usage.output + usage.reasoning,
        version_id=choice.version.id,
        model=story.model or last_model(work),
        simulated=story.is_simulated
        or (bool(work.tries) and all(t.is_simulated for t in work.tries)),
        cached=bool(story.cached),
        is_fallback=story.state == CallState.FALLBACK,
        findings=story.findings,
    )
