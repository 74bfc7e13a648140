"""Processes together: restarted while they should run, stopped in order."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import psycopg
import pytest

from config import embedded
from config.supervisor.child import Child, Program
from config.supervisor.fleet import Fleet

# Writes a line when it is up and another when it stops, all into one file.
POLITE = """
import signal, sys, time
out = open({order!r}, "a", buffering=1)
def stop(*_):
    time.sleep(0.05)
    print("stopped {name}", file=out)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("up {name}", file=out)
while True:
    time.sleep(1)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", file=open({order!r}, "a", buffering=1))
while True:
    time.sleep(1)
"""


def fleet_of(tmp_path: Path, *programs: Program) -> tuple[Fleet, list[str]]:
    said: list[str] = []
    children = [Child(program, logs=tmp_path, draw=lambda: 0.0) for program in programs]
    environment = {**os.environ}
    made = Fleet(children, services=None, environment=lambda _: environment, say=said.append)
    return made, said


def polite(tmp_path: Path, name: str, stage: int) -> Program:
    code = POLITE.format(order=str(tmp_path / "order"), name=name)
    return Program(name, (sys.executable, "-c", code), stage=stage)


def wait_lines(tmp_path: Path, count: int, fleet: Fleet | None = None) -> list[str]:
    order = tmp_path / "order"
    deadline = time.monotonic() + 60
    while True:
        lines = order.read_text().splitlines() if order.exists() else []
        if len(lines) >= count:
            return lines
        assert time.monotonic() < deadline, lines
        if fleet:
            fleet.tick()
        time.sleep(0.02)


def test_a_stop_reaches_the_doors_before_the_workers_and_these_before_what_they_lean_on(
    tmp_path: Path,
) -> None:
    programs = [polite(tmp_path, name, stage) for name, stage in
                (("model", 2), ("web", 0), ("io1", 1), ("beat", 0))]  # fmt: skip
    fleet, said = fleet_of(tmp_path, *programs)
    fleet.start()
    wait_lines(tmp_path, 4)
    fleet.stop()
    stopped = [line.split()[1] for line in wait_lines(tmp_path, 8)[4:]]
    assert set(stopped[:2]) == {"web", "beat"}
    assert stopped[2:] == ["io1", "model"]
    assert not any(child.running for child in fleet.children)
    assert said == []


def test_a_killed_child_is_started_again_by_the_tick(tmp_path: Path) -> None:
    fleet, said = fleet_of(tmp_path, polite(tmp_path, "io1", 1))
    fleet.start()
    wait_lines(tmp_path, 1)
    fleet.children[0].send(signal.SIGKILL)
    assert wait_lines(tmp_path, 2, fleet) == ["up io1", "up io1"]
    assert len(said) == 2
    assert fleet.changed
    assert fleet.identities()["io1"].alive
    fleet.stop()


def test_who_ignores_the_grace_is_killed_and_named(tmp_path: Path) -> None:
    code = DEAF.format(order=str(tmp_path / "order"))
    deaf = Program("deaf", (sys.executable, "-c", code), grace_seconds=0.3)
    fleet, said = fleet_of(tmp_path, deaf)
    fleet.start()
    wait_lines(tmp_path, 1)
    fleet.stop()
    assert said == ["deaf did not stop in time (0.3 s are over); killed"]
    assert not fleet.children[0].running


def test_a_hurry_cuts_the_grace_short(tmp_path: Path) -> None:
    code = DEAF.format(order=str(tmp_path / "order"))
    deaf = Program("deaf", (sys.executable, "-c", code), grace_seconds=600.0)
    fleet, _ = fleet_of(tmp_path, deaf)
    fleet.start()
    wait_lines(tmp_path, 1)
    began = time.monotonic()
    fleet.stop(hurry=lambda: True)
    assert time.monotonic() - began < 60


def test_a_child_waiting_for_its_restart_is_not_started_by_a_stop(tmp_path: Path) -> None:
    fleet, _ = fleet_of(tmp_path, Program("brief", (sys.executable, "-c", "raise SystemExit(1)")))
    fleet.start()
    deadline = time.monotonic() + 60
    while fleet.children[0].restart_at is None:
        fleet.tick()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    fleet.stop()
    time.sleep(0.6)
    fleet.tick()
    assert not fleet.children[0].running


@pytest.mark.usefixtures("used")
def test_killed_servers_come_back_at_their_addresses_with_their_data(home: Path) -> None:
    handle = embedded.start(home)
    said: list[str] = []
    fleet = Fleet([], services=handle, environment=lambda _: {}, say=said.append)
    try:
        with psycopg.connect(handle.services.database_owner_url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (id int)")
            connection.execute("INSERT INTO kept VALUES (7)")
        for server in handle._servers:
            assert server.process is not None
            server.process.kill()
            server.process.wait()
        deadline = time.monotonic() + 60
        row = None
        while row is None or handle.dead():
            fleet.tick()
            try:
                with psycopg.connect(handle.services.database_url) as connection:
                    row = connection.execute("SELECT id FROM kept").fetchone()
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, said
                time.sleep(0.05)
        assert row == (7,)
        assert embedded.running(home) == handle.services
        assert [line for line in said if line.startswith("PostgreSQL ended")]
        assert [line for line in said if line.startswith("Redis ended")]
    finally:
        fleet.release()
    assert embedded.running(home) is None
