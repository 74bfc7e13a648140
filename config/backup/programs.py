"""PostgreSQL's own ``pg_dump`` and ``pg_restore``, from the wheel or from the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
from django.conf import settings
from django.db import connection

from config.embedded import binaries
from config.embedded.errors import ServiceFailed

_CLIENT = "18"


@dataclass(frozen=True, slots=True)
class Database:
    """The installation's database, as the role that owns its tables."""

    host: str
    port: int
    name: str
    owner: str
    password: str
    application: str

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host=self.host, port=self.port, dbname=self.name, user=self.owner,
            password=self.password, connect_timeout=10,
        )  # fmt: skip


def database() -> Database:
    """Where the settings point, with the owner's credentials."""
    owner, app = urlsplit(settings.DATABASE_OWNER_URL), urlsplit(settings.DATABASE_URL)
    return Database(
        host=owner.hostname or "",
        port=owner.port or 5432,
        name=str(connection.settings_dict["NAME"]),
        owner=unquote(owner.username or ""),
        password=unquote(owner.password or ""),
        application=unquote(app.username or ""),
    )


def run(program: str, where: Database, *arguments: str | Path) -> str:
    """Run one of the two against ``where``; its standard output.

    Raises ServiceFailed with the first line of what it said. No password stands on its command
    line.
    """
    argv = [
        _found(program), *(str(one) for one in arguments),
        "--host", where.host, "--port", str(where.port), "--username", where.owner,
        "--dbname", where.name, "--no-password",
    ]  # fmt: skip
    return _done(program, argv, {"PGPASSWORD": where.password, "PGCONNECT_TIMEOUT": "10"})


def contents(dump: Path) -> list[str]:
    """The table of contents of a dump, a line an entry. Raises ServiceFailed for no dump."""
    return _done("pg_restore", [_found("pg_restore"), "--list", os.fspath(dump)], {}).splitlines()


def _done(program: str, argv: Sequence[str], more: dict[str, str]) -> str:
    done = subprocess.run(  # noqa: S603  our own program with our own arguments
        argv, env={**os.environ, **more}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error:" in line]
        told = (lines or done.stderr.splitlines() or ["no reason given"])[0]
        raise ServiceFailed(program, told.partition("error: ")[2] or told)
    return done.stdout


def _found(program: str) -> str:
    try:
        folder = binaries.postgres(_CLIENT)
    except ServiceFailed:
        path = shutil.which(program)
        if path is None:
            raise
        return path
    return os.fspath(folder / program)
