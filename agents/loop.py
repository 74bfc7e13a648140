"""The conversation between a model and its tools, until there is an answer."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from django.utils import timezone

from agents import (
    connections,
    endpoints,
    escalating,
    judging,
    offering,
    pacing,
    spans,
    spotlight,
    tool_calls,
)
from agents.bodies import strictly
from agents.calls import Call
from agents.domain import context, messages
from agents.domain.guardrails.findings import Source
from agents.endpoints import Reply, Request, Served, Try
from agents.errors import BadAnswer, BudgetExceeded, GuardrailBlocked
from agents.guarding import Guard
from agents.reserving import Afford
from agents.resolving import Choice, Version
from agents.streaming import Gate
from agents.tool_calls import Ran
from agents.tools.registry import Tool, ToolContext
from agents.work import Work
from config import schemas
from config.errors import AppError, NotFound

# Replies of a model in one call; the last one may not ask for tools.
MAX_ROUNDS = 6
# Characters of one tool result that the model reads; the caller gets all of it.
MAX_RESULT_CHARACTERS = 32_000
MAX_PARALLEL_TOOLS = 16
_fan = ThreadPoolExecutor(64, thread_name_prefix="tools")


def converse(
    call: Call,
    choice: Choice,
    work: Work,
    served: Sequence[Served],
    *,
    until: float,
    afford: Afford,
    guard: Guard,
) -> None:
    """Ask, run what is asked for, and ask again, until ``work`` holds the answer.

    ``afford`` reserves money for the next try or raises. ``guard`` screens each tool result
    before a model reads it. Raises the typed error of whatever gave up.
    """
    schema = call.schema_of_answer(choice.version.output_schema)
    gate = _gate(call, work, guard, whole=schema is not None)
    second = _Second(call, work, afford, gate, schema)
    try:
        _rounds(call, choice, work, served, second, until=until, guard=guard)
        _check_tools(call, work)
    except GuardrailBlocked:
        raise
    except AppError:
        if not second.stands():
            raise


def _rounds(
    call: Call,
    choice: Choice,
    work: Work,
    served: Sequence[Served],
    second: _Second,
    *,
    until: float,
    guard: Guard,
) -> None:
    """Ask until there is an answer, and of a stronger model where ``second`` says so."""
    version, gate, schema, afford = choice.version, second.gate, second.schema, second.afford
    offered = _offered(call, version, work, served)
    callers = {tool["function"]["name"] for tool in call.caller_tools}
    insisted = call.caller_tools and call.tool_choice not in (None, "auto")
    repaired = False
    for number in range(1, MAX_ROUNDS + 1):
        if number > 1:
            afford(work)
        if call.ask is None:
            judging.check(guard, work, served, until=until, afford=afford)
        connections.release()
        last = number == MAX_ROUNDS
        if gate:
            gate.mark()
        insisting = insisted and number == 1
        request = Request(
            messages=list(work.messages),
            tools=call.caller_tools if insisting else offered,
            tool_choice=call.tool_choice if insisting else "none" if last and offered else None,
            response_schema=schema,
            is_strict=call.response_schema is None,
            stop=call.stop,
            temperature=version.model.get("temperature"),
            max_output_tokens=min(
                call.max_output_tokens or version.max_output_tokens, version.max_output_tokens
            ),
            extra=version.model.get("extra", {}),
            stream=gate.feed if gate else None,
            restart=gate.restart if gate else None,
            hedge_after_seconds=version.hedge_after_seconds,
            alike=str(version.id),
        )
        if call.ask is not None:
            reply = call.ask(request, served, work.tries.append)
        else:
            reply = _asked(work, served, request, until, afford)
        if not repaired:
            talk = len(work.messages)
        work.messages.append(reply.as_message())
        if any(wanted["function"]["name"] in callers for wanted in reply.tool_calls):
            work.text, work.finish_reason = reply.text, "tool_calls"
            if gate:
                gate.finish()
            work.asked = [c for c in reply.tool_calls if c["function"]["name"] in callers]
            return
        if reply.tool_calls and not repaired and _is_garbled(reply):
            repaired = True
            work.messages.pop()  # asked again as if it had not been said
            if gate:
                gate.restart()
            continue
        if reply.tool_calls and not last:
            before = len(work.messages)
            _use_tools(call, choice, work, reply, until, guard)
            wider = offering.widened(version, work.messages[before:])
            if wider is not version:
                version = work.version = wider
                choice = replace(choice, version=version)
                offered = _offered(call, version, work, served)
            continue
        fault = take(work, reply, schema)
        if repaired or not fault:
            if better := second.better(version, served, fault, talk, last=last):
                served, repaired = better, False
                continue
            if not fault:
                if gate:
                    gate.finish()
                return
            raise BadAnswer(choice.slug, fault)
        repaired = True
        if gate:
            gate.restart()
        work.messages.append(
            {"role": "user", "content": f"{fault} Answer again, with that put right."}
        )
    raise BadAnswer(choice.slug, f"no answer after {MAX_ROUNDS} replies")


def _check_tools(call: Call, work: Work) -> None:
    """An answer to data whose every tool failed would be made up; say the tool's error instead."""
    if call.messages is None and (error := work.tools_error) is not None:
        raise error


