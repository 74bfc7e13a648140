"""What a call's reader must hold: for what it quotes, and for what its conversation quoted before.

A conversation keeps its limits itself: its calls are dropped after a time, its turns are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import connection

from agents.calls import Call
from agents.models import Conversation
from config.access import rights
from config.errors import Forbidden

_KEEP = """
    UPDATE agents_conversation SET limited_to = ARRAY(
        SELECT DISTINCT unnest(coalesce(limited_to, '{}') || %(lines)s::text[]) ORDER BY 1)
    WHERE id = %(talk)s AND NOT coalesce(limited_to, '{}') @> %(lines)s::text[]
"""


def inherited(call: Call) -> list[str] | None:
    """What a reader of the call's conversation must hold so far; None for nothing."""
    if call.conversation_id is None:
        return None
    if call.inherited is not None:
        return list(call.inherited) or None
    rows = Conversation.objects.filter(pk=call.conversation_id)
    return rows.values_list("limited_to", flat=True).first() or None


def check(call: Call, lines: Sequence[str] | None) -> None:
    """Raise Forbidden for a conversation that quoted what the call's user may not read."""
    if lines:
        held = rights.of_user(call.user_id)
        if not all(held & set(line.split("\n")) for line in lines):
            raise Forbidden("go on with this conversation", "the right to read what it quoted")


def joined(*limits: Sequence[str] | None) -> list[str] | None:
    """All lines of these; None for nothing."""
    return sorted({line for lines in limits for line in lines or ()}) or None


def keep(conversation_id: UUID | None, lines: Sequence[str] | None) -> None:
    """Limit the conversation to who holds ``lines`` too, before its answer is told."""
    if conversation_id is None or not lines:
        return
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, {"talk": conversation_id, "lines": list(lines)})
