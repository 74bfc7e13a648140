"""LangGraph with its PostgreSQL checkpointer, which waits for each checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.benchmarks.peers import programs

_PACKAGES = ("langgraph>=1.2,<2", "langgraph-checkpoint-postgres>=3.2,<4", "psycopg[binary,pool]",
             "psutil")  # fmt: skip


def measure() -> dict[str, Any] | None:
    """Steps a second and CPU a step of each shape; None where LangGraph can't be installed.

    A graph runs inside of one process and commits a superstep, not a step.
    """
    program = Path(__file__).with_name("langgraph_program.py")
    return programs.measure("langgraph", _PACKAGES, program)
