"""DBOS, with its workers polling every 50 ms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.benchmarks.peers import programs

_PACKAGES = ("dbos>=3.4,<4", "psutil")


def measure() -> dict[str, Any] | None:
    """Steps a second and CPU a step of each shape; None where DBOS can't be installed."""
    return programs.measure("dbos", _PACKAGES, Path(__file__).with_name("dbos_program.py"))
