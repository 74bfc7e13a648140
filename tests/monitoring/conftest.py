"""A home folder of its own for whatever a test writes beside the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monitoring import history, signs
from monitoring.models import AlertRule
from tests.monitoring.alarming import load_shipped


@pytest.fixture(autouse=True)
def _own_home(request: pytest.FixtureRequest, settings: Any, tmp_path: Path) -> None:
    if "process_environment" not in request.fixturenames:
        settings.RATCHET_HOME = tmp_path


@pytest.fixture
def shipped(db: None) -> None:
    """The shipped rules, without the one that looks at the sweeps, and nothing remembered."""
    load_shipped()
    AlertRule.objects.filter(kind="heartbeat").update(is_active=False)
    history.forget()
    signs._written.clear()
