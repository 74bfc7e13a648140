"""A whole instance in the foreground, with small programs in the places of the real ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config import embedded
from config.processes import Identity, wait_gone
from config.supervisor import instance, preparation
from config.supervisor.errors import StartFailed
from config.supervisor.up import options_from

ROOT = Path(__file__).parents[3]
used = pytest.mark.usefixtures("used")
# The instance with a web server that is always ready and one worker; the job is given.
PROGRAM = """
import sys, threading
from rich.console import Console
from config.supervisor import preparation, up
from config.supervisor.child import Program

WEB = '''
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
'''
WORKER = "import os, time; print(os.environ['DATABASE_URL'][:26], flush=True); time.sleep(60)"

def programs(ports, **rest):
    return [
        Program("web", (sys.executable, "-c", WEB, str(ports.web))),
        Program("io1", (sys.executable, "-c", WORKER), stage=1, grace_seconds=1.0),
    ]

def job(*, url, stopped, console, **rest):
    console.print("job at " + url, soft_wrap=True)
    return {outcome}

up.programs = programs
up.LOADED_ONCE = ()  # what these programs have in common is nothing
preparation.is_current = lambda home, url: True
options, _ = up.options_from(sys.argv[1:])
sys.exit(up.Up(options, job=job, console=Console(width=200)).run())
"""


def argv(*options: str, outcome: str = "True") -> list[str]:
    program = PROGRAM.replace("{outcome}", outcome)
    return [sys.executable, "-c", program, "--port", "0", *options]


def environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "RATCHET_HOME": str(home), "PYTHONPATH": str(ROOT)}


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(words), env=environment(home), cwd=ROOT, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip


@contextmanager
def foreground(home: Path) -> Iterator[tuple[subprocess.Popen[str], instance.Instance]]:
    """A serving instance and what it says of itself."""
    with subprocess.Popen(
        argv(), env=environment(home), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as up:
        try:
            deadline = time.monotonic() + 60
            while not (
                (found := instance.running(home))
                and found.ready
                and {"web", "io1"} <= set(found.children)
            ):
                assert up.poll() is None, up.stdout and up.stdout.read()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield up, found
        finally:
            up.kill()


def nothing_left(home: Path, *known: Identity) -> bool:
    """Whether everything is gone; after a kill, the servers take a moment to end properly."""
    deadline = time.monotonic() + 60
    while embedded.running(home) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    return (
        instance.running(home) is None
        and embedded.running(home) is None
        and all(wait_gone(who, seconds=60) for who in known)
    )


@used
def test_once_exits_with_the_jobs_outcome_and_leaves_nothing_running(home: Path) -> None:
    good = run(home, *argv("--once"))
    assert good.returncode == 0, good.stdout + good.stderr
    assert "job at http://127.0.0.1:" in good.stdout
    assert "ready in" in good.stdout
    assert nothing_left(home)
    # Children are the application, never the tables' owner.
    assert (home / "logs" / "io1.log").read_text().startswith("postgresql://ratchet_app")
    bad = run(home, *argv("--once", outcome="False"))
    assert bad.returncode == 1
    assert nothing_left(home)


@used
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        *(pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGINT, signal.SIGHUP)),
    ],
)
def test_a_signal_stops_everything_in_order_and_the_exit_is_clean(
    home: Path, number: signal.Signals
) -> None:
    with foreground(home) as (up, found):
        with urllib.request.urlopen(found.url) as answer:
            assert answer.status == 200
        up.send_signal(number)
        assert up.wait(60) == 0
        assert up.stdout is not None
        said = up.stdout.read()
    assert said.index("stopping:") < said.index("stopped")
    assert nothing_left(home, *found.children.values())


@used
def test_a_killed_supervisor_takes_everything_with_it_and_the_next_start_works(home: Path) -> None:
    with foreground(home) as (up, found):
        up.kill()
        up.wait()
        assert nothing_left(home, *found.children.values())
    with foreground(home) as (up, again):
        assert again.url == found.url, "the port of last time was free"
        second = run(home, *argv())
        assert second.returncode != 0
        assert f"process {again.supervisor.pid} already runs" in second.stderr
        up.send_signal(signal.SIGTERM)
        up.wait(60)


def test_a_port_that_is_no_port_is_refused_with_its_value() -> None:
    with pytest.raises(StartFailed, match="PORT='abc': must be a whole number from 0 to 65535"):
        options_from(["--port", "abc"])
    with pytest.raises(StartFailed, match="'70000'"):
        options_from(["--port", "70000"])
    options, demo = options_from(["--port", "0", "--once", "--no-demo"])
    assert (options.port, options.once, demo) == (0, True, False)


def test_a_preparation_stands_until_a_file_the_database_or_the_models_change(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir()
    (tmp_path / "requirements.lock").write_text("a")
    monkeypatch.setattr(preparation, "BASE_DIR", tmp_path)
    applied = ["1:x"]
    monkeypatch.setattr(preparation, "_applied", lambda url: applied[0])
    assert not preparation.is_current(home, "url")
    preparation.stamp(home, "url")
    assert preparation.is_current(home, "url")
    applied[0] = "1:y"
    assert not preparation.is_current(home, "url")
    preparation.stamp(home, "url")
    (tmp_path / "requirements.lock").write_text("b")
    assert not preparation.is_current(home, "url")
    preparation.stamp(home, "url")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://models.example/v1")
    assert not preparation.is_current(home, "url")
