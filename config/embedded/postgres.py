"""PostgreSQL from its wheel: on loopback, SCRAM passwords, an owner and an application role."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from config.embedded import binaries, state
from config.embedded.errors import ServiceFailed
from config.embedded.place import Place
from config.embedded.service import Service
from config.processes import run

DATABASE = "ratchet"
SUPERUSER = "postgres"
OWNER = "ratchet_owner"
APPLICATION = "ratchet_app"
_PROBE_SECONDS = 5

_SETTINGS = {
    "listen_addresses": f"'{state.LOOPBACK}'",
    "unix_socket_directories": "''",  # one way in, and that one asks for a password
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "wal_level": "replica",  # base backups and a standby need no restart
    "synchronous_commit": "on",
    "fsync": "on",
    "password_encryption": "'scram-sha-256'",
    "max_locks_per_transaction": "256",  # a query over years of monthly partitions locks each
    "jit": "off",  # short statements: compiling them costs more than it saves
    "default_text_search_config": "'pg_catalog.english'",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_line_prefix": "'%m [%p] %q%u@%d '",
    "log_lock_waits": "on",
    "log_min_duration_statement": "2000",
}
_MAIN = "postgresql.conf"
_ACCESS = "pg_hba.conf"
_RULES = f"""\
# Written at every start. Nobody enters without a password, and only from this machine.
host all         all         {state.LOOPBACK}/32 scram-sha-256
host replication {SUPERUSER} {state.LOOPBACK}/32 scram-sha-256
"""


class Postgres(Service):
    """The database server of one major version; ``settings`` overrides ours (for tests)."""

    name = "postgres"
    title = "PostgreSQL"
    program = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends sessions, writes a checkpoint

    def __init__(
        self,
        place: Place,
        *,
        version: str,
        settings: Mapping[str, str] | None = None,
        allow_test_databases: bool = False,
    ) -> None:
        super().__init__(place)
        self._programs = binaries.postgres(version)
        self._version = version
        self._settings = {**_SETTINGS, **(settings or {})}
        self._allow_test_databases = allow_test_databases

    @property
    def _folder(self) -> Path:
        return self.place.data / f"postgres-{self._version}"

    @property
    def working_folder(self) -> Path:
        return self._folder / "data"

    def url(self, role: str, database: str = DATABASE) -> str:
        password = state.password(self.place.home, role)
        return f"postgresql://{role}:{password}@{state.LOOPBACK}:{self.port}/{database}"

    def prepare(self) -> None:
        self.place.folder(self._folder.name)
        if not self.place.may_run(self._programs / "postgres"):
            self._programs = binaries.copy_postgres(self._programs, self.place.data)
        if not self.working_folder.exists():
            self._initialise()
        self.place.check_owner(self.working_folder)
        if not state.knows_password(self.place.home, SUPERUSER):
            lost = self.place.home / "secrets.json"
            why = f"{self.working_folder} exists, but {lost} with its passwords is gone"
            raise ServiceFailed(self.title, why)

    def command(self) -> list[str]:
        self._write_configuration()
        program = os.fspath(self._programs / "postgres")
        files = {"config_file": _MAIN, "hba_file": _ACCESS}
        chosen = [f"--{name}={self._folder / file}" for name, file in files.items()]
        return [program, "-D", os.fspath(self.working_folder), "-p", str(self.port), *chosen]

    def answers(self) -> bool:
        try:
            with psycopg.connect(self.url(SUPERUSER, "postgres"), connect_timeout=_PROBE_SECONDS):
                return True
        except psycopg.OperationalError as error:
            if self.alive and "password authentication failed" in str(error):
                why = "the remembered password is not this database's"
                raise ServiceFailed(self.title, why, self.log) from error
            return False

    def reason(self, lines: list[str]) -> str:
        for mark in ("FATAL:", "PANIC:", "ERROR:", "LOG:"):
            for line in reversed(lines):
                if mark in line:
                    return line.partition(mark)[2].strip()
        return lines[-1].strip() if lines else ""

    def ensure_roles(self) -> None:
        """Make the two roles and the database, or put them right; harmless to repeat.

        What every database must have stands in ``template1``, so a test's database has it too:
        pgvector, and the application's right to rows (not to TRUNCATE, not to triggers) of
        everything the owner makes.
        """
        with psycopg.connect(self.url(SUPERUSER, "template1"), autocommit=True) as connection:
            self._ensure_role(connection, OWNER, createdb=self._allow_test_databases)
            self._ensure_role(connection, APPLICATION)
            connection.execute("SET client_min_messages = warning")
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            for rights in (
                "SELECT, INSERT, UPDATE, DELETE ON TABLES",
                "USAGE, SELECT ON SEQUENCES",
            ):
                connection.execute(
                    f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT {rights} TO {APPLICATION}"
                )
        with psycopg.connect(self.url(SUPERUSER, "postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            if found.fetchone() is None:
                connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")

    def _ensure_role(
        self, connection: psycopg.Connection, role: str, *, createdb: bool = False
    ) -> None:
        found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
        if found.fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        # The verifier is made here, so the password never stands in a statement or a log.
        plain = state.password(self.place.home, role).encode()
        verifier = connection.pgconn.encrypt_password(plain, role.encode(), b"scram-sha-256")
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEROLE {} PASSWORD {}").format(
                sql.Identifier(role),
                sql.SQL("CREATEDB" if createdb else "NOCREATEDB"),
                sql.Literal(verifier.decode()),
            )
        )

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there: there is never half of one."""
        partial = self._folder / "data.new"
        secret = self._folder / "init.password"
        try:
            shutil.rmtree(partial, ignore_errors=True)
            secret.unlink(missing_ok=True)
            descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w") as stream:
                stream.write(state.password(self.place.home, SUPERUSER))
            self.place.give(secret)
            self.place.make_data(partial)
            self._initdb(partial, secret)
            partial.rename(self.working_folder)
        except OSError as error:
            why = f"cannot make {self.working_folder}: {error.strerror}"
            raise ServiceFailed(self.title, why) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            secret.unlink(missing_ok=True)

    def _initdb(self, partial: Path, secret: Path) -> None:
        builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        done = run(
            [
                self._programs / "initdb",
                f"--pgdata={partial}",
                f"--username={SUPERUSER}",
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--data-checksums",
                # PostgreSQL 16 has no built-in locale provider.
                *(builtin if int(self._version) >= 17 else []),
                *(["--no-sync"] if self._settings["fsync"] == "off" else []),
            ],
            account=self.place.account,
        )
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if "error:" in line]
            told = (lines or done.stderr.splitlines() or ["no reason given"])[0]
            raise ServiceFailed(self.title, told.removeprefix("initdb: error: "))

    def _write_configuration(self) -> None:
        """Our settings as files outside the data; an operator's ALTER SYSTEM wins over them."""
        lines = [f"{name} = {value}\n" for name, value in self._settings.items()]
        for name, text in ((_MAIN, "".join(lines)), (_ACCESS, _RULES)):
            file = self._folder / name
            try:
                file.write_text(text)
                file.chmod(0o644)  # the server's account reads them; they hold no secret
            except OSError as error:
                raise ServiceFailed(self.title, f"cannot write {file}: {error.strerror}") from error
