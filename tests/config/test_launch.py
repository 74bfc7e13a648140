"""What a command gets before Django reads its settings."""

from __future__ import annotations

import os
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from config import embedded, launch
from config.embedded import Services
from tests import processes


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["manage.py"], False),
        (["manage.py", "--version"], False),
        (["manage.py", "help", "migrate"], False),
        (["manage.py", "migrate", "--help"], False),
        (["manage.py", "scan_text"], False),
        (["manage.py", "makemigrations", "--check"], False),
        (["manage.py", "migrate"], True),
        (["manage.py", "run_workflow", "annual_audit", "--wait"], True),
    ],
)
def test_services_are_started_for_the_commands_that_use_them(
    argv: list[str], expected: bool
) -> None:
    assert launch.needs_services(argv) is expected


def test_given_addresses_win_and_the_owners_is_left_out_where_it_is_not_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "CACHE_URL", "RESULT_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REDIS_URL", "redis://given/0")
    services = Services("app", "owner", "redis://own/0", "redis://own/1")
    assert launch.environment(services, owner=False) == {
        "DATABASE_URL": "app",
        "CACHE_URL": "redis://own/1",
        "RESULT_BACKEND": "redis://own/1",
    }
    assert launch.environment(services)["DATABASE_OWNER_URL"] == "owner"


def manage(home: Path, *argv: str) -> CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return processes.manage(*argv, env={**kept, "RATCHET_HOME": str(home)})


def test_a_command_without_a_database_starts_none(home: Path) -> None:
    done = manage(home, "diffsettings")
    assert done.returncode == 0, done.stderr
    assert not (home / "logs").exists()


def test_a_command_with_a_database_runs_it_for_as_long_as_it_takes(home: Path) -> None:
    code = "from django.db import connection as c; k = c.cursor(); k.execute('SELECT current_user');print(k.fetchone()[0])"  # noqa: E501
    done = manage(home, "shell", "--no-imports", "-c", code)
    assert done.stdout.strip() == "ratchet_app", done.stderr
    assert embedded.running(home) is None


def test_a_command_on_an_instance_that_was_never_started_says_so_in_one_line(home: Path) -> None:
    done = manage(home, "fill_record", "90")
    assert done.returncode == 1
    said = "manage.py: this instance has no tables yet: start it once, `manage.py up`"
    assert said in done.stderr.splitlines() and "Traceback" not in done.stderr


def test_a_service_that_cannot_start_is_one_line_and_no_stack_trace(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = manage(tmp_path / "file" / "home", "showmigrations")
    assert done.returncode == 1
    assert done.stderr.startswith("manage.py: embedded storage failed: cannot make")
    assert len(done.stderr.splitlines()) == 1
