"""A peer in a virtual environment of its own, and on a PostgreSQL of its own if it wants one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from config import embedded

LIMIT_SECONDS = 600.0


def measure(
    name: str, packages: tuple[str, ...], program: Path, *, database: bool = True,
    given: dict[str, str] | None = None,
) -> dict[str, Any] | None:  # fmt: skip
    """What ``program`` prints last, as JSON; None where its packages can't be installed.

    ``given`` are more variables for it.
    """
    python = environment(name, *packages)
    if python is None:
        return None
    if not database:
        return _printed(python, program, given or {})
    with tempfile.TemporaryDirectory(prefix=f"ratchet-{name}-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        with embedded.start(home, with_redis=False) as handle:
            url, servers = handle.services.database_owner_url, json.dumps(handle.pids())
            env = {"PEER_URL": url, "PEER_SERVERS": servers, **(given or {})}
            return _printed(python, program, env)


def _printed(python: str, program: Path, env: dict[str, str]) -> dict[str, Any] | None:
    # -P: a file beside the program could be taken for its library.
    done = subprocess.run(
        [python, "-P", program], env={**os.environ, **env}, capture_output=True, text=True,
        check=False, timeout=LIMIT_SECONDS,
    )  # fmt: skip
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
