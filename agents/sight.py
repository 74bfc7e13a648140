"""Which recorded calls somebody may see, for apps that keep something about them."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from agents.models import Conversation, Invocation
from config.access import rights
from config.access.callers import Caller
from config.access.hiding import hidden_runs, of_runs


def hidden_invocations(caller: Caller) -> QuerySet[Invocation] | None:
    """Calls of runs, or about runs, that are hidden from ``caller``, and those that quoted what it
    may not read; None for a part of Ratchet itself."""
    if caller.user_id is None:
        return None
    runs, limited = hidden_runs(caller), ~rights.met(rights.of_caller(caller))
    hidden = limited if runs is None else limited | of_runs(runs, Invocation)
    return Invocation.objects.filter(hidden)


def hidden_conversations(caller: Caller) -> QuerySet[Conversation] | None:
    """Those that quoted what ``caller`` may not read; None for a part of Ratchet itself."""
    if caller.user_id is None:
        return None
    return Conversation.objects.filter(~rights.met(rights.of_caller(caller)))


def of_open_calls(rows: QuerySet[Any], call: str = "invocation_id") -> QuerySet[Any]:
    """``rows`` without those about a call that quoted what is limited: what all may learn from."""
    limited = Invocation.objects.exclude(limited_to=None)
    return rows.exclude(Exists(limited.filter(pk=OuterRef(call))))


def of_visible_calls(
    caller: Caller, rows: QuerySet[Any], call: str = "invocation_id"
) -> QuerySet[Any]:
    """``rows`` of clients that the caller sees, without those about a call that is hidden.

    ``call`` is the field with the invocation's id, which may be none.
    """
    rows, hidden = caller.only_visible(rows), hidden_invocations(caller)
    return rows if hidden is None else rows.exclude(Exists(hidden.filter(pk=OuterRef(call))))
