"""The record of a call: one statement at its end, with the money."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from agents import attacks, budgets, guarding, measuring, tool_calls
from agents.budgets import Held
from agents.calls import Answer, Call
from agents.domain.guardrails.redact import redact
from agents.domain.messages import Message
from agents.endpoints import Try
from agents.errors import EndpointTripped, GuardrailBlocked
from agents.knowledge import limits
from agents.models import CachedAnswer, EffectAnswer, Invocation, ModelCall, ToolCall
from agents.models.records import CallState
from agents.resolving import Choice
from agents.work import Work
from config import statements, tracing
from config.errors import AppError, NotFound
from monitoring import writing

# Rows of one INSERT of a batch.
ROWS_AT_ONCE = 1_000
_INVOCATION = """
invocation AS (
    INSERT INTO agents_invocation
    SELECT * FROM jsonb_populate_recordset(NULL::agents_invocation, %(invocations)s::jsonb)
)"""
# All rows of a call in one statement, with the money; a kind that it has none of is an empty list.
_STORE = f"""
WITH {budgets.SETTLES}, {_INVOCATION}, model_calls AS (
    INSERT INTO agents_modelcall
    SELECT * FROM jsonb_populate_recordset(NULL::agents_modelcall, %(models)s::jsonb)
), tool_calls AS (
    INSERT INTO agents_toolcall
    SELECT * FROM jsonb_populate_recordset(NULL::agents_toolcall, %(tools)s::jsonb)
), cached AS (
    INSERT INTO agents_cachedanswer (key, client_id, agent_id, version_id, answer, cost_usd, hits,
        expires_at)
    SELECT key, client_id, agent_id, version_id, answer, cost_usd, hits, expires_at
    FROM jsonb_populate_recordset(NULL::agents_cachedanswer, %(cached)s::jsonb)
    ON CONFLICT DO NOTHING
), {writing.WRITES}
{budgets.SETTLED}
"""  # noqa: S608  (constants)
# The same of a call that asked nobody, as one that the cache answers: what the other kinds cost
# though there are none of them is a third of it.
_STORE_ALONE = f"WITH {_INVOCATION}, {writing.WRITES} SELECT"


@dataclass(slots=True)
class Story:
    """Everything the record of one call says that is not in the call, choice or work."""

    invocation_id: UUID
    started_at: datetime
    prompt: str = ""
    inputs: Any = None
    state: CallState = CallState.SUCCEEDED
    error: AppError | None = None
    duration_seconds: float = 0.0
    cached: str = ""
    saved_usd: Decimal = Decimal(0)
    findings: list[dict[str, Any]] = field(default_factory=list)
    output: dict[str, Any] = field(default_factory=dict)
    kept: dict[str, Any] | None = None
    sealed: str = ""
    # What its reader must hold, for the documents that it had before it.
    limited_to: list[str] | None = None
    model: str = ""
    is_simulated: bool = False
    # Where the call was sent, and why, if not where its version says.
    route: dict[str, Any] | None = None
    # The messages before any talk with tools, and before a judge took passages out of them.
    question: list[Message] = field(default_factory=list)


def store(
    call: Call,
    choice: Choice,
    work: Work,
    story: Story,
    held: Held | None,
    kept: CachedAnswer | None = None,
) -> UUID:
    """Settle the hold and write the invocation with its calls; returns its id.

    When a twin of this attempt has stored its answer first, nothing but the money is written,
    and the twin's id is returned.
    """
    row = _invocation(call, choice, work, story)
    limits.keep(call.conversation_id, story.limited_to)
    attacked = attacks.is_seen(call, row)
    # One statement needs no transaction around it.
    with transaction.atomic() if call.effect_id or attacked else nullcontext():
        twin = _claim_effect(call, story)
        if twin is not None:
            if held is not None:
                budgets.settle(held, cost_usd=work.cost_usd)
            return twin
        told = {
            "invocations": statements.rows_of([row]),
            **measuring.noted(call, row, work, choice.version),
        }
        if held is None and kept is None and not (work.tries or work.ran or work.vectors):
            statements.execute(_STORE_ALONE, told)
        else:
            told |= {
                **budgets.settling(held, work.cost_usd),
                "models": statements.rows_of(_model_calls(call, work, story)),
                "tools": statements.rows_of(_tool_calls(call, work, story)),
                "cached": statements.rows_of([kept] if kept is not None else []),
            }
            budgets.tell(statements.execute(_STORE, told), work.cost_usd)
        if attacked:
            attacks.write_down(call, row)
    return story.invocation_id


def store_all(
    done: Sequence[tuple[Call, Choice, Work, Story]], held: Sequence[tuple[Held, Decimal]]
) -> None:
    """Settle the holds of a batch with what it cost and write its invocations, all or none."""
    rows = [(call, _invocation(call, choice, work, story), work, story)
            for call, choice, work, story in done]  # fmt: skip
    with transaction.atomic():
        for hold, cost_usd in held:
            budgets.settle(hold, cost_usd=cost_usd)
        Invocation.objects.bulk_create([row for _, row, _, _ in rows], batch_size=ROWS_AT_ONCE)
        calls = [one for call, _, work, story in rows for one in _model_calls(call, work, story)]
        ModelCall.objects.bulk_create(calls, batch_size=ROWS_AT_ONCE)
        measuring.measure_all([(call, row, work) for call, row, work, _ in rows])


def stored_answer(invocation_id: UUID) -> Answer:
    """The answer that was given before; raises NotFound once retention has dropped it."""
    row = Invocation.objects.filter(pk=invocation_id).first()
    if row is None:
        raise NotFound("invocation", invocation_id)
    return Answer(
        invocation_id=row.pk,
        output=guarding.restored(row.output, row.sealed),
        cost_usd=row.cost_usd,
        input_tokens=row.input_tokens + row.cached_tokens,
        output_tokens=row.output_tokens + row.reasoning_tokens,
        version_id=row.version_id,
        model=row.model,
        simulated=row.is_simulated,
        cached=bool(row.cached),
        is_fallback=row.state == CallState.FALLBACK,
        findings=row.findings,
    )


def _claim_effect(call: Call, story: Story) -> UUID | None:
    """Mark this attempt of the effect as answered; the other's id if it was already."""
    good = story.state in (CallState.SUCCEEDED, CallState.FALLBACK)
    if not call.effect_id or not good or story.kept is None:
        return None
    identity = {"effect_id": call.effect_id[:200], "attempt": call.attempt}
    try:
        with transaction.atomic():
            EffectAnswer.objects.create(
                client_id=call.client_id, invocation_id=story.invocation_id, **identity
            )
    except IntegrityError:
        return EffectAnswer.objects.get(**identity).invocation_id
    return None


