"""The offline model as a process of its own, acting out a scenario whose truth it alone reads."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import yaml

from config.errors import InvalidDocument, Unavailable

# What the process exits with when the truth can't be read.
BAD_SCENARIO = 2
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Actor:
    """A running offline model: its address, and the truth when all is decided."""

    url: str

    def tell(self) -> dict[str, Any]:
        """What every candidate truly was; from then on the model answers nobody."""
        address = f"{self.url.removesuffix('/v1')}/admin/truth"
        response = httpx2.post(address, timeout=30)
        response.raise_for_status()
        told: dict[str, Any] = response.json()
        return told


@contextmanager
def acting(path: Path, *, seed: int, candidates: int) -> Iterator[Actor]:
    """The model acting out the scenario of ``path`` for as long as the block lasts.

    Raises InvalidDocument for a truth that it can't read, Unavailable if it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="ratchet-simulation-") as folder:
        # The number of candidates may have been changed on the command line.
        copy = Path(folder, path.name)
        given = yaml.safe_load(path.read_text("utf-8"))
        copy.write_text(yaml.safe_dump({**given, "candidates": candidates}), "utf-8")
        command = [
            sys.executable, "-m", "agents.offline_model", "--port", "0", "--seed", str(seed),
            "--scenario", str(copy), "--state-dir", str(Path(folder, "state")),
        ]  # fmt: skip
        process = subprocess.Popen(  # noqa: S603 (our own module, no shell)
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        try:
            yield Actor(_address(process, path.name))
        finally:
            process.terminate()
            try:
                process.communicate(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def _address(process: subprocess.Popen[str], name: str) -> str:
    said = process.stdout.readline() if process.stdout else ""
    if said:
        return said.split()[-1]
    code, why = process.wait(STOP_SECONDS), process.stderr.read() if process.stderr else ""
    if code == BAD_SCENARIO:
        raise InvalidDocument(name, [{"path": "truth", "message": why.strip()[-600:]}])
    raise Unavailable("offline model", f"it ended with {code}: {why.strip()[-300:]}", 5)
