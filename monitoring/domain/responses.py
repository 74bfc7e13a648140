"""What an incident may do by itself, and how each is taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# A rollback is not taken back: whoever wants the version again starts a new rollout.
UNDO = {
    "pause_agent": "resume_agent",
    "trip_breaker": "close_breaker",
    "shed_low_priority": "stop_shedding",
    "pause_rollout": "resume_rollout",
    "call_webhook": "recall_webhook",
}
# What each acts on; the others act on what they name, or on everything.
BACK = "roll_back_rollout"
ON_AGENTS = frozenset({"pause_agent", "pause_rollout", BACK})
TRIP = "trip_breaker"
KINDS = frozenset(UNDO) | {BACK}
AGENT_SCOPES = frozenset({"agent", "version", "agent_code", "agent_endpoint"})


def target_of(kind: str, *, scope: str, key: str, cause: str, endpoint: str = "") -> str | None:
    """What a response without a target of its own acts on; None where the alert leads to nothing.

    ``scope`` and ``key`` are those of the alert, ``cause`` that of its incident, ``endpoint`` what
    the alert's agent depends on. A breaker is tripped where the fault is: at the endpoint when
    that is the cause, and else at the agent itself (``agent:slug`` or ``agent:slug@version``),
    because others of the same endpoint are well. Of an alert about a version that version alone is
    taken back.
    """
    if kind == BACK and scope == "version":
        return key or None
    if kind in ON_AGENTS:
        return key.partition("|")[0] or None if scope in AGENT_SCOPES else None
    if kind != TRIP:
        return key or cause
    where, _, name = cause.partition(":")
    if where == "endpoint":
        return name
    if scope == "endpoint":
        return key or None
    if scope not in AGENT_SCOPES or not key:
        return None
    if where not in ("agent", "alike") and endpoint:  # the platform: each of its endpoints
        return endpoint
    agent, _, rest = key.partition("|")
    return f"agent:{agent}@{rest}" if scope == "version" else f"agent:{agent}"


def rules_of(parameters: Mapping[str, Any]) -> list[str]:
    """The rules that have asked for an action, the first one first."""
    return list(parameters.get("rules") or filter(None, [parameters.get("rule")]))


def faults_of(responses: Any, *, scope: str = "agent") -> list[str]:
    """What is wrong with the ``responses`` of a rule of this ``scope``, in words."""
    if not isinstance(responses, Sequence) or isinstance(responses, str):
        return ['a list such as [{"kind": "trip_breaker"}]']
    faults = []
    for entry in responses:
        kind = entry.get("kind") if isinstance(entry, dict) else None
        if not isinstance(kind, str) or kind not in KINDS:
            faults.append(f"kind {kind!r}: one of {', '.join(sorted(KINDS))}")
        elif kind == "call_webhook" and not entry.get("target"):
            faults.append("call_webhook: its target is the name of a web hook channel")
        elif unknown := sorted(entry.keys() - {"kind", "target", "parameters"}):
            faults.append(f"{kind}: unknown {', '.join(unknown)}")
        elif not isinstance(entry.get("target", ""), str):
            faults.append(f"{kind}: its target is text")
        elif not isinstance(entry.get("parameters", {}), dict):
            faults.append(f"{kind}: its parameters are an object")
        elif not entry.get("target") and (fits := _scopes(kind)) and scope not in fits:
            faults.append(
                f"{kind}: an alert about {scope!r} names nothing that it could act on; give a "
                f"target, or take one of the scopes {', '.join(sorted(fits))}"
            )
    return faults


def _scopes(kind: str) -> frozenset[str]:
    """The scopes whose alerts name what this acts on; empty: it needs none."""
    if kind == TRIP:
        return AGENT_SCOPES | {"endpoint"}
    return AGENT_SCOPES if kind in ON_AGENTS else frozenset()
