"""DBOS, with its workers polling every 50 ms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.benchmarks.peers import programs
from tests.benchmarks.workloads import random_levels

_PACKAGES = ("dbos>=3.4,<4", "psutil")


def measure() -> dict[str, Any] | None:
    """Steps a second and CPU a step of each shape; None where DBOS can't be installed.

    Its workflows are programs, so the random DAG goes level by level.
    """
    program = Path(__file__).with_name("dbos_program.py")
    given = {"PEER_LEVELS": json.dumps(random_levels(500))}
    return programs.measure("dbos", _PACKAGES, program, given=given)
