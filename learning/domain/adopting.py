"""Whether the winner of a workflow's experiment may be made current without a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LOW = "low"


def needs_person(
    *,
    improvement_risk: str | None,
    agent_risks: Mapping[str, str],
    present: Mapping[str, Any],
    winner: Mapping[str, Any],
) -> str:
    """Why a person has to decide, in words; empty where a machine may.

    ``agent_risks``: agent → risk, of all agents that the winner's runs ask. ``present`` and
    ``winner`` are versions with their ``id``, ``approvals`` (step → settings), ``writes`` (tools
    that are not idempotent) and ``workflows`` (that they contain).
    """
    if improvement_risk not in (None, LOW):
        return f"the improvement's risk is {improvement_risk}"
    risky = sorted(slug for slug, risk in agent_risks.items() if risk != LOW)
    if risky:
        return f"{', '.join(risky)} {'is' if len(risky) == 1 else 'are'} not of low risk"
    if winner["id"] == present["id"]:
        return ""
    if winner["approvals"] != present["approvals"]:
        return "its approvals are others"
    if winner["writes"]:
        return f"it writes outside ({', '.join(sorted(winner['writes']))})"
    if winner["workflows"]:
        return f"it contains other workflows ({', '.join(sorted(winner['workflows']))})"
    return ""
