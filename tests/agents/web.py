"""A web process as users run it: uvicorn on a port of the system's choice."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

# A busy machine starts eight processes at once.
START_SECONDS = 180
STOP_SECONDS = 10


@contextmanager
def serve_web(environment: dict[str, str]) -> Iterator[str]:
    """The address of a web process for as long as the block lasts."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        number = str(listening.fileno())
        command = [sys.executable, "-m", "uvicorn", "config.asgi:application", "--fd", number,
                   "--no-access-log", "--log-level", "warning"]  # fmt: skip
        process = subprocess.Popen(
            command, env={**environment, "DATABASE_POOL": "1"}, pass_fds=[listening.fileno()]
        )
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


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(f"{address}/healthz", timeout=START_SECONDS)
            return
        except httpx.TransportError:
            assert process.poll() is None, f"the web process ended with {process.returncode}"
            assert time.monotonic() < until, "the web process does not answer"
            time.sleep(0.05)
