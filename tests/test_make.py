"""What ``make`` makes of an environment, and what it leaves alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def make(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *argv], cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """An environment whose Python does not start, with something in it."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "precious").touch()
    return tmp_path / "kept"


def test_an_environment_stays_as_it_is_under_another_interpreter(broken: Path) -> None:
    done = make("venv", f"VENV={broken}", "PY=false")
    assert done.returncode == 0, done.stderr
    assert (broken / "precious").exists()


def test_what_a_link_leads_to_is_never_cleared(broken: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(broken)
    done = make("venv", f"VENV={link}")
    assert done.returncode != 0
    assert "remove the link" in done.stderr
    assert (broken / "precious").exists()