def _offered(
    call: Call, version: Version, work: Work, served: Sequence[Served]
) -> tuple[dict[str, Any], ...]:
    """The definitions of all tools that the next reply may ask for."""
    own, work.spared_characters = offering.definitions(call, version, work.messages, served)
    return (*own, *call.caller_tools)


def _gate(call: Call, work: Work, guard: Guard, *, whole: bool) -> Gate | None:
    emit = call.stream
    if emit is None:
        return None

    def heard(text: str) -> None:
        emit(text)
        work.is_heard = call.is_live

    return Gate(heard, guard, whole=whole)


def _is_garbled(reply: Reply) -> bool:
    """Whether some tool's arguments are no JSON object."""
    for wanted in reply.tool_calls:
        try:
            if not isinstance(strictly(wanted["function"]["arguments"] or "{}"), dict):
                return True
        except ValueError:
            return True
    return False


@dataclass(slots=True)
class _Second:
    """Whether an answer is asked for again, of a stronger model, and the one that stands if that
    one gives none."""

    call: Call
    work: Work
    afford: Afford
    gate: Gate | None
    schema: dict[str, Any] | None
    first: Try | None = None

    def better(
        self, version: Version, served: Sequence[Served], fault: str, talk: int, *, last: bool
    ) -> list[Served]:
        """The models to ask again for an answer with a ``fault`` or a doubt, which is forgotten
        from the message ``talk`` on; none if it is the last word."""
        work = self.work
        if work.escalated is not None:
            why = escalating.FAULTY if fault else escalating.doubt(version, work, talk)
            escalating.note(version.id, work, served, is_helped=not why)
            return []
        if last or (fault and self._is_its_callers()):
            return []  # what its caller asked for, or its room, is too much for any model
        better = escalating.stronger(self.call, version, work, served)
        if not better:
            return []
        why = escalating.FAULTY if fault else escalating.doubt(version, work, talk)
        if not why:
            return []
        try:
            self.afford(work)
        except BudgetExceeded:
            return []
        if self.gate and not self.gate.restart():
            return []
        is_made_up = self.call.messages is None and work.tools_error is not None
        self.first = None if fault or is_made_up else work.tries[-1]
        work.escalated = {"to": better[0].tier, "why": why}
        work.escalated_after = len(work.tries)
        if any(message["role"] == "tool" for message in work.messages[talk:]):
            talk = len(work.messages) - 1  # what has been done is not done again
        del work.messages[talk:]
        return better

    def stands(self) -> bool:
        """Take the first answer after all; False if there is none, or some of another is out."""
        if self.first is None or self.first.reply is None:
            return False
        if self.gate and not self.gate.restart():
            return False
        reply = self.first.reply
        take(self.work, reply, self.schema)
        self.work.stood = self.first
        if self.work.escalated is not None:
            self.work.escalated["helped"] = False
        if self.gate:
            self.gate.feed(reply.text)
            self.gate.finish()
        return True

    def _is_its_callers(self) -> bool:
        return self.call.response_schema is not None or self.work.finish_reason == "length"


def _asked(
    work: Work,
    served: Sequence[Served],
    request: Request,
    until: float,
    afford: Afford,
) -> Reply:
    started = time.monotonic()
    try:
        reply, _ = endpoints.ask(
            served,
            request,
            until=until,
            note=work.tries.append,
            afford=lambda: afford(work),
            input_tokens=messages.byte_size(request.messages) // 4,
        )
    finally:
        work.waited_seconds += time.monotonic() - started
    return reply


def take(work: Work, reply: Reply, schema: dict[str, Any] | None) -> str:
    """Take the reply as the answer; returns what is wrong with it, or nothing."""
    work.text, work.finish_reason = reply.text, reply.finish_reason
    if reply.tool_calls and not reply.text:
        return "The answer asks for tools although all rounds are used."
    if schema is not None:
        return _parse(work, schema)
    if not reply.text.strip():
        return "The answer is empty."
    return ""


