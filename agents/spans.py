"""Spans of a call under the names of OpenTelemetry's GenAI conventions.

Those are not stable yet, so their names stand here and nowhere else. Source: OpenTelemetry
semantic conventions 1.40, ``gen-ai``. No prompt, answer, argument or result is ever an attribute.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from config import tracing

if TYPE_CHECKING:
    from agents.calls import Call
    from agents.endpoints.directory import Served
    from agents.endpoints.values import Reply, Request
    from agents.recording import Story
    from agents.resolving import Choice

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"

P = ParamSpec("P")
T = TypeVar("T")


def invoke_agent(call: Call) -> AbstractContextManager[Any]:
    """The span of one invocation."""
    if not tracing.is_on():
        return tracing.span("")
    return tracing.span(
        f"invoke_agent {call.agent}",
        {
            OPERATION: "invoke_agent",
            "gen_ai.agent.name": call.agent,
            "gen_ai.conversation.id": str(call.conversation_id or ""),
            "ratchet.run.id": str(call.run_id or ""),
            "ratchet.step.id": str(call.step_id or ""),
            "ratchet.client.id": str(call.client_id),
            "ratchet.attempt": call.attempt,
        },
    )


def invoked(one: Any, choice: Choice, story: Story, cost_usd: object) -> None:
    """Add to an invocation's span what is known at its end."""
    if one is None:
        return
    one.set_attribute("gen_ai.agent.id", str(choice.agent_id))
    one.set_attribute("gen_ai.agent.version", str(choice.version.number))
    one.set_attribute("ratchet.invocation.id", str(story.invocation_id))
    one.set_attribute("ratchet.invocation.state", str(story.state))
    one.set_attribute("ratchet.cached", story.cached)
    one.set_attribute("ratchet.cost_usd", float(str(cost_usd)))
    if story.error is not None:
        one.set_attribute("error.type", story.error.code)


def chat(served: Served, request: Request) -> AbstractContextManager[Any]:
    """The span of one try at one model."""
    if not tracing.is_on():
        return tracing.span("")
    address = urlsplit(served.base_url)
    return tracing.span(
        f"chat {served.model}",
        {
            OPERATION: "chat",
            PROVIDER: served.endpoint,
            "gen_ai.request.model": served.model,
            "gen_ai.request.temperature": request.temperature,
            "gen_ai.request.max_tokens": request.max_output_tokens,
            "gen_ai.request.stream": request.stream is not None,
            "server.address": address.hostname,
            "server.port": address.port,
        },
        kind="client",
    )


def chatted(one: Any, reply: Reply) -> None:
    """Add to a model's span what came back."""
    if one is None:
        return
    usage = reply.usage
    one.set_attribute("gen_ai.response.model", reply.model)
    one.set_attribute("gen_ai.response.finish_reasons", [reply.finish_reason])
    # The conventions count cached tokens as input and reasoning as output; ours are disjoint.
    one.set_attribute("gen_ai.usage.input_tokens", usage.input + usage.cached)
    one.set_attribute("gen_ai.usage.cache_read.input_tokens", usage.cached)
    one.set_attribute("gen_ai.usage.output_tokens", usage.output + usage.reasoning)
    if reply.first_token_seconds is not None:
        one.set_attribute("gen_ai.response.time_to_first_chunk", reply.first_token_seconds)


def execute_tool(name: str) -> AbstractContextManager[Any]:
    """The span of one execution of a tool."""
    if not tracing.is_on():
        return tracing.span("")
    told = {OPERATION: "execute_tool", "gen_ai.tool.name": name, "gen_ai.tool.type": "function"}
    return tracing.span(f"execute_tool {name}", told)


def carried(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Callable[[], T]:
    """``work`` for another thread, where it goes on with the trace and the log's context."""
    return partial(copy_context().run, partial(work, *args, **kwargs))
