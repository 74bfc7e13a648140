"""What guardrails stopped or took out, as security events: attacks, and leaks that were none."""

from __future__ import annotations

from typing import Any

from agents.calls import Call
from agents.errors import GuardrailBlocked, ReviewRequired
from agents.models import Invocation
from monitoring import services

# Guardrail → kind of event. Claims without support are a matter of quality.
_KINDS = {"injection": "injection", "canary": "injection", "pii": "personal_data",
          "secrets": "secret"}  # fmt: skip
_STOPPED = frozenset({GuardrailBlocked.code, ReviewRequired.code})
MOST_REASONS = 5


def is_seen(call: Call, row: Invocation) -> bool:
    """Whether ``write_down`` has anything to write."""
    return call.stand_in is None and not row.is_demo and bool(_seen(row))


def write_down(call: Call, row: Invocation) -> None:
    """Write one event for each kind, in the transaction that stores the call.

    Types and reasons only, never the text. Personal data that people send is everyday work and
    becomes tokens; in an answer that nobody gave it to, it is a leak. Replays and demos are none.
    """
    if not is_seen(call, row):
        return
    for kind, (severity, detail) in _seen(row).items():
        services.security_event(
            kind=kind, severity=severity, target=f"agent:{row.agent_slug}",
            actor=f"key:{row.key_id}" if row.key_id else f"user:{row.user_id or ''}",
            client_id=row.client_id, user_id=row.user_id,
            detail={"invocation": str(row.pk), **detail},
        )  # fmt: skip


def _seen(row: Invocation) -> dict[str, tuple[str, dict[str, Any]]]:
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for one in row.findings or ():
        where, action = one.get("where", ""), one.get("action", "")
        if types := one.get("secrets"):
            found["secret"] = ("medium", {"where": where, "action": action, "types": types})
        if where == "answer" and (types := one.get("pii")):
            found["personal_data"] = ("medium", {"where": where, "action": action, "types": types})
    error = row.error or {}
    kind = _KINDS.get(str(error.get("guardrail")))
    if row.error_code in _STOPPED and kind is not None:
        reasons = list(error.get("reasons", ()))[:MOST_REASONS]
        where = str(error.get("direction", ""))
        found[kind] = ("high", {"where": where, "action": "stopped", "reasons": reasons})
    return found
