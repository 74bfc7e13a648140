"""One instance of a home folder, and what others may know of it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from config.processes import Identity, identity, myself, wait_gone
from config.supervisor import instance
from config.supervisor.errors import AlreadyRunning

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"  # noqa: E501


def write(home: Path, **children: Identity) -> None:
    instance.write(home, url="http://127.0.0.1:1", flower_url="", ready=True, children=children)


def test_a_second_instance_is_refused_with_the_firsts_pid_and_address(tmp_path: Path) -> None:
    lock = instance.take_lock(tmp_path)
    write(tmp_path)
    with pytest.raises(AlreadyRunning) as caught:
        instance.take_lock(tmp_path)
    assert (caught.value.pid, caught.value.url) == (os.getpid(), "http://127.0.0.1:1")
    assert f"kill {os.getpid()}" in str(caught.value)
    os.close(lock)
    os.close(instance.take_lock(tmp_path))


def test_a_record_tells_of_a_living_supervisor_only_and_to_its_owner_only(tmp_path: Path) -> None:
    assert instance.running(tmp_path) is None
    write(tmp_path, web=myself())
    assert stat.S_IMODE((tmp_path / "up.json").stat().st_mode) == 0o600
    found = instance.running(tmp_path)
    assert found is not None
    assert found.ready
    assert found.children == {"web": myself()}
    record = tmp_path / "up.json"
    record.write_text(record.read_text().replace(str(myself().start_ticks), "1"))
    assert instance.running(tmp_path) is None


def test_a_broken_record_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "up.json").write_text("{")
    assert instance.running(tmp_path) is None
    assert instance.end_leftovers(tmp_path) == []


def test_children_of_a_killed_supervisor_are_ended_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance, "_LEFTOVER_SECONDS", 0.3)
    with subprocess.Popen(
        [sys.executable, "-c", DEAF], stdout=subprocess.PIPE, start_new_session=True
    ) as deaf:
        assert deaf.stdout is not None
        deaf.stdout.readline()
        who = identity(deaf.pid)
        assert who is not None
        write(tmp_path, io1=who, gone=Identity(who.pid, who.start_ticks + 1, who.boot))
        assert instance.end_leftovers(tmp_path) == ["io1"]
        assert wait_gone(who, seconds=60)
