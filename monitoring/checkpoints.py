"""The signed checkpoint files beside the data: ``head.json`` and one a day.

They lie outside the database, so that who may write to it alone can't shorten its log unseen.
Copy the folder elsewhere daily (write-once storage, another account) and nobody can.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from monitoring.domain import chain
from monitoring.domain.checkpoints import Checkpoint, key_of, read, signed
from monitoring.models import AuditSeal


class BadCheckpoint(Exception):
    """A checkpoint file that this installation did not sign as it stands."""


def folder() -> Path:
    """Where checkpoints lie: ``<home>/audit/<database>``."""
    return settings.RATCHET_HOME / "audit" / str(settings.DATABASES["default"]["NAME"])


def write(seal: AuditSeal) -> None:
    """Sign how far the chain reaches now, as the head and as today's checkpoint."""
    now = datetime.now(UTC)
    checkpoint = Checkpoint(
        number=seal.number,
        sequence=seal.first_sequence + len(seal.entry_ids) - 1,
        digest=bytes(seal.digests[-chain.SIZE :]).hex(),
        at=now.isoformat(timespec="seconds"),
    )
    text = signed(checkpoint, key_of(settings.SECRET_KEY)) + "\n"
    place = folder()
    place.mkdir(parents=True, exist_ok=True)
    with suppress(BadCheckpoint):
        before = head()
        if before is not None and before.number > checkpoint.number:
            return  # another process has sealed more meanwhile
    for name in ("head.json", f"{now:%Y-%m-%d}.json"):
        partial = place / f".{name}.{os.getpid()}"
        partial.write_text(text)
        partial.replace(place / name)


def head() -> Checkpoint | None:
    """The last checkpoint; None before the first. Raises BadCheckpoint if it was changed."""
    return _read(folder() / "head.json")


def dated() -> list[Checkpoint]:
    """Every day's checkpoint, oldest first. Raises BadCheckpoint at the first changed one."""
    found = [_read(path) for path in sorted(folder().glob("[0-9]*.json"))]
    return [checkpoint for checkpoint in found if checkpoint is not None]


def reaches(last: AuditSeal | None) -> bool:
    """Whether a chain that ends with ``last`` is as long as the head says it was."""
    try:
        said = head()
    except BadCheckpoint:
        return False
    return said is None or (last is not None and last.number >= said.number)


def _read(path: Path) -> Checkpoint | None:
    try:
        return read(path.read_text(), key_of(settings.SECRET_KEY).public_key())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise BadCheckpoint(f"{path.name}: {error}") from None
