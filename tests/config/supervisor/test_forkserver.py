"""Programs that start in copies of one warm process, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.launch import BASE_DIR
from config.processes import ended_children, identity, wait_gone
from config.supervisor.child import Child, Program
from config.supervisor.forked import ForkServer
from config.supervisor.programs import LOADED_ONCE
from tests.config.supervisor.test_child import news_of, until

# Any module that is there everywhere: it prints what it sees, and may wait.
TELLING = """
import os, sys, time
print(__name__, sys.argv[1:], os.environ.get("SHADE"), os.getppid(), os.nice(0), flush=True)
print("json" in sys.modules and sys.modules["json"].loaded_at, flush=True)
time.sleep(float(sys.argv[1]))
raise SystemExit(7)
"""


@pytest.fixture
def forks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    (tmp_path / "telling.py").write_text(TELLING)
    (tmp_path / "warm.py").write_text("import json, os\njson.loaded_at = os.getpid()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    server = ForkServer(["warm", "not_there"], log=tmp_path / "forkserver.log")
    server.start()
    yield server
    server.stop()


def telling(tmp_path: Path, forks: ForkServer, seconds: str, **options: object) -> Child:
    argv = (sys.executable, "-m", "telling", seconds)
    env = {"SHADE": "green", "RATCHET_PROCESS": "ratchet-told"}
    program = Program("told", argv, env, **options)  # type: ignore[arg-type]
    return Child(program, logs=tmp_path, forks=forks, draw=lambda: 0.0)


def test_a_module_runs_in_a_copy_that_is_our_child_and_has_what_was_loaded(
    forks: ForkServer, tmp_path: Path
) -> None:
    one = telling(tmp_path, forks, "0", niceness=3)
    one.start(dict(os.environ))
    assert "exit code 7" in news_of(one)
    seen, loaded_by = one.log.read_text().splitlines()
    assert seen == f"__main__ ['0'] green {os.getpid()} {os.nice(0) + 3}"
    assert loaded_by not in {"False", str(os.getpid())}
    assert (tmp_path / "forkserver.log").read_text() == ""
    one.finished()


def test_one_server_that_ends_leaves_the_copies_of_another_to_us(
    forks: ForkServer, tmp_path: Path
) -> None:
    other = ForkServer(["warm"], log=tmp_path / "other.log")
    other.start()
    other.stop()
    copy = forks.run("telling", ["0"], log=tmp_path / "told.log", env={**os.environ})
    assert copy is not None and copy.wait(30) == 7


def test_a_copy_is_signalled_restarted_and_dies_with_its_group(
    forks: ForkServer, tmp_path: Path
) -> None:
    one = telling(tmp_path, forks, "60")
    one.start(dict(os.environ))
    until(lambda: one.log.exists() and "__main__" in one.log.read_text())
    first = one.identity
    assert first is not None
    title = Path(f"/proc/{first.pid}/cmdline").read_text().strip("\0 ")
    assert title == "ratchet-told -m telling 60"
    assert os.getpgid(first.pid) == os.getsid(first.pid) == first.pid
    one.send(signal.SIGKILL)
    assert "killed by SIGKILL" in news_of(one)
    assert news_of(one) == "told started again"
    assert one.identity not in {None, first}
    one.send(signal.SIGTERM)
    until(one.finished)


def test_without_the_server_programs_start_as_they_would_alone(
    forks: ForkServer, tmp_path: Path
) -> None:
    assert forks._process is not None
    os.kill(forks._process.pid, signal.SIGKILL)
    one = telling(tmp_path, forks, "0", niceness=2)
    one.start({**os.environ, "PYTHONPATH": str(tmp_path)})
    assert "exit code 7" in news_of(one)
    seen, loaded_by = one.log.read_text().splitlines()
    assert seen == f"__main__ ['0'] green {os.getpid()} {os.nice(0) + 2}"
    assert loaded_by == "False"
    one.finished()


def test_a_log_that_cannot_be_opened_is_an_error_before_anything_starts(
    forks: ForkServer, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        forks.run("telling", ["0"], log=tmp_path / "no" / "log", env={})


# The whole of ``up`` in small: it dies without a word, and nothing of it stays.
KILLED = """
import os, signal, sys
from pathlib import Path
from config.supervisor.forked import ForkServer

forks = ForkServer([], log=Path(sys.argv[1]) / "forkserver.log")
forks.start()
one = forks.run("telling", ["60"], log=Path(sys.argv[1]) / "told.log", env=dict(os.environ))
print(one.pid, forks._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_copies_and_server_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "telling.py").write_text(TELLING)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path],
        env={**os.environ, "PYTHONPATH": f"{BASE_DIR}:{tmp_path}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    for pid in done.stdout.split():
        who = identity(int(pid))
        assert who is None or wait_gone(who, seconds=10)


def test_a_copy_that_was_orphaned_before_it_was_adopted_ends_at_once() -> None:
    gone, forker = subprocess.Popen([sys.executable, "-c", "pass"]), 1
    gone.wait()
    code = (
        f"from config.supervisor.forkserver import _be_adopted as b; b({gone.pid}, {forker}); 1/0"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=BASE_DIR, timeout=60, check=False)
    assert done.returncode == 0


def test_an_orphan_of_a_child_is_known_until_it_is_waited_for(
    forks: ForkServer, tmp_path: Path
) -> None:
    code = (
        "import os, subprocess, sys\n"
        "sub = subprocess.Popen([sys.executable, '-c', 'pass'], start_new_session=True)\n"
        "print(sub.pid, flush=True)\n"
        "os._exit(0)\n"  # an interpreter that ends properly waits for those that have ended
    )
    parent = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    orphan = int(parent.stdout)
    until(lambda: orphan in ended_children())
    os.waitpid(orphan, 0)
    assert orphan not in ended_children()


def test_what_is_loaded_once_reads_no_settings_and_no_analysis_library() -> None:
    code = (
        "import sys\n"
        "from config.supervisor.forkserver import load\n"
        "load(sys.argv[1:])\n"
        "from django.conf import settings\n"
        "import threading\n"
        "heavy = {'pandas', 'pyarrow', 'scipy', 'statsmodels'} & set(sys.modules)\n"
        "assert not settings.configured and not heavy, heavy\n"
        "assert threading.active_count() == 1\n"
        "missing = set(sys.argv[1:]) - set(sys.modules)\n"
        "assert not missing, missing\n"
    )
    subprocess.run([sys.executable, "-c", code, *LOADED_ONCE], check=True, cwd=BASE_DIR)
