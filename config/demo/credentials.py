"""What the demo people sign in with, kept beside the data and readable by its owner only."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

_FILE = "people.json"


@dataclass(frozen=True, slots=True)
class Credentials:
    """One person's: ``key`` is empty for those who only sign in by hand."""

    username: str
    role: str
    password: str
    key: str = ""


def read(home: Path) -> dict[str, Credentials]:
    """Everybody's, by user name; empty before the first preparation."""
    try:
        raw = json.loads((home / _FILE).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {entry["username"]: Credentials(**entry) for entry in raw}


def write(home: Path, people: dict[str, Credentials]) -> None:
    """Replace the file (0600) whole. Raises OSError."""
    partial = home / f".{_FILE}"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as stream:
        json.dump([asdict(person) for person in people.values()], stream, indent=1)
    partial.replace(home / _FILE)
