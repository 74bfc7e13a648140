"""Start the offline model as users do: a process of its own, on a port of the system's choice."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai

STOP_SECONDS = 10


@dataclass(frozen=True)
class Server:
    """A running server: where it is, and clients of it."""

    url: str
    process: subprocess.Popen[str]
    # Closed with the server: a socket left to the garbage collector warns in another test.
    clients: list[openai.OpenAI] = field(default_factory=list)

    def client(self, **options: Any) -> openai.OpenAI:
        """The official client, without retries of its own."""
        wanted = {"base_url": self.url, "api_key": "any", "max_retries": 0, **options}
        self.clients.append(openai.OpenAI(**wanted))
        return self.clients[-1]

    def async_client(self, **options: Any) -> openai.AsyncOpenAI:
        """The official asynchronous client."""
        wanted = {"base_url": self.url, "api_key": "any", "max_retries": 0, **options}
        return openai.AsyncOpenAI(**wanted)

    @property
    def root(self) -> str:
        """The address without the version."""
        return self.url.removesuffix("/v1")

    def behave(self, profile: dict[str, Any]) -> None:
        """Put another behaviour profile in force."""
        address = f"{self.root}/admin/profile"
        # A client for each post would take longer than all else.
        with urllib.request.urlopen(address, json.dumps(profile).encode()):  # 400 and above raise
            pass


@contextmanager
def serve(
    state_dir: Path, *, seed: int = 0, profile: Path | None = None, check_exit: bool = True
) -> Iterator[Server]:
    """A server for as long as the block lasts; it must stop cleanly when told to."""
    command = [sys.executable, "-m", "agents.offline_model", "--port", "0", "--seed", str(seed)]
    command += ["--state-dir", str(state_dir)]
    command += ["--profile", str(profile)] if profile else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        announced = process.stdout.readline().split()
        assert announced, f"the server ended with {process.wait(STOP_SECONDS)}"
        server = Server(announced[-1], process)
        try:
            yield server
        finally:
            for client in server.clients:
                client.close()
    finally:
        process.terminate()
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        process.stdout.close()
    if check_exit:
        assert code == 0
