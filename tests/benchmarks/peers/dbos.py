"""DBOS on a PostgreSQL of its own, in an environment of its own: ``pip install dbos`` there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from config import embedded

PROGRAM = Path(__file__).with_name("dbos_program.py")
_PACKAGES = ("dbos>=3.4,<4", "psutil")


def measure() -> dict[str, Any] | None:
    """Steps a second and CPU a step of each shape; None where DBOS can't be installed."""
    python = environment("dbos", *_PACKAGES)
    if python is None:
        return None
    with tempfile.TemporaryDirectory(prefix="ratchet-dbos-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        with embedded.start(home, with_redis=False) as handle:
            env = {
                **os.environ,
                "DBOS_URL": handle.services.database_owner_url,
                "DBOS_SERVERS": json.dumps(handle.pids()),
            }
            argv = [python, "-P", PROGRAM]  # or this very file would be its ``dbos``
            done = subprocess.run(
                argv, env=env, capture_output=True, text=True, check=False, timeout=600
            )
    if done.returncode != 0:
        print(done.stderr[-1000:], flush=True)
        return None
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def environment(name: str, *packages: str) -> str | None:
    """The Python of a virtual environment with ``packages``; None if they can't be had."""
    folder = Path(os.environ.get("BENCH_HOME", Path.home() / ".cache" / "ratchet-bench")) / name
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        made = subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=False)
        pip = [python, "-m", "pip", "install", "--quiet", *packages]
        if made.returncode or subprocess.run(pip, check=False).returncode:
            return None
        (folder / "installed").touch()
    return str(python)
