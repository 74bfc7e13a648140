"""Prefect with its own server on SQLite: on PostgreSQL it needs ``pg_trgm``, which we lack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.benchmarks.peers import programs

_PACKAGES = ("prefect>=3,<4", "psutil")


def measure() -> dict[str, Any] | None:
    """Steps a second and CPU a step of each shape; None where Prefect can't be installed.

    Flows run inside of two processes, which report each state of a task to the server.
    """
    program = Path(__file__).with_name("prefect_program.py")
    return programs.measure("prefect", _PACKAGES, program, database=False)
