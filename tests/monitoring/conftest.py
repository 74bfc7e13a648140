"""A home folder of its own for whatever a test writes beside the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _own_home(request: pytest.FixtureRequest, settings: Any, tmp_path: Path) -> None:
    if "process_environment" not in request.fixturenames:
        settings.RATCHET_HOME = tmp_path
