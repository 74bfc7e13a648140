"""A whole instance with the shipped settings, started as anyone starts it, for benchmarks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from config import embedded
from config.supervisor import instance
from tests.benchmarks.reconciling import Notes

ROOT = Path(__file__).parents[2]
APPS = ("config", "monitoring", "scaling", "agents", "workflows", "learning")
READY_SECONDS = 600.0


@dataclass(frozen=True)
class Bench:
    """A ready instance: its API, its database (read only, please) and its processes."""

    url: str
    key: str
    home: Path
    services: embedded.Services
    supervisor: int
    env: dict[str, str]  # for commands that are to find it

    def client(self) -> httpx.Client:
        """An HTTP client as a user's program has one: kept connections, a bearer key."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=120.0)

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What a look into the database shows. A connection a look would cost more than a step."""
        return self._connection.execute(statement, parameters, prepare=True).fetchall()

    @cached_property
    def notes(self) -> Notes:
        """What the steps of ``tests.benchmarks.noting`` have written down."""
        return Notes(self.home / "notes")

    @cached_property
    def _connection(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.services.database_owner_url, autocommit=True)

    def cpu_seconds(self) -> float:
        """CPU that the instance has used so far: every process, PostgreSQL and Redis included."""
        total = 0.0
        for process in self.processes():
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def processes(self) -> list[psutil.Process]:
        """Every process of the instance."""
        parent = psutil.Process(self.supervisor)
        return [parent, *parent.children(recursive=True)]


def words(process: psutil.Process) -> list[str]:
    """The words of a process's command line: one that set its title has them as one text."""
    return " ".join(process.cmdline()).split()


@contextmanager
def running(*, env: dict[str, str] | None = None, tools: Path | None = None) -> Iterator[Bench]:
    """An instance in a home of its own, without the demo; gone afterwards.

    ``tools`` is one more module of ``agents/tools``, in a copy of the source.
    """
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)  # an unprivileged PostgreSQL has to pass through
        # Its own settings and servers, whatever ours are.
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        settings = {**kept, "RATCHET_HOME": str(home), "LOG_LEVEL": "WARNING",
                    "BENCH_NOTES": str(home / "notes"), **(env or {})}  # fmt: skip
        source = ROOT if tools is None else _with_tools(home / "source", tools)
        argv = [sys.executable, "manage.py", "up", "--no-demo", "--no-flower", "--port", "0"]
        with (home / "up.log").open("wb") as log:
            process = subprocess.Popen(argv, cwd=source, env=settings, stdout=log, stderr=log)
        try:
            found = _await_ready(home, process)
            services = embedded.running(home)
            assert services is not None, "the instance runs on services of its own"
            yield Bench(found.url, _key(settings), home, services, process.pid, settings)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)


def _with_tools(source: Path, tools: Path) -> Path:
    """A copy of what an instance runs from, with the tools of a firm beside the shipped ones."""
    for name in (*APPS, "templates"):
        shutil.copytree(ROOT / name, source / name)
    shutil.copy2(ROOT / "manage.py", source)
    shutil.copy2(tools, source / "agents" / "tools")
    return source


def _await_ready(home: Path, process: subprocess.Popen[bytes]) -> instance.Instance:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        found = instance.running(home)
        if found is not None and found.ready:
            return found
        if process.poll() is not None:
            break
        time.sleep(0.2)
    raise RuntimeError(f"the instance did not start: {(home / 'up.log').read_text()[-2000:]}")


def _key(env: dict[str, str]) -> str:
    made = subprocess.run(
        [sys.executable, "manage.py", "create_key", "admin", "--name", "bench"],
        cwd=ROOT, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return made.stdout.strip().splitlines()[-1]