def _parse(work: Work, schema: dict[str, Any]) -> str:
    try:
        work.parsed = strictly(work.text)
    except ValueError as error:
        return f"The answer is not JSON ({error})."
    fault = next(iter(schemas.errors(schema, work.parsed)), None)
    if fault is None:
        return ""
    work.parsed = None
    return f"The answer breaks its schema at {fault.json_path}: {fault.message[:200]}."


def _use_tools(
    call: Call,
    choice: Choice,
    work: Work,
    reply: Reply,
    until: float,
    guard: Guard,
) -> None:
    """Run what the reply asks for, side by side, and tell the model the results in its order."""
    allowed = {messages.wire_name(tool.name): tool for tool in choice.version.tools}
    runner = _Runner(call, work.facts, guard, until)
    asked = reply.tool_calls[:MAX_PARALLEL_TOOLS]
    jobs = [(wanted, allowed.get(wanted["function"]["name"])) for wanted in asked]
    started = time.monotonic()
    slow = [tool for _, tool in jobs if tool is not None and not tool.light]
    if len(slow) > 1:
        connections.release()
        running = [_fan.submit(spans.carried(runner.run_on_thread, *job)) for job in jobs]
        with pacing.away():
            ran = [one.result() for one in running]
    else:
        ran = [runner.run(wanted, tool) for wanted, tool in jobs]
    work.waited_seconds += time.monotonic() - started
    for (wanted, tool), one in zip(jobs, ran, strict=True):
        if one.result is not None:
            work.results[one.fallback_of or one.name] = one.result
            work.facts.update(one.result)
        told = guard.screen(
            context.fit(_told(one), MAX_RESULT_CHARACTERS),
            Source.TOOL,
            f"tool {one.name}",
            computed=tool is not None and not spotlight.brings_text(tool),
        )
        if one.instead_of is not None:  # what failed was tried, and may have cost something
            work.ran.append(replace(one.instead_of, arguments=one.arguments))
        work.ran.append(replace(one, told=told))
        content = spotlight.told(context.as_json(told), tool, work)
        work.messages.append(messages.tool_message(wanted["id"], content))
    for left_out in reply.tool_calls[MAX_PARALLEL_TOOLS:]:
        note = json.dumps({"error": f"only {MAX_PARALLEL_TOOLS} calls at once; ask again"})
        work.messages.append(messages.tool_message(left_out["id"], note))


@dataclass(frozen=True, slots=True)
class _Runner:
    """Runs what a reply asks for. Only the version's own tools exist, whatever the model says."""

    call: Call
    facts: dict[str, Any]
    guard: Guard
    until: float

    def run_on_thread(self, wanted: dict[str, Any], tool: Tool | None) -> Ran:
        try:
            return self.run(wanted, tool)
        finally:
            connections.end_of_work()

    def run(self, wanted: dict[str, Any], tool: Tool | None) -> Ran:
        name, raw = wanted["function"]["name"], wanted["function"]["arguments"] or "{}"
        if tool is None:
            return _refused(name, _readable(raw), NotFound("tool of this agent", name))
        try:
            asked = strictly(raw)
            if not isinstance(asked, dict):
                raise ValueError("not an object")
        except ValueError as error:
            return _refused(tool.name, {}, BadAnswer(tool.name, f"arguments: {error}"))
        arguments = self.guard.restored(_whole(asked, self.facts))
        call = self.call
        effect = tool_calls.effect_of(call.effect_id or "", tool.name, arguments)
        where = ToolContext(
            artifacts=call.artifacts,
            client_id=str(call.client_id),
            run_id=str(call.run_id) if call.run_id else None,
            effect_id=effect or None,
            attempt=call.attempt,
        )
        ran = tool_calls.run(tool, arguments, where, until=self.until)
        return replace(ran, arguments=asked)


def _readable(raw: str) -> dict[str, Any]:
    """What a tool that does not exist was asked with: it says what tool is missing."""
    try:
        asked = strictly(raw)
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _whole(arguments: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """Put back what was cut from an earlier result before the model read it."""
    return {
        name: facts[name] if name in facts and context.is_cut(value) else value
        for name, value in arguments.items()
    }


def _told(ran: Ran) -> dict[str, Any]:
    if ran.blamed is None:
        return ran.result or {}
    return {"error": {"code": ran.blamed.code, "message": str(ran.blamed)}}


def _refused(name: str, arguments: dict[str, Any], error: AppError) -> Ran:
    return Ran(name, arguments, timezone.now(), 0.0, error=error)
