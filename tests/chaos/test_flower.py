"""What operators see of a run in Flower, the one that is shipped, beside real workers."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.supervisor.programs import Ports, programs
from tests import processes
from tests.workflows.conftest import Begin
from tests.workflows.workers import QUICK, ended, wait_for, worker

pytestmark = [
    pytest.mark.slow, pytest.mark.worker, pytest.mark.django_db(transaction=True),
]  # fmt: skip
AUTH = ("ops", "secret")


def test_every_task_of_a_run_is_in_flower_under_the_runs_id(
    process_environment: dict[str, str], begin: Begin, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shipped = programs(Ports(0, port, 0), host="127.0.0.1", flower_auth=":".join(AUTH))
    flower = next(program for program in shipped if program.name == "flower")
    env = {**process_environment, **flower.env}
    log = tmp_path / "flower.log"
    server = processes.start(*flower.argv[2:], env=env, log=log)
    url = f"http://127.0.0.1:{port}"
    try:
        with worker({**process_environment, **QUICK}, tmp_path) as one:
            wait_for(lambda: _answers(url), 120, log.read_text)
            assert httpx.get(f"{url}/api/tasks").status_code == 401
            run = begin(
                "name: watched\nsteps:\n  a: {tool: core.sleep, with: {seconds: 0}}\n"
                "  b: {needs: [a], tool: core.sleep, with: {seconds: 0}}\n"
                "  c: {needs: [a], tool: core.sleep, with: {seconds: 0}}\n"
            )
            wait_for(lambda: ended(run), 90, lambda: one.said)
            mine: list[dict[str, Any]] = []

            def all_there() -> bool:
                mine[:] = [task for task in _tasks(url) if task["root_id"] == str(run.pk)]
                return [task["state"] for task in mine].count("SUCCESS") >= 3

            wait_for(all_there, 60, log.read_text)
        assert {task["name"] for task in mine} == {"workflows.run_steps"}
        steps = {str(pk) for pk in run.steps.filter(kind="tool").values_list("id", flat=True)}
        assert all(any(step in task["args"] for task in mine) for step in steps)
        page = httpx.get(f"{url}/task/{mine[0]['uuid']}", auth=AUTH)
        assert str(run.pk) in page.text
    finally:
        server.kill()
        server.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/tasks", auth=AUTH, timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def _tasks(url: str) -> list[dict[str, Any]]:
    return list(httpx.get(f"{url}/api/tasks", auth=AUTH, timeout=30).json().values())
