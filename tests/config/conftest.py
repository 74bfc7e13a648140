"""A home folder of its own for a test that starts services itself."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import embedded
from config.embedded import place
from tests import services


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "home"
    yield folder
    services.remove_home(folder)


@pytest.fixture(scope="session")
def _first_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("first") / "home"
    embedded.start(folder, with_redis=False, postgres_settings={"fsync": "off"}).stop()
    yield folder
    services.remove_home(folder)


@pytest.fixture
def used(home: Path, _first_start: Path) -> None:
    """The home has a database that an earlier start made: a copy of one that is stopped."""
    made, first = place.settle(home), place.settle(_first_start)
    shutil.copy2(_first_start / "secrets.json", home)
    source = first.data / "postgres-18" / "data"
    subprocess.run(["cp", "-a", source, made.folder("postgres-18")], check=True)
