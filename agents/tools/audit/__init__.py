"""The audit tools on plain inputs: small computations of the standards, without a ledger."""

from agents.tools.audit import (
    acceptance,
    analytics,
    completion,
    controls,
    fraud,
    going_concern,
    group,
    materiality,
    planning,
    reporting,
    sampling,
)

__all__ = [
    "acceptance",
    "analytics",
    "completion",
    "controls",
    "fraud",
    "going_concern",
    "group",
    "materiality",
    "planning",
    "reporting",
    "sampling",
]
