"""One supervised process, with real children."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from config.processes import identity, wait_gone
from config.supervisor.child import Child, Program


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def child(tmp_path: Path, code: str, **options: object) -> Child:
    program = Program("fake", (sys.executable, "-c", code), **options)  # type: ignore[arg-type]
    return Child(program, logs=tmp_path, draw=lambda: 0.0)


def news_of(one: Child) -> str:
    found: list[str] = []
    until(lambda: (line := one.tick(dict(os.environ))) and found.append(line) is None)
    return found[0]


def test_a_dead_child_is_reported_with_its_reason_and_started_again(tmp_path: Path) -> None:
    one = child(tmp_path, "import time; print('up', flush=True); time.sleep(60)")
    one.start(dict(os.environ))
    until(lambda: "up" in one.log.read_text())
    first = one.identity
    one.send(signal.SIGKILL)
    assert "killed by SIGKILL" in news_of(one)
    assert news_of(one) == "fake started again"
    assert one.identity != first
    one.send(signal.SIGKILL)
    until(one.finished)


def test_deaths_in_a_row_wait_longer_each_time(tmp_path: Path) -> None:
    one = child(tmp_path, "raise SystemExit(3)")
    one.start(dict(os.environ))
    lines = [news_of(one) for _ in range(5)]
    assert "exit code 3" in lines[0]
    assert [line.rpartition("again in ")[2] for line in lines[::2]] == ["0.2 s", "0.5 s", "1.0 s"]
    one.finished()


def test_the_group_of_a_dead_process_is_ended_before_the_next_start(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "sub = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(sub.pid, flush=True)\n"
        "raise SystemExit(1)\n"
    )
    one = child(tmp_path, code)
    one.start(dict(os.environ))
    until(lambda: one.log.exists() and one.log.read_text().endswith("\n"))
    orphan = identity(int(one.log.read_text()))
    news_of(one)
    assert orphan is None or wait_gone(orphan, seconds=30)
    one.finished()


def test_last_words_skip_the_body_of_a_stack_trace(tmp_path: Path) -> None:
    one = child(tmp_path, "def f():\n    raise ValueError('no such port: 99999')\nf()")
    one.start(dict(os.environ))
    news_of(one)
    assert one.last_words() == "ValueError: no such port: 99999"
    one.finished()


def test_the_environment_is_the_instances_with_the_programs_own_on_top(tmp_path: Path) -> None:
    one = child(tmp_path, "import os; print(os.environ['A'], os.environ['B'])", env={"B": "own"})
    one.start({**os.environ, "A": "given", "B": "given"})
    news_of(one)
    assert one.log.read_text() == "given own\n"
    one.finished()


def test_a_start_keeps_the_log_of_the_last_one(tmp_path: Path) -> None:
    one = child(tmp_path, "")
    one.log.write_text("before\n")
    one.fresh_log()
    assert not one.log.exists()
    assert one.log.with_suffix(".log.1").read_text() == "before\n"
