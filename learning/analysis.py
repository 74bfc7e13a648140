"""Analyse statistics that are given, and plan sizes: no database, no server."""

from __future__ import annotations

from typing import Any

from learning.domain.analysis import planning
from learning.domain.analysis.reading import read
from learning.domain.analysis.report import report
from learning.domain.analysis.schema import INPUT

__all__ = ["analyse", "input_schema", "plan"]


def analyse(document: Any) -> dict[str, Any]:
    """The verdict document for a statistics document; raises InvalidInput."""
    return report(read(document))


def plan(document: Any) -> dict[str, Any]:
    """Units and days for a question, by the test that will be used; raises InvalidInput."""
    return planning.plan(document)


def input_schema() -> dict[str, Any]:
    """JSON Schema of what ``analyse`` reads."""
    return INPUT
