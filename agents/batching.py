"""Answer many calls that can wait: the steps of ``invoke``, each done for all of them at once.

For work in bulk: simulations, evaluations over recorded questions, nightly jobs. An agent with
tools or passages needs a conversation, so it is refused here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from agents import budgets, connections, limiting, recording, resolving
from agents.budgets import Held
from agents.calls import Answer, Call
from agents.endpoints import Request, Served
from agents.endpoints.asking import as_error
from agents.endpoints.batches import ask_all
from agents.endpoints.values import Failure, Try
from agents.errors import BadAnswer
from agents.guarding import Guard
from agents.invoke import answer_of, render, screened, story_of, take_error
from agents.loop import take
from agents.recording import Story
from agents.reserving import Reserve
from agents.resolving import Choice
from agents.work import Work
from config.access.ids import uuid7
from config.errors import AppError, InvalidInput

# Holds are given back to dead callers after 15 minutes; a batch must be settled before.
BATCH_SECONDS = 14 * 60.0


@dataclass(slots=True)
class _Piece:
    """One call on its way. ``error`` ends it early; its record is written all the same."""

    call: Call
    choice: Choice
    guard: Guard
    story: Story
    work: Work
    request: Request | None = None
    served: Served | None = None
    most_usd: Decimal = Decimal(0)
    keys: tuple[budgets.Key, ...] = ()
    error: AppError | None = None


def answer_all(calls: Sequence[Call]) -> list[Answer | AppError]:
    """An answer, or the error that ended it, for each call, in their order; each is on record.

    Raises NotFound, AgentPaused, RateLimited, InvalidInput (agents with tools) or BudgetExceeded
    before anything is asked, and StepTimeout or Unavailable when the provider lost the batch.
    """
    calls = [replace(c, invocation_id=c.invocation_id or uuid7()) for c in calls]
    # 1. Pick the versions: the open split decides by the unit, as for a single call.
    choices = resolving.resolve_all(calls)
    pieces = [_piece(call, choice) for call, choice in zip(calls, choices, strict=True)]
    # 2. and 3. Guardrails on the input, then the prompt; the cache is not asked.
    for piece in pieces:
        _prepare(piece)
    asked = [piece for piece in pieces if piece.request is not None]
    # 4. Reserve the most that all of it may cost.
    held = _hold(asked)
    connections.release()
    try:
        # 5. Ask, a file a model.
        _ask(asked)
    except BaseException:
        for hold, group in held:  # a file of another model may have been answered
            budgets.settle(hold, cost_usd=_cost(group))
        for piece in asked:
            limiting.spend(piece.call, piece.choice, piece.work.usage)
        raise
    # 6. Guardrails on the answers.
    for piece in asked:
        _check(piece)
        limiting.spend(piece.call, piece.choice, piece.work.usage)
    # 7. Settle and store.
    spent = [(hold, _cost(group)) for hold, group in held]
    recording.store_all([(p.call, p.choice, p.work, p.story) for p in pieces], spent)
    connections.release()
    return [_outcome(piece) for piece in pieces]


def _cost(pieces: Sequence[_Piece]) -> Decimal:
    return sum((piece.work.cost_usd for piece in pieces), Decimal(0))


def _piece(call: Call, choice: Choice) -> _Piece:
    if choice.version.tools or choice.version.retrieval.get("sources"):
        raise InvalidInput("agent", call.agent, "an agent without tools and passages, in a batch")
    if call.effect_id:
        raise InvalidInput("effect_id", call.effect_id, "none in a batch")
    limiting.check(call, choice)
    guard = Guard(call.client_id, choice.version.guardrails, choice.version.canary)
    return _Piece(call, choice, guard, story_of(call), Work(messages=[]))


def _prepare(piece: _Piece) -> None:
    version = piece.choice.version
    try:
        safe = screened(piece.call, piece.guard, piece.story)
        piece.work.messages = render(safe, piece.choice, piece.story, "")
        reserve = Reserve(piece.call, piece.choice, piece.story.invocation_id)
        piece.most_usd = reserve.most(piece.work)
    except AppError as error:
        _fail(piece, error)
        return
    piece.story.route = reserve.route
    piece.served, piece.keys = reserve.served[0], tuple(reserve.keys())
    limit = piece.call.max_output_tokens or version.max_output_tokens
    piece.request = Request(
        messages=list(piece.work.messages),
        response_schema=version.output_schema,
        temperature=version.model.get("temperature"),
        max_output_tokens=min(limit, version.max_output_tokens),
        extra=version.model.get("extra", {}),
    )


def _hold(pieces: Sequence[_Piece]) -> list[tuple[Held, list[_Piece]]]:
    """One hold for all calls that count against the same budgets; all or none."""
    groups: dict[tuple[UUID, tuple[budgets.Key, ...]], list[_Piece]] = {}
    for piece in pieces:
        groups.setdefault((piece.call.client_id, piece.keys), []).append(piece)
    held: list[tuple[Held, list[_Piece]]] = []
    try:
        for (client_id, keys), group in groups.items():
            amount = sum((piece.most_usd for piece in group), Decimal(0))
            hold = budgets.hold(keys=keys, amount_usd=amount, client_id=client_id,
                                invocation_id=group[0].story.invocation_id)  # fmt: skip
            held.append((hold, group))
    except AppError:
        for hold, _ in held:
            budgets.settle(hold, cost_usd=Decimal(0))
        raise
    return held


def _ask(pieces: Sequence[_Piece]) -> None:
    until = time.monotonic() + BATCH_SECONDS
    groups: dict[tuple[str, str], list[_Piece]] = {}
    for piece in pieces:
        if piece.served is not None:
            groups.setdefault((piece.served.endpoint, piece.served.model), []).append(piece)
    for group in groups.values():
        served: Any = group[0].served
        tries = ask_all(served, [p.request for p in group if p.request], until=until)
        for piece, one in zip(group, tries, strict=True):
            _answered(piece, served, one)


def _answered(piece: _Piece, served: Served, one: Try) -> None:
    piece.work.tries.append(one)
    piece.story.duration_seconds = piece.work.waited_seconds = one.duration_seconds
    if one.reply is None:
        failure = Failure(one.error_code, one.error, http_status=one.http_status)
        _fail(piece, as_error(served, failure))


def _check(piece: _Piece) -> None:
    work, schema = piece.work, piece.choice.version.output_schema
    reply = work.tries[-1].reply if work.tries else None
    if piece.error is not None or reply is None:
        return
    try:
        if fault := take(work, reply, schema):
            raise BadAnswer(piece.choice.slug, fault)
        work.let_out(piece.guard.check_answer(work.said, work.finish_reason))
    except AppError as error:
        _fail(piece, error)
        return
    piece.story.output, piece.story.kept = work.output, work.remembered
    piece.story.findings, piece.story.sealed = piece.guard.findings, piece.guard.sealed


def _fail(piece: _Piece, error: AppError) -> None:
    piece.error = error
    take_error(piece.call, piece.choice, piece.work, piece.story, error)
    piece.story.findings, piece.story.sealed = piece.guard.findings, piece.guard.sealed


def _outcome(piece: _Piece) -> Answer | AppError:
    if piece.error is not None and piece.story.state != "fallback":
        return piece.error
    return answer_of(piece.choice, piece.work, piece.story, piece.guard)