def _kept_from(error: AppError | None) -> str:
    """The endpoint that a call was kept from by its breaker: it is that which gives no answer."""
    return error.endpoint if isinstance(error, EndpointTripped) else ""


def _invocation(call: Call, choice: Choice, work: Work, story: Story) -> Invocation:
    usage, last = work.usage, work.answered
    return Invocation(
        id=story.invocation_id,
        client_id=call.client_id,
        agent_id=choice.agent_id,
        agent_slug=choice.slug,
        version_id=choice.version.id,
        version_number=choice.version.number,
        split_id=choice.split_id,
        split_epoch=choice.split_epoch,
        unit=choice.unit[:80],
        bucket=choice.bucket,
        user_id=call.user_id,
        key_id=call.key_id,
        run_id=call.run_id,
        about_run_id=call.about_run_id,
        step_id=call.step_id,
        conversation_id=call.conversation_id,
        effect_id=(call.effect_id or "")[:200],
        attempt=call.attempt,
        state=story.state,
        error_code=story.error.code if story.error else "",
        error=story.error.as_dict() if story.error else None,
        inputs=tool_calls.small(story.inputs),
        prompt=story.prompt,
        output=story.kept if story.kept is not None else {"text": work.text},
        sealed=story.sealed,
        limited_to=story.limited_to,
        findings=story.findings,
        model=story.model or (last.model if last else ""),
        endpoint=last.endpoint if last else _kept_from(story.error),
        price_version=last.price_version if last else "",
        route=story.route,
        is_simulated=story.is_simulated
        or (bool(work.tries) and all(t.is_simulated for t in work.tries)),
        is_demo=call.is_demo,
        cached=story.cached,
        cost_usd=work.cost_usd + work.vectors_usd,
        saved_usd=story.saved_usd,
        input_tokens=usage.input,
        cached_tokens=usage.cached,
        output_tokens=usage.output,
        reasoning_tokens=usage.reasoning,
        model_calls=len(work.tries) + len(work.vectors),
        tool_calls=len(work.ran),
        started_at=story.started_at,
        duration_seconds=story.duration_seconds,
        first_token_seconds=_first_token(work.talk),
        waited_seconds=work.waited_seconds,
        trace_id=tracing.trace_id(),
    )


