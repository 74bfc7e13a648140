"""Children that are known for certain and do not outlive their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config.processes import (
    Account,
    Identity,
    identity,
    program_name,
    run,
    send_signal,
    spawn,
    wait_gone,
)

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_an_identity_names_one_process_and_not_the_next_one_of_its_number(tmp_path: Path) -> None:
    child = spawn(SLEEP, log=tmp_path / "log")
    who = identity(child.pid)
    assert who is not None
    assert who.alive
    assert not Identity(who.pid, who.start_ticks + 1, who.boot).alive
    assert not Identity(who.pid, who.start_ticks, "another boot").alive
    send_signal(Identity(who.pid, who.start_ticks + 1, who.boot), signal.SIGKILL)
    assert child.poll() is None, "a stranger of the same number was signalled"
    send_signal(who, signal.SIGKILL)
    child.wait(60)
    assert wait_gone(who, seconds=1)


def test_a_zombie_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert identity(child.pid) is None
    child.wait()


def test_a_child_leads_its_own_session_and_writes_to_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = spawn([sys.executable, "-c", "import os; print(os.getsid(0), os.getpid())"], log=log)
    child.wait(60)
    session, pid = log.read_text().split()
    assert session == pid == str(child.pid)


def test_a_child_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from config.processes import spawn\n"
        f"child = spawn({SLEEP!r}, log=Path({str(tmp_path / 'log')!r}))\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        child = identity(int(parent.stdout.readline()))
    assert child is not None
    deadline = time.monotonic() + 60
    while program_name(child.pid) != "python" and time.monotonic() < deadline:
        if "time.sleep" in Path(f"/proc/{child.pid}/cmdline").read_text():
            break
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    assert wait_gone(child, seconds=60)


def test_a_program_that_is_missing_says_so_in_its_log(tmp_path: Path) -> None:
    child = spawn([tmp_path / "nothing"], log=tmp_path / "log")
    assert child.wait(60) == 127
    assert "nothing" in (tmp_path / "log").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_a_child_of_another_account_has_none_of_our_groups_and_can_gain_no_rights(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    child = spawn(
        ["/bin/sh", "-c", "id -u; id -G; grep NoNewPrivs /proc/self/status"],
        log=log,
        account=Account.of_name("nobody"),
    )
    assert child.wait(60) == 0
    uid, groups, privileges = log.read_text().splitlines()
    nobody = Account.of_name("nobody")
    assert (uid, groups) == (str(nobody.uid), str(nobody.gid))
    assert privileges.split()[1] == "1"


def test_a_short_program_returns_its_output_and_code() -> None:
    done = run(["/bin/sh", "-c", "echo out; exit 3"])
    assert (done.stdout, done.returncode) == ("out\n", 3)
