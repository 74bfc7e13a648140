"""Calls as lists and pages show them: plain values of those that a caller may see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from agents.models import Agent, Invocation, ModelCall, ToolCall
from config.access.callers import Caller
from config.access.hiding import of_visible_runs
from config.errors import NotFound


def of_agent(rows: QuerySet[Invocation], slug: str) -> QuerySet[Invocation]:
    """The calls of one agent among ``rows``, by the id that their index begins with."""
    ids = list(Agent.objects.filter(slug=slug).values_list("id", flat=True))
    return rows.filter(agent_id__in=ids)


def recent_invocations(
    caller: Caller,
    *,
    agent: str = "",
    run_id: UUID | None = None,
    step_id: UUID | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """The newest invocations that ``caller`` may see, newest first, without their texts."""
    rows = of_visible_runs(caller, Invocation.objects.all())
    if agent:
        rows = of_agent(rows, agent)
    if run_id:
        rows = rows.filter(run_id=run_id)
    if step_id:
        rows = rows.filter(step_id=step_id)
    return list(rows.order_by("-id").values(*BRIEF)[:limit])


def only_agent_in(
    *, run_id: UUID | None = None, conversation_id: UUID | None = None, agent: str = ""
) -> dict[str, Any]:
    """agent_slug, version_id, unit and split_epoch of the last live call in a run or conversation.

    Empty where no agent answered there, or several did: nobody knows which one is meant.
    """
    about = {"run_id": run_id} if run_id else {"conversation_id": conversation_id}
    rows = Invocation.objects.filter(**about, is_demo=False)
    if agent:
        rows = rows.filter(agent_slug=agent)
    if rows.order_by().values("agent_slug").distinct().count() != 1:
        return {}
    fields = ("agent_slug", "version_id", "unit", "split_epoch")
    return dict(rows.order_by("-id").values(*fields)[0])


def invocations_by_id(caller: Caller, ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """Those of ``ids`` that ``caller`` may see, newest first, without their texts."""
    rows = of_visible_runs(caller, Invocation.objects.filter(pk__in=ids))
    return list(rows.order_by("-id").values(*BRIEF))


BRIEF = (
    "id", "client_id", "agent_slug", "version_id", "version_number", "state", "error_code",
    "model", "endpoint", "is_simulated", "is_demo", "cached", "cost_usd", "input_tokens",
    "cached_tokens", "output_tokens", "reasoning_tokens", "model_calls", "tool_calls", "run_id",
    "about_run_id", "step_id", "conversation_id", "user_id", "attempt", "split_epoch", "bucket",
    "started_at", "duration_seconds",
)  # fmt: skip


def invocation_detail(caller: Caller, invocation_id: UUID) -> dict[str, Any]:
    """One invocation with its texts, model calls and tool calls; raises NotFound."""
    rows = of_visible_runs(caller, Invocation.objects.filter(pk=invocation_id))
    row = rows.values().first()
    if row is None:
        raise NotFound("invocation", invocation_id)
    calls = ModelCall.objects.filter(invocation_id=invocation_id).order_by("number")
    tools = ToolCall.objects.filter(invocation_id=invocation_id).order_by("number")
    return {**row, "calls": list(calls.values()), "tools": list(tools.values())}


def invocations_of_step(caller: Caller, step_id: UUID, run_id: UUID) -> list[dict[str, Any]]:
    """All attempts of a step with their texts and calls, oldest first."""
    rows = of_visible_runs(caller, Invocation.objects.filter(run_id=run_id, step_id=step_id))
    ids = rows.order_by("id").values_list("id", flat=True)
    return [invocation_detail(caller, invocation_id) for invocation_id in ids]


def tool_calls_of_step(caller: Caller, step_id: UUID, run_id: UUID) -> list[dict[str, Any]]:
    """Tools that a step ran itself, oldest first."""
    rows = of_visible_runs(caller, ToolCall.objects.filter(run_id=run_id, step_id=step_id))
    return list(rows.filter(invocation_id=None).order_by("id").values())
