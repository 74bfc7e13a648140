"""Side effects whose outcome nobody knows: what somebody found out about one is written down."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models.functions import Now

from agents.models import IdempotentToolResult
from config.errors import Conflict

State = IdempotentToolResult.State


def settle(
    *, effect_id: str, tool: str, client_id: UUID, result: dict[str, Any] | None
) -> None:  # fmt: skip
    """Say that an effect happened, with its ``result``, or (None) that it did not.

    The next call of the tool under this id gives the result, or is made. Raises Conflict for an
    effect of which the outcome is known.
    """
    known = {"state": State.FAILED if result is None else State.DONE, "result": result,
             "ended_at": Now()}  # fmt: skip
    rows = IdempotentToolResult.objects.filter(effect_id=effect_id, tool=tool)
    if rows.filter(state=State.STARTED).update(**known):
        return
    found = rows.values_list("state", flat=True).first()
    if found is None:  # whoever was about to begin it did not come that far
        if result is not None:
            IdempotentToolResult.objects.create(
                effect_id=effect_id, tool=tool, client_id=client_id, **known
            )
    elif found != known["state"]:
        raise Conflict("this effect", found, "one whose outcome is unknown")
