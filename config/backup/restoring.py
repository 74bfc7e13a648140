"""Restoring a backup into an empty instance, and proving it afterwards.

Everything that can be wrong with the backup is found before anything is written. The database
comes in one transaction; what follows it is undone if it fails, so that the instance is empty
again or whole.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from config import logs
from config.backup import manifest, programs
from config.backup.manifest import BadBackup, Manifest
from config.backup.programs import Database
from config.errors import AppError, Conflict
from config.launch import BASE_DIR

logger = logging.getLogger(__name__)

_TABLES = """
SELECT count(*) FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT EXISTS (
    SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
"""
_OWN = """
SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, c.relname, ''
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S')
AND NOT c.relispartition
AND NOT EXISTS (
    -- A partitioned table depends on itself, for its key.
    SELECT 1 FROM pg_depend d
    WHERE d.objid = c.oid AND d.deptype IN ('e', 'i', 'a') AND d.refobjid <> c.oid)
UNION ALL
SELECT 'FUNCTION', p.proname, pg_get_function_identity_arguments(p.oid) FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND NOT EXISTS (
    SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
"""


class RestoreFailed(AppError):
    """The restored instance did not stand the check; it is empty again."""

    code, http_status = "restore_failed", 500

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return f"not restored, nothing was kept: {self.why}"


def restore(folder: Path) -> tuple[Manifest, str]:
    """Fill this empty instance from a backup; what is in it, and what ``verify_audit`` said.

    Raises BadBackup, Conflict if the instance is not empty or has another secret, ServiceFailed
    with what PostgreSQL said, RestoreFailed if the result does not verify.
    """
    found = manifest.read(folder)
    entries = programs.contents(folder / manifest.DATABASE)
    missing = _check_migrations(folder, found)
    where = programs.database()
    _check_empty(where)
    secret = (folder / manifest.SECRET).read_text()
    _check_secret(secret)
    undo: list[Callable[[], Any]] = []
    try:
        undo.append(lambda: _empty(where))
        _database(folder, found, where, entries)
        _folder(folder / manifest.ARTIFACTS, Path(settings.MEDIA_ROOT), undo)
        _folder(folder / manifest.AUDIT, settings.RATCHET_HOME / "audit" / where.name, undo)
        _file(folder / manifest.PEOPLE, settings.RATCHET_HOME / manifest.PEOPLE, undo)
        if not os.environ.get("SECRET_KEY"):
            _file(folder / manifest.SECRET, settings.RATCHET_HOME / manifest.SECRET, undo)
        said = _proved(where, missing)
    except BaseException:
        for step in reversed(undo):
            step()
        raise
    (settings.RATCHET_HOME / "prepared.json").unlink(missing_ok=True)
    logs.event(logger, "config.backup.restored", made_at=found.made_at, files=len(found.files))
    return found, said


def _check_migrations(folder: Path, found: Manifest) -> set[str]:
    """The migrations that this version has and the backup had not."""
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    beyond = sorted(set(found.migrations) - known)
    if beyond:
        raise BadBackup(str(folder), f"made by a newer version (it has {beyond[0]}); install that")
    return known - set(found.migrations)


def _check_empty(where: Database) -> None:
    with where.connect() as server:
        row = server.execute(_TABLES).fetchone()
        if row and row[0]:
            raise Conflict(
                f"database {where.name!r}",
                f"not empty ({row[0]} tables)",
                "an empty instance: give --home FOLDER, or an empty database",
            )
        vector = server.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone()
        if vector is None:
            try:
                server.execute("CREATE EXTENSION vector")
            except psycopg.Error as error:
                raise Conflict(f"database {where.name!r}", f"without pgvector ({error})".strip(),
                               "CREATE EXTENSION vector by a superuser") from None  # fmt: skip
    artifacts = Path(settings.MEDIA_ROOT)
    if artifacts.is_dir() and any(path.is_file() for path in artifacts.rglob("*")):
        raise Conflict(str(artifacts), "not empty", "an empty folder for artifacts")


def _check_secret(secret: str) -> None:
    given = os.environ.get("SECRET_KEY")
    if given and given != secret:
        raise Conflict("SECRET_KEY", "another than the backup's",
                       "the one in its file secret_key, or none")  # fmt: skip


def _database(folder: Path, found: Manifest, where: Database, entries: list[str]) -> None:
    # The extension is the server's, made before; its comment is a superuser's.
    kept = [line for line in entries if " EXTENSION " not in line]
    same_roles = found.roles.get("application") == where.application
    with tempfile.NamedTemporaryFile("w", suffix=".list") as chosen:
        chosen.write("\n".join(kept) + "\n")
        chosen.flush()
        programs.run(
            "pg_restore", where, "--single-transaction", "--exit-on-error", "--no-owner",
            *([] if same_roles else ["--no-acl"]), f"--use-list={chosen.name}",
            folder / manifest.DATABASE,
        )  # fmt: skip
    with where.connect() as server:
        if not same_roles and where.application != where.owner:
            _grant(server, where.application)
        # The new database's default rights gave the application more than the dump says.
        server.execute("SELECT monitoring_guard_audit()")


def _grant(server: psycopg.Connection[Any], application: str) -> None:
    """The rights to rows that the application's role has of everything the owner makes."""
    for rights in (
        "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public",
        "USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public",
    ):
        role = sql.Identifier(application)
        server.execute(sql.SQL("GRANT {} TO {}").format(sql.SQL(rights), role))


def _folder(source: Path, target: Path, undo: list[Callable[[], Any]]) -> None:
    if source.is_dir():
        undo.append(lambda: shutil.rmtree(target, ignore_errors=True))
        shutil.copytree(source, target, dirs_exist_ok=True)


def _file(source: Path, target: Path, undo: list[Callable[[], Any]]) -> None:
    if not source.is_file():
        return
    before = target.read_bytes() if target.exists() else None
    undo.append(
        lambda: target.write_bytes(before) if before is not None else target.unlink(missing_ok=True)
    )
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, partial)
    partial.chmod(0o600)
    partial.replace(target)


def _proved(where: Database, missing: set[str]) -> str:
    """What ``verify_audit`` says of the restored log, in a process that reads the new secret.

    Migrations that the backup had not, which are ``missing``, are applied first.
    """
    environment = {**os.environ, "RATCHET_HOME": str(settings.RATCHET_HOME)}
    said = ""
    for command in (*([["migrate", "--verbosity=0"]] if missing else []), ["verify_audit"]):
        role = "owner" if command[0] == "migrate" else "app"
        done = subprocess.run(  # noqa: S603
            [sys.executable, os.fspath(BASE_DIR / "manage.py"), *command],
            env={**environment, "RATCHET_DB_ROLE": role}, cwd=BASE_DIR,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
        said = lines[-1] if lines else ""
        if done.returncode:
            raise RestoreFailed(f"{command[0]} of {where.name!r}: {said}")
    return said


def _empty(where: Database) -> None:
    """Take away everything that is the owner's: the database is as it was found."""
    with where.connect() as server:
        for kind, name, arguments in server.execute(_OWN).fetchall():
            what = sql.SQL("DROP {} IF EXISTS {}").format(sql.SQL(kind), sql.Identifier(name))
            if kind == "FUNCTION":
                what += sql.SQL(f"({arguments})")
            server.execute(what + sql.SQL(" CASCADE"))
