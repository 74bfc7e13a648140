"""The tools of the accounting agents; importing the package declares them."""

from agents.tools.accounting import (
    assets,
    bank,
    bookkeeping,
    cash_flow,
    closing,
    consolidation,
    inventory,
    leases,
    payables,
    receivables,
    revenue,
    statements,
)

__all__ = [
    "assets",
    "bank",
    "bookkeeping",
    "cash_flow",
    "closing",
    "consolidation",
    "inventory",
    "leases",
    "payables",
    "receivables",
    "revenue",
    "statements",
]
