"""A backup taken while everything runs, restored somewhere else, is the same instance."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from config import embedded
from config.access.models import Client
from config.backup import manifest, restoring
from config.embedded import state
from monitoring import audit as auditing
from monitoring.services import audit
from tests import processes, services
from workflows import artifacts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_folders(settings: Any, tmp_path: Path) -> None:
    settings.RATCHET_HOME = tmp_path / "old"
    settings.MEDIA_ROOT = tmp_path / "old" / "artifacts"


@pytest.fixture(scope="module")
def _taken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("taken") / "backup"


@pytest.fixture
def backup(tmp_path: Path, _taken: Path) -> Path:
    """A backup that may be spoiled: a copy of one that is taken once."""
    if not _taken.exists():
        firm = Client.objects.create(slug="firm", name="The firm", is_firm=True)
        artifacts.save(client_id=firm.pk, name="ledger.csv", content=b"what must come back")
        for number in range(5):
            audit(actor="user:1", action="test.thing.done", after={"number": number})
        auditing.seal()
        call_command("backup", str(_taken))
    return shutil.copytree(_taken, tmp_path / "backup")


def manage(*argv: str, **given: str) -> CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return processes.manage(*argv, env={**kept, **given})


def test_a_restored_instance_has_rows_files_rights_and_a_chain_that_holds(
    tmp_path: Path, backup: Path, settings: Any
) -> None:
    """Longer than most: it starts a PostgreSQL of its own, as the command does for a person."""
    home = tmp_path / "new"
    try:
        done = manage("restore", str(backup), "--home", str(home))
        assert done.returncode == 0, done.stderr
        assert "the chain holds; 5 entries" in done.stdout
        assert "append-only is not enforced" not in done.stdout
        assert (home / "secret_key").read_text() == settings.SECRET_KEY
        assert [p.read_bytes() for p in (home / "artifacts").rglob("*.bin")] == [
            b"what must come back"
        ]
        with embedded.start(home, with_redis=False) as handle:
            with psycopg.connect(handle.services.database_url) as server:
                rows = server.execute("SELECT name FROM access_client").fetchall()
                assert rows == [("The firm",)]
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    server.execute("DELETE FROM monitoring_auditentry")
    finally:
        services.remove_home(home)


def test_writers_go_on_while_a_backup_is_taken_and_it_is_of_one_moment(tmp_path: Path) -> None:
    stop, written = threading.Event(), []

    def write() -> None:
        while not stop.is_set():
            audit(actor="user:1", action="test.thing.done")
            auditing.seal()
            written.append(1)
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(written) < 3:
            stop.wait(0.01)
        before = len(written)
        call_command("backup", str(tmp_path / "b"))
        during = len(written) - before
    finally:
        stop.set()
        writer.join()
    assert during > 0
    found = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert "database.dump" in found["files"]
    # The checkpoint is never newer than the log beside it: it would call the log truncated.
    head = json.loads((tmp_path / "b" / "audit" / "head.json").read_text())
    assert before - 1 <= head["number"] <= len(written)
    assert (tmp_path / "b").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "no backup"),
        (lambda folder: (folder / "database.dump").write_bytes(b"x"), "not what was backed up"),
        (lambda folder: (folder / "secret_key").unlink(), "secret_key is missing"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "cannot be read"),
        (lambda folder: None, "not empty"),
    ],
)
def test_what_is_no_whole_backup_or_no_empty_instance_is_refused(
    backup: Path, spoil: Any, said: str
) -> None:
    spoil(backup)
    before = Client.objects.count()
    with pytest.raises(CommandError, match=said):
        call_command("restore", str(backup))
    assert Client.objects.count() == before


def test_a_backup_of_a_newer_version_is_refused(backup: Path) -> None:
    file = backup / "manifest.json"
    found = json.loads(file.read_text())
    file.write_text(json.dumps({**found, "migrations": [*found["migrations"], "agents.9999_new"]}))
    with pytest.raises(CommandError, match=r"newer version \(it has agents.9999_new\)"):
        call_command("restore", str(backup))


def test_only_a_backup_that_lacks_a_migration_is_migrated(backup: Path) -> None:
    found = manifest.read(backup)
    assert restoring._check_migrations(backup, found) == set()
    older = replace(found, migrations=found.migrations[:-1])
    assert restoring._check_migrations(backup, older) == {found.migrations[-1]}


def test_a_folder_in_use_is_no_place_for_a_backup(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(CommandError, match="not empty; give a new folder"):
        call_command("backup", str(tmp_path / "full"))
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A database with roles of its own names, made as the documentation says."""
    home, address = services.home(), urlsplit(os.environ["DATABASE_OWNER_URL"])
    tag = uuid4().hex[:8]
    owner, app, name = f"keeper_{tag}", f"server_{tag}", f"elsewhere_{tag}"
    at = f"{address.hostname}:{address.port}"
    root = f"postgresql://postgres:{state.password(home, 'postgres')}@{at}/"
    with psycopg.connect(f"{root}postgres", autocommit=True) as server:
        for role in (owner, app):
            server.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{tag}'")
        server.execute(f"CREATE DATABASE {name} OWNER {owner} TEMPLATE template0")
    with psycopg.connect(f"{root}{name}", autocommit=True) as server:
        server.execute("CREATE EXTENSION vector")
        for rights in ("SELECT, INSERT, UPDATE, DELETE ON TABLES", "USAGE, SELECT ON SEQUENCES"):
            server.execute(f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT {rights} TO {app}")
    yield {
        "DATABASE_URL": f"postgresql://{app}:{tag}@{at}/{name}",
        "DATABASE_OWNER_URL": f"postgresql://{owner}:{tag}@{at}/{name}",
        "REDIS_URL": os.environ["REDIS_URL"],
    }
    with psycopg.connect(f"{root}postgres", autocommit=True) as server:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        server.execute(f"DROP ROLE {app}, {owner}")


@pytest.mark.slow
def test_a_database_of_ones_own_with_other_roles_takes_a_backup_and_keeps_the_log_append_only(
    tmp_path: Path, backup: Path, elsewhere: dict[str, str]
) -> None:
    done = manage("restore", str(backup), "--home", str(tmp_path / "new"), **elsewhere)
    assert done.returncode == 0, done.stderr
    assert "the chain holds; 5 entries" in done.stdout
    assert "append-only is not enforced" not in done.stdout
    with psycopg.connect(elsewhere["DATABASE_URL"], autocommit=True) as server:
        assert server.execute("SELECT name FROM access_client").fetchall() == [("The firm",)]
        server.execute("UPDATE access_client SET name = 'Moved'")
        log = "monitoring_auditentry"
        for forbidden in (f"DELETE FROM {log}", f"UPDATE {log} SET actor = 'x'",
                          f"TRUNCATE {log}", f"ALTER TABLE {log} DISABLE TRIGGER ALL"):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                server.execute(forbidden)
        month = server.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            " WHERE inhparent = 'monitoring_auditentry'::regclass"
        ).fetchone()
        assert month is not None
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            server.execute(f"DELETE FROM {month[0]}")
    again = manage("restore", str(backup), "--home", str(tmp_path / "next"), **elsewhere)
    assert again.returncode == 1 and "not empty" in again.stderr


def test_a_restore_that_does_not_verify_leaves_a_database_of_ones_own_empty(
    tmp_path: Path, backup: Path, elsewhere: dict[str, str]
) -> None:
    audits = next((backup / "audit").rglob("head.json"))
    head = json.loads(audits.read_text())
    audits.write_text(json.dumps({**head, "number": head["number"] + 7}))
    described = json.loads((backup / "manifest.json").read_text())
    described["files"].update(manifest.described(backup))
    (backup / "manifest.json").write_text(json.dumps(described))
    done = manage("restore", str(backup), "--home", str(tmp_path / "new"), **elsewhere)
    assert done.returncode == 1 and "nothing was kept" in done.stderr, done.stderr
    with psycopg.connect(elsewhere["DATABASE_OWNER_URL"]) as server:
        left = server.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p')"
        ).fetchall()
    assert left == []
