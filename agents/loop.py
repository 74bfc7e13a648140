"""The conversation between a model and its tools, until there is an answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.utils import timezone
from jsonschema import Draft202012Validator

from agents import connections, endpoints, tool_calls
from agents.calls import Call
from agents.domain import context, messages
from agents.domain.cost import Usage
from agents.domain.messages import Message
from agents.endpoints import Reply, Request, Served, Try
from agents.errors import BadAnswer
from agents.resolving import Choice
from agents.tool_calls import Ran
from agents.tools.registry import Tool, ToolContext
from config.errors import AppError, InvalidInput, NotFound

# Replies of a model in one call; the last one may not ask for tools.
MAX_ROUNDS = 6
# Characters of one tool result that the model reads; the caller gets all of it.
MAX_RESULT_CHARACTERS = 60_000
MAX_PARALLEL_TOOLS = 16
_fan = ThreadPoolExecutor(64, thread_name_prefix="tools")


@dataclass(slots=True)
class Work:
    """What a call has done so far; what it costs is known even if it fails."""

    messages: list[Message]
    tries: list[Try] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    parsed: Any = None
    finish_reason: str = ""
    waited_seconds: float = 0.0

    @property
    def usage(self) -> Usage:
        """Tokens of all replies."""
        return sum((t.reply.usage for t in self.tries if t.reply), Usage())

    @property
    def cost_usd(self) -> Decimal:
        """What all replies cost."""
        return sum((t.cost_usd for t in self.tries), Decimal(0))

    @property
    def output(self) -> dict[str, Any]:
        """The answer as the caller reads it."""
        out: dict[str, Any] = {"text": self.text, "facts": self.facts, "tools": self.results}
        if self.parsed is not None:
            out["json"] = self.parsed
        return out


def converse(
    call: Call,
    choice: Choice,
    work: Work,
    served: Sequence[Served],
    *,
    until: float,
    afford: Callable[[Work], None],
    screen: Callable[[str, str], str],
) -> None:
    """Ask, run what is asked for, and ask again, until ``work`` holds the answer.

    ``afford`` reserves money for the next reply or raises. ``screen`` is given each tool result
    (name, text) before a model reads it. Raises the typed error of whatever gave up.
    """
    version = choice.version
    repaired = False
    for number in range(1, MAX_ROUNDS + 1):
        if number > 1:
            afford(work)
        connections.release()
        last = number == MAX_ROUNDS
        request = Request(
            messages=list(work.messages),
            tools=version.tool_definitions,
            tool_choice="none" if last and version.tool_definitions else None,
            response_schema=version.output_schema,
            temperature=version.model.get("temperature"),
            max_output_tokens=min(
                call.max_output_tokens or version.max_output_tokens, version.max_output_tokens
            ),
            extra=version.model.get("extra", {}),
            stream=call.stream,
        )
        reply = _asked(work, served, request, until)
        work.messages.append(reply.as_message())
        if reply.tool_calls and not last:
            _use_tools(call, choice, work, reply, until, screen)
            continue
        fault = _take(work, reply, version.output_schema)
        if not fault:
            return
        if repaired:
            raise BadAnswer(choice.slug, fault)
        repaired = True
        work.messages.append(
            {"role": "user", "content": f"{fault} Answer again, with that put right."}
        )
    raise BadAnswer(choice.slug, f"no answer after {MAX_ROUNDS} replies")


def _asked(work: Work, served: Sequence[Served], request: Request, until: float) -> Reply:
    started = time.monotonic()
    try:
        reply, _ = endpoints.ask(
            served,
            request,
            until=until,
            note=work.tries.append,
            input_tokens=messages.byte_size(request.messages) // 4,
        )
    finally:
        work.waited_seconds += time.monotonic() - started
    return reply


def _take(work: Work, reply: Reply, schema: dict[str, Any] | None) -> str:
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
        work.parsed = json.loads(work.text)
    except ValueError as error:
        return f"The answer is not JSON ({error})."
    fault = next(iter(Draft202012Validator(schema).iter_errors(work.parsed)), None)
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
    screen: Callable[[str, str], str],
) -> None:
    """Run what the reply asks for, side by side, and tell the model the results in its order."""
    allowed = {messages.wire_name(tool.name): tool for tool in choice.version.tools}
    asked = reply.tool_calls[:MAX_PARALLEL_TOOLS]
    jobs = [(wanted, allowed.get(wanted["function"]["name"])) for wanted in asked]
    started = time.monotonic()
    slow = [tool for _, tool in jobs if tool is not None and not tool.light]
    if len(slow) > 1:
        connections.release()
        ran = list(_fan.map(lambda job: _run_on_thread(call, work, job[0], job[1], until), jobs))
    else:
        ran = [_run(call, work, wanted, tool, until) for wanted, tool in jobs]
    work.waited_seconds += time.monotonic() - started
    for wanted, one in zip(asked, ran, strict=True):
        work.ran.append(one)
        if one.result is not None:
            work.results[one.fallback_of or one.name] = one.result
            work.facts.update(one.result)
        text = context.fit_json(_told(one), MAX_RESULT_CHARACTERS)
        work.messages.append(messages.tool_message(wanted["id"], screen(one.name, text)))
    for left_out in reply.tool_calls[MAX_PARALLEL_TOOLS:]:
        note = json.dumps({"error": f"only {MAX_PARALLEL_TOOLS} calls at once; ask again"})
        work.messages.append(messages.tool_message(left_out["id"], note))


def _run_on_thread(
    call: Call, work: Work, wanted: dict[str, Any], tool: Tool | None, until: float
) -> Ran:
    try:
        return _run(call, work, wanted, tool, until)
    finally:
        connections.release()


def _run(call: Call, work: Work, wanted: dict[str, Any], tool: Tool | None, until: float) -> Ran:
    """Run one requested tool. Only the version's own tools exist, whatever the model asks for."""
    name = wanted["function"]["name"]
    if tool is None:
        return _refused(name, NotFound("tool of this agent", name))
    try:
        arguments = json.loads(wanted["function"]["arguments"] or "{}")
        if not isinstance(arguments, dict):
            raise ValueError("not an object")
    except ValueError as error:
        fault = InvalidInput(tool.name, wanted["function"]["arguments"], f"a JSON object: {error}")
        return _refused(tool.name, fault)
    arguments = _whole(arguments, work.facts)
    effect = tool_calls.effect_of(call.effect_id or "", tool.name, arguments)
    where = ToolContext(
        artifacts=call.artifacts,
        client_id=str(call.client_id),
        run_id=str(call.run_id) if call.run_id else None,
        effect_id=effect or None,
        attempt=call.attempt,
    )
    return tool_calls.run(tool, arguments, where, until=until)


def _whole(arguments: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """Put back what was cut from an earlier result before the model read it."""
    return {
        name: facts[name] if name in facts and context.is_cut(value) else value
        for name, value in arguments.items()
    }


def _told(ran: Ran) -> dict[str, Any]:
    if ran.error is None:
        return ran.result or {}
    return {"error": {"code": ran.error.code, "message": str(ran.error)}}


def _refused(name: str, error: AppError) -> Ran:
    return Ran(name, {}, timezone.now(), 0.0, error=error)
