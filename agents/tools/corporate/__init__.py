"""The tools of the corporate-services agents; importing the package declares them."""

from agents.tools.corporate import (
    diligence,
    distributions,
    equity,
    money_laundering,
    onboarding,
    restructuring,
    secretarial,
    valuation,
)

__all__ = [
    "diligence",
    "distributions",
    "equity",
    "money_laundering",
    "onboarding",
    "restructuring",
    "secretarial",
    "valuation",
]
