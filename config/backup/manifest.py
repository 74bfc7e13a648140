"""What a backup folder holds, written last, so that a folder with a manifest is a whole backup."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from config.errors import AppError

NAME = "manifest.json"
FORMAT = 1
DATABASE = "database.dump"
SECRET = "secret_key"  # noqa: S105  (a file's name)
PEOPLE = "people.json"
ARTIFACTS = "artifacts"
AUDIT = "audit"
_BLOCK_BYTES = 2**20


class BadBackup(AppError):
    """A folder that is no backup, or no longer the one that was made."""

    code, http_status = "bad_backup", 422

    def __init__(self, folder: str, why: str) -> None:
        super().__init__(folder, why)
        self.folder, self.why = folder, why

    def __str__(self) -> str:
        return f"{self.folder}: {self.why}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """``files`` by path: size and SHA-256. ``migrations`` are those that the database had."""

    made_at: str
    postgres: str
    database: str
    roles: dict[str, str]
    migrations: list[str]
    files: dict[str, dict[str, Any]]
    format: int = FORMAT

    @property
    def bytes(self) -> int:
        return sum(int(entry["bytes"]) for entry in self.files.values())


def described(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and digest of every file below ``folder``."""
    return {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": digest(path)}
        for path in _files(folder)
    }


def write(folder: Path, manifest: Manifest) -> None:
    (folder / NAME).write_text(json.dumps(asdict(manifest), indent=1) + "\n")


def read(folder: Path) -> Manifest:
    """The manifest of a backup whose every file is there as it was written.

    Raises BadBackup for anything else, naming the first file that differs.
    """
    try:
        raw = json.loads((folder / NAME).read_text())
        manifest = Manifest(**raw)
    except FileNotFoundError:
        raise BadBackup(str(folder), f"no backup: it has no {NAME}") from None
    except NotADirectoryError:
        raise BadBackup(str(folder), "no folder; give the folder that backup made") from None
    except (OSError, ValueError, TypeError) as error:
        raise BadBackup(str(folder), f"its {NAME} cannot be read: {error}") from None
    if manifest.format != FORMAT:
        raise BadBackup(str(folder), f"format {manifest.format}; this version reads {FORMAT}")
    for name, entry in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise BadBackup(str(folder), f"{name} is missing")
        if path.stat().st_size != entry["bytes"] or digest(path) != entry["sha256"]:
            raise BadBackup(str(folder), f"{name} is not what was backed up")
    for needed in (DATABASE, SECRET):
        if needed not in manifest.files:
            raise BadBackup(str(folder), f"it holds no {needed}")
    return manifest


def digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            found.update(block)
    return found.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != NAME)
