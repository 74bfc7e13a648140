"""A real server process for a module's tests, with a profile that each test may replace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents.offline_model.process import Server, serve


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the module; ask for ``clean_server`` where the profile is changed."""
    with serve(tmp_path_factory.mktemp("offline-model"), seed=7) as running:
        yield running


@pytest.fixture
def clean_server(server: Server) -> Iterator[Server]:
    """The module's server, whose profile is the default again afterwards."""
    yield server
    server.behave({})


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A directory of its own for a server that is stopped and started."""
    return tmp_path / "state"