def _model_calls(call: Call, work: Work, story: Story) -> list[ModelCall]:
    """A row a try. A later request repeats the earlier messages, so only what is new is kept."""
    rows, told = [], 0
    for number, one in enumerate([*work.tries, *work.vectors], start=1):
        reply = one.reply
        rows.append(
            ModelCall(
                client_id=call.client_id,
                invocation_id=story.invocation_id,
                number=number,
                endpoint=one.endpoint,
                model=one.model,
                state=CallState.SUCCEEDED if reply else CallState.FAILED,
                error_code=one.error_code,
                http_status=one.http_status,
                messages=tool_calls.small(one.messages[0 if one.is_aside else told :]),
                answer=_said(one, work, story),
                finish_reason=reply.finish_reason[:24] if reply else "",
                input_tokens=one.usage.input,
                cached_tokens=one.usage.cached,
                output_tokens=one.usage.output,
                reasoning_tokens=one.usage.reasoning,
                cost_usd=one.cost_usd,
                price_version=one.price_version,
                started_at=one.started_at,
                duration_seconds=one.duration_seconds,
                first_token_seconds=reply.first_token_seconds if reply else None,
            )
        )
        told = told if one.is_aside else len(one.messages)
    return rows


def _said(one: Try, work: Work, story: Story) -> dict[str, Any]:
    """What a try brought, as it may be remembered: the record holds no more than the answer does.

    Of an answer that a guardrail stopped nothing is kept but which one did; of a masked one the
    mask, and what was said on the way to it or to an error is redacted.
    """
    reply = one.reply
    if reply is None:
        return {"error": one.error}
    if any(one is asked for asked in work.vectors):
        return {"vectors": len(one.messages)}
    told = {"text": reply.text, "tool_calls": list(reply.tool_calls)}
    error, last = story.error, work.stood or work.tries[-1]
    if isinstance(error, GuardrailBlocked) and error.direction == "answer":
        return {"text": "", "tool_calls": [], "withheld": error.guardrail}
    if error is None and one is last:
        return {**told, "text": work.text}
    masked = error is not None or last.reply is None or last.reply.text != work.text
    return {**told, "text": redact(reply.text)} if masked and reply.text else told


def _tool_calls(call: Call, work: Work, story: Story) -> list[ToolCall]:
    return [
        tool_calls.as_row(
            ran,
            client_id=call.client_id,
            invocation_id=story.invocation_id,
            run_id=call.run_id,
            about_run_id=call.about_run_id,
            step_id=call.step_id,
            user_id=call.user_id,
            number=number,
        )
        for number, ran in enumerate(work.ran, start=1)
    ]


def _first_token(tries: list[Try]) -> float | None:
    """Seconds from the start of the call's last reply to its first token."""
    return next((t.reply.first_token_seconds for t in reversed(tries) if t.reply), None)
