"""Migrations, catalogue and demo people: brought up to date, or known to be.

Django takes seconds to say that there is nothing to do. So the last preparation leaves a stamp:
a digest of every file it depends on, and the database's own list of applied migrations. If both
still hold, there is nothing to do, and that takes milliseconds.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import psycopg

from config.launch import BASE_DIR
from config.supervisor.errors import StartFailed

_STAMP = "prepared.json"
_CONNECT_SECONDS = 10
# What preparing reads. The lock stands for the packages that bring migrations of their own.
_SOURCES = (
    "requirements.lock",
    "*/migrations/*.py",
    "config/access/**/*.py",
    "config/management/commands/*.py",
    "agents/catalogue/**/*",
    "agents/prices.yaml",
    "workflows/library/**/*",
    "monitoring/shipped.py",
)
# And what it reads from the environment: where models answer (agents.loading).
_VARIABLES = ("OPENAI_BASE_URL", "OPENAI_MODELS")
_APPLIED = """
    SELECT (SELECT oid::text FROM pg_database WHERE datname = current_database()),
           md5(string_agg(app || name || applied::text, ',' ORDER BY id))
    FROM django_migrations
"""


def is_current(home: Path, database_url: str) -> bool:
    """Whether the last preparation still stands for these files and this database."""
    with suppress(OSError, ValueError):
        return bool(json.loads((home / _STAMP).read_text()) == _stamp(database_url))
    return False


def prepare(home: Path, env: Mapping[str, str], database_url: str) -> None:
    """Bring the database up to date in a process of its own, as the tables' owner.

    Raises StartFailed with the last line of what the process said.
    """
    log = home / "logs" / "prepare.log"
    argv = [sys.executable, os.fspath(BASE_DIR / "manage.py"), "prepare"]
    with log.open("wb") as output:
        done = subprocess.run(
            argv,
            env={**env, "RATCHET_DB_ROLE": "owner", "RATCHET_PROCESS": "ratchet-prepare"},
            cwd=BASE_DIR,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise StartFailed("database", lines[-1].strip() if lines else "no reason given", log)
    stamp(home, database_url)


def stamp(home: Path, database_url: str) -> None:
    """Write down that this database is prepared from these files."""
    (home / _STAMP).write_text(json.dumps(_stamp(database_url)))


def _stamp(database_url: str) -> dict[str, str]:
    return {
        "files": _digest(_files()),
        "models": hashlib.sha256(_models().encode()).hexdigest(),
        "database": _applied(database_url),
    }


def _models() -> str:
    return "\n".join(os.environ.get(name, "") for name in _VARIABLES)


def _files() -> Iterable[Path]:
    found = {path for pattern in _SOURCES for path in BASE_DIR.glob(pattern) if path.is_file()}
    return sorted(path for path in found if path.suffix != ".pyc")


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(os.fsencode(file.relative_to(BASE_DIR)))
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _applied(database_url: str) -> str:
    """The database's own word on what is applied; empty if it was never prepared."""
    try:
        with psycopg.connect(database_url, connect_timeout=_CONNECT_SECONDS) as connection:
            row = connection.execute(_APPLIED).fetchone()
    except psycopg.errors.UndefinedTable:
        return ""
    except psycopg.OperationalError as error:
        raise StartFailed("database", str(error).splitlines()[0]) from error
    return ":".join(str(part) for part in row or ())
