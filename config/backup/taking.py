"""Taking a backup while everything runs.

The order makes it consistent without stopping anybody: first the audit checkpoints (which may be
older than the log, never newer), then the database in one snapshot, then the artifacts, whose
files are written before their rows and never change.
"""

from __future__ import annotations

import logging
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from config import logs
from config.backup import manifest, programs
from config.backup.manifest import BadBackup, Manifest

logger = logging.getLogger(__name__)


def back_up(folder: Path) -> Manifest:
    """Make ``folder`` a whole backup; returns what is in it.

    Raises BadBackup if it exists and is not empty, ServiceFailed with what PostgreSQL said,
    OSError of the disk. Nothing is left under the name then.
    """
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadBackup(str(folder), "exists and is not empty; give a new folder")
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    partial.mkdir(parents=True, mode=0o700)
    try:
        made = _fill(partial)
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    logs.event(logger, "config.backup.made", files=len(made.files), bytes=made.bytes)
    return made


def _fill(folder: Path) -> Manifest:
    where = programs.database()
    _copy(settings.RATCHET_HOME / "audit" / where.name, folder / manifest.AUDIT)
    programs.run("pg_dump", where, "--format=custom", "--no-owner",
                 f"--file={folder / manifest.DATABASE}")  # fmt: skip
    _copy(Path(settings.MEDIA_ROOT), folder / manifest.ARTIFACTS)
    _secret(folder / manifest.SECRET, settings.SECRET_KEY)
    people = settings.RATCHET_HOME / manifest.PEOPLE
    if people.exists():
        _secret(folder / manifest.PEOPLE, people.read_text())
    with where.connect() as server:
        version = str(server.info.server_version)
    made = Manifest(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        postgres=version,
        database=where.name,
        roles={"owner": where.owner, "application": where.application},
        migrations=sorted(
            f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations()
        ),
        files=manifest.described(folder),
    )
    manifest.write(folder, made)
    return made


def _copy(source: Path, target: Path) -> None:
    """All files below ``source``; one that vanishes meanwhile was erased, and is left out."""
    if not source.is_dir():
        return
    for path in sorted(source.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copy2(path, copy)
            except FileNotFoundError:
                copy.unlink(missing_ok=True)


def _secret(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
