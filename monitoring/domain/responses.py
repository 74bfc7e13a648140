"""What an incident may do by itself, and how each is taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# A rollback is not taken back: whoever wants the version again starts a new rollout.
UNDO = {
    "pause_agent": "resume_agent",
    "trip_breaker": "close_breaker",
    "shed_low_priority": "stop_shedding",
    "pause_rollout": "resume_rollout",
    "call_webhook": "recall_webhook",
}
KINDS = frozenset(UNDO) | {"roll_back_rollout"}


def faults_of(responses: Any) -> list[str]:
    """What is wrong with a rule's ``responses``, in words."""
    if not isinstance(responses, Sequence) or isinstance(responses, str):
        return ['a list such as [{"kind": "trip_breaker"}]']
    faults = []
    for entry in responses:
        kind = entry.get("kind") if isinstance(entry, dict) else None
        if kind not in KINDS:
            faults.append(f"kind {kind!r}: one of {', '.join(sorted(KINDS))}")
        elif kind == "call_webhook" and not entry.get("target"):
            faults.append("call_webhook: its target is the name of a web hook channel")
        elif unknown := sorted(entry.keys() - {"kind", "target", "parameters"}):
            faults.append(f"{kind}: unknown {', '.join(unknown)}")
    return faults
