"""A web process as users run it: uvicorn on a port of the system's choice."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from config.supervisor.forked import Forked
from tests import processes

# A busy machine starts eight processes at once.
START_SECONDS = 180
STOP_SECONDS = 10


@contextmanager
def serve_web(
    environment: dict[str, str], application: str = "config.asgi:application"
) -> Iterator[str]:
    """The address of a web process for as long as the block lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with TemporaryDirectory() as folder:
        process = processes.start(
            "uvicorn", application, "--port", str(port), "--no-access-log",
            "--log-level", "warning",
            env={**environment, "DATABASE_POOL": "1"}, log=Path(folder) / "web.log",
        )  # fmt: skip
        try:
            _wait(address, process)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(address: str, process: Forked) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(f"{address}/healthz", timeout=START_SECONDS)
            return
        except httpx.TransportError:
            assert (code := process.poll()) is None, f"the web process ended with {code}"
            assert time.monotonic() < until, "the web process does not answer"
            time.sleep(0.05)
