"""A LiteLLM proxy in an environment of its own, before the same offline model."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.benchmarks.peers.programs import environment

KEY = "sk-bench"
START_SECONDS = 120.0
_PACKAGES = ("litellm[proxy]",)


@contextmanager
def serving(model_url: str) -> Iterator[str | None]:
    """The proxy's address; None where it can't be installed or does not start."""
    python = environment("litellm", *_PACKAGES)
    if python is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="ratchet-litellm-") as folder:
        config = Path(folder, "config.yaml")
        config.write_text(json.dumps(_config(model_url)))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        program = Path(python).with_name("litellm")
        argv = [program, "--config", config, "--host", "127.0.0.1", "--port", str(port)]
        # Its price list would be fetched from elsewhere otherwise.
        env = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
        for name in ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"):
            env.pop(name, None)
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(argv, env=env, stdout=log, stderr=log, cwd=folder)
        try:
            url = f"http://127.0.0.1:{port}"
            yield url if _ready(url, process) else None
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _config(model_url: str) -> dict[str, object]:
    parameters = {"model": "openai/offline-standard", "api_base": model_url, "api_key": "none"}
    return {
        "model_list": [{"model_name": "offline-standard", "litellm_params": parameters}],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"telemetry": False},
    }


def _ready(url: str, process: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/health/liveliness", timeout=5.0).is_success:
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    return False
