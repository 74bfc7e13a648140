"""Operations tools. Importing the package declares them all."""

from agents.tools.operations import (
    billing,
    calendar,
    communication,
    documents,
    engagements,
    independence,
    month_end,
    quality,
    reports,
    staffing,
    triage,
    working_papers,
)

__all__ = [
    "billing",
    "calendar",
    "communication",
    "documents",
    "engagements",
    "independence",
    "month_end",
    "quality",
    "reports",
    "staffing",
    "triage",
    "working_papers",
]
