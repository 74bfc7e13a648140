"""Workers for one command: those of a running instance, or own ones for as long as it needs."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from config.supervisor import instance
from config.supervisor.child import Child, Program
from config.supervisor.errors import StartFailed

_READY_SECONDS = 60.0
_STOP_SECONDS = 10.0
# Everything an instance's workers do, in one process: a command has no idle ones to spare.
_QUEUES = "high,default,low,analysis,control"


@contextmanager
def workers(home: Path, *, model_url_given: bool) -> Iterator[bool]:
    """Have workers (and the offline model, if it is used) while the body runs.

    Gives whether they are the command's own. Raises StartFailed when they do not come up.
    """
    if instance.running(home) is not None:
        yield False
        return
    logs = home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    children: list[Child] = []
    env = dict(os.environ)
    try:
        if not model_url_given:
            port = _free_port()
            env["OFFLINE_MODEL_URL"] = f"http://127.0.0.1:{port}/v1"
            model = ("-m", "agents.offline_model", "--host", "127.0.0.1", "--port", str(port))
            children.append(_start("command-model", model, logs, env))
            _await_port(children[-1], port)
        worker = ("-m", "celery", "-A", "config", "worker", "-P", "threads", "-c", "4", "-E",
                  "-Q", _QUEUES, "-n", f"command-{os.getpid()}@%h",
                  "--without-gossip", "--without-mingle")  # fmt: skip
        children.append(_start("command-worker", worker, logs, {**env, "DATABASE_POOL": "1"}))
        yield True
    finally:
        for child in reversed(children):
            _stop(child)


def _start(name: str, arguments: tuple[str, ...], logs: Path, env: dict[str, str]) -> Child:
    program = Program(name=name, argv=(sys.executable, *arguments))
    child = Child(replace(program, env={"RATCHET_PROCESS": f"ratchet-{name}"}), logs=logs)
    child.fresh_log()
    child.start(env)
    return child


def _stop(child: Child) -> None:
    child.send(signal.SIGTERM)
    until = time.monotonic() + _STOP_SECONDS
    while not child.finished():
        if time.monotonic() > until:
            child.send(signal.SIGKILL)
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_port(child: Child, port: int) -> None:
    until = time.monotonic() + _READY_SECONDS
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if child.identity is None:
            break
        time.sleep(0.1)
    raise StartFailed(child.name, child.last_words(), child.log)
