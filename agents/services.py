"""What other apps may ask of agents, beside ``agents.invoke`` and ``agents.queries``."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction

from agents import connections, measuring, tool_calls
from agents.batching import answer_all
from agents.budgets import open_run_budget, set_budget
from agents.calls import Answer, Call
from agents.effects import settle as settle_effect
from agents.loading import add_endpoint, load_prices
from agents.reviews import part as part_reviews
from agents.reviews import settle as settle_review
from agents.steering import (
    Outcome,
    earlier_outcomes,
    end_split,
    epochs_named,
    last_call_of,
    open_agent,
    open_epoch,
    outcomes,
    production_of,
    promote,
    publish_prompt,
    split_traffic,
    units_are_named,
    units_that_changed,
    version_values,
)
from agents.tools import registry
from agents.tools.registry import ArtifactStore, Tool, ToolContext
from agents.versions import close_split, move_label, open_split, publish, set_state

__all__ = [
    "Answer",
    "Call",
    "Outcome",
    "add_endpoint",
    "answer_all",
    "call_light_tool",
    "call_tool",
    "close_split",
    "earlier_outcomes",
    "end_split",
    "epochs_named",
    "last_call_of",
    "load_prices",
    "move_label",
    "open_agent",
    "open_epoch",
    "open_run_budget",
    "open_split",
    "outcomes",
    "part_reviews",
    "play_tool",
    "production_of",
    "promote",
    "publish",
    "publish_prompt",
    "set_budget",
    "set_state",
    "settle_effect",
    "settle_review",
    "split_traffic",
    "units_are_named",
    "units_that_changed",
    "version_values",
]


def call_tool(
    name: str,
    arguments: dict[str, Any],
    *,
    client_id: UUID,
    user_id: UUID | None = None,
    run_id: UUID | None = None,
    step_id: UUID | None = None,
    effect_id: str | None = None,
    attempt: int = 1,
    deadline: float | None = None,
    artifacts: ArtifactStore | None = None,
) -> dict[str, Any]:
    """The tool's result, with its time limit, cache and fallback, and a ToolCall row about it.

    ``deadline`` is ``time.monotonic()`` seconds. Raises NotFound for an unknown tool and the
    AppError that the tool ended with; ``retryable`` says whether another try may help.
    """
    tool = registry.get(name)
    context = ToolContext(
        artifacts=artifacts,
        client_id=str(client_id),
        run_id=str(run_id) if run_id else None,
        effect_id=effect_id,
        attempt=attempt,
    )
    ran = tool_calls.run(tool, arguments, context, until=deadline)
    made = [ran] if ran.instead_of is None else [ran.instead_of, ran]
    with transaction.atomic():
        for number, one in enumerate(made, start=1):
            tool_calls.as_row(
                one, client_id=client_id, run_id=run_id, step_id=step_id, user_id=user_id,
                number=number,
            ).save(force_insert=True)  # fmt: skip
            measuring.audit_tool(one, actor="system:engine", client_id=client_id, user_id=user_id,
                                 session=str(run_id or ""))  # fmt: skip
    connections.release()
    if ran.blamed is not None:
        raise ran.blamed
    return ran.result or {}


def play_tool(
    tool: Tool,
    arguments: dict[str, Any],
    *,
    client_id: UUID,
    artifacts: ArtifactStore,
    deadline: float,
) -> dict[str, Any]:
    """The result of a tool that stands in for another, with its time limit and without record.

    ``deadline`` is ``time.monotonic()`` seconds. Raises the AppError that the tool ended with.
    """
    context = ToolContext(artifacts=artifacts, client_id=str(client_id))
    ran = tool_calls.run(tool, arguments, context, until=deadline)
    connections.release()
    if ran.blamed is not None:
        raise ran.blamed
    return ran.result or {}


def call_light_tool(name: str, arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
    """The result of a light tool, on this thread, without record; raises AppError."""
    return tool_calls.call_light(name, arguments, context)
