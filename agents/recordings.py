"""Recorded questions and what tools answered to them, for those who ask them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from agents import guarding
from agents.domain import context
from agents.evidence import is_whole, live_calls, seen_with
from agents.models import Invocation, ToolCall

# A tool, what it was asked and what it answered.
Told = tuple[str, dict[str, Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded question with what its tools answered, personal data restored."""

    id: UUID
    client_id: UUID
    run_id: UUID | None
    step_id: UUID | None
    inputs: dict[str, Any]
    messages: list[dict[str, Any]] | None
    text: str
    tools: tuple[Told, ...]


def recorded_calls(
    slug: str, *, since: datetime, until: datetime, limit: int, ids: Sequence[UUID] = ()
) -> list[Recorded]:
    """The newest live calls whose question is on record whole; or those of ``ids``, any age.

    None that quoted what is limited: asked again, its question would be in records of others.
    """
    rows = Invocation.objects.filter(pk__in=ids) if ids else live_calls(since, until)
    rows = rows.filter(agent_slug=slug, limited_to=None).order_by("-id")
    rows = rows.exclude(state=Invocation.State.BLOCKED)
    found = [row for row in rows[: limit * 2] if is_whole(row.inputs)][:limit]
    calls: dict[UUID | None, list[ToolCall]] = {}
    for call in ToolCall.objects.filter(invocation_id__in=[row.pk for row in found]):
        calls.setdefault(call.invocation_id, []).append(call)
    return [_recorded(row, calls.get(row.pk, [])) for row in found]


def recorded_tools(ids: Sequence[UUID]) -> dict[UUID, tuple[Told, ...]]:
    """What each tool was asked and answered in these calls, restored, in their order."""
    calls: dict[UUID, list[ToolCall]] = {}
    for call in ToolCall.objects.filter(invocation_id__in=list(ids)):
        calls.setdefault(call.invocation_id or call.pk, []).append(call)
    rows = Invocation.objects.filter(pk__in=list(calls))
    return {row.pk: _told(row, calls[row.pk]) for row in rows}


def versions_of(ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """The version that answered each of these calls."""
    return dict(Invocation.objects.filter(pk__in=list(ids)).values_list("id", "version_id"))


def _recorded(row: Invocation, calls: Sequence[ToolCall]) -> Recorded:
    given = guarding.restored(row.inputs, row.sealed)
    messages = given.get("messages")
    chat = isinstance(messages, list)
    return Recorded(row.pk, row.client_id, seen_with(row), row.step_id, {} if chat else given,
                    messages if chat else None, str(row.output.get("text", "")),
                    _told(row, calls))  # fmt: skip


def _told(row: Invocation, calls: Sequence[ToolCall]) -> tuple[Told, ...]:
    return tuple(
        (call.name, guarding.restored(call.arguments, row.sealed),
         guarding.restored(call.result, row.sealed))
        for call in sorted(calls, key=lambda c: c.number)
        if isinstance(call.result, dict) and not context.is_cut(call.result)
        and "omitted_bytes" not in call.result and not call.error_code
    )  # fmt: skip
