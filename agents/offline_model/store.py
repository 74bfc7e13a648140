"""Things that survive a restart: one directory, a JSON file for each, written whole or not."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agents.offline_model.protocol import ApiError

# Largest uploaded file. A batch holds up to 50,000 lines in the real API.
MAX_FILE_BYTES = 100 * 1024 * 1024
_ID = re.compile(r"^[A-Za-z0-9_-]{1,80}$")


class Store:
    """Objects of each kind (``files``, ``batches``, ``jobs``) by id, and the bytes of files."""

    def __init__(self, directory: Path) -> None:
        self._root = directory
        for kind in ("files", "batches", "jobs"):
            (directory / kind).mkdir(parents=True, exist_ok=True)

    def save(self, kind: str, value: dict[str, Any]) -> dict[str, Any]:
        """Write ``value`` under its id and return it."""
        _write(self._path(kind, value["id"]), json.dumps(value, ensure_ascii=False).encode())
        return value

    def find(self, kind: str, name: str) -> dict[str, Any]:
        """The object ``name``; raises ApiError 404."""
        try:
            return json.loads(self._path(kind, name).read_bytes())
        except FileNotFoundError:
            raise ApiError(404, f"No such {kind.rstrip('s')} object: {name}", param="id") from None

    def listed(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind, newest first."""
        found = [json.loads(path.read_bytes()) for path in (self._root / kind).glob("*.json")]
        return sorted(found, key=lambda one: (-one["created_at"], one["id"]))

    def delete_file(self, name: str) -> None:
        """Remove a file and its content; raises ApiError 404."""
        self.find("files", name)
        self._path("files", name).unlink()
        self._content(name).unlink(missing_ok=True)

    def add_file(self, filename: str, purpose: str, content: bytes) -> dict[str, Any]:
        """Store an uploaded or produced file; raises ApiError 413."""
        if len(content) > MAX_FILE_BYTES:
            message = f"the file has {len(content)} bytes; the limit is {MAX_FILE_BYTES}"
            raise ApiError(413, message, param="file")
        name = new_id("file-", filename, purpose, content)
        _write(self._content(name), content)
        described = {
            "id": name,
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
        }
        return self.save("files", described)

    def content(self, name: str) -> bytes:
        """The bytes of a file; raises ApiError 404."""
        self.find("files", name)
        return self._content(name).read_bytes()

    def _content(self, name: str) -> Path:
        return self._root / "files" / f"{name}.bin"

    def _path(self, kind: str, name: str) -> Path:
        if not _ID.match(name):
            raise ApiError(404, f"No such {kind.rstrip('s')} object: {name}", param="id")
        return self._root / kind / f"{name}.json"


def new_id(prefix: str, *parts: object) -> str:
    """An id that no other object has: its parts, the time and the process decide it."""
    seen = "\x1f".join(str(part) for part in (*parts, time.time_ns(), os.getpid()))
    return prefix + hashlib.blake2b(seen.encode(), digest_size=12).hexdigest()


def page(values: list[dict[str, Any]], limit: int, after: str | None) -> dict[str, Any]:
    """A list response: ``limit`` values after the one whose id is ``after``."""
    ids = [value["id"] for value in values]
    start = ids.index(after) + 1 if after in ids else 0
    shown = values[start : start + limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": start + limit < len(values),
    }


def lines_of(content: bytes) -> Iterable[tuple[int, bytes]]:
    """The non-empty lines of a JSONL file with their numbers from 1."""
    return ((n, line) for n, line in enumerate(content.splitlines(), 1) if line.strip())


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)
