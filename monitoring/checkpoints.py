"""The signed checkpoint files beside the data: ``head.json`` and one a day.

A file signed with a key of before (``SECRET_KEY_FALLBACKS``) still counts. They lie outside the
database, so that who may write to it alone can't shorten its log unseen. Copy the folder elsewhere
daily (write-once storage, another account) and nobody can.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from monitoring.domain import chain
from monitoring.domain.checkpoints import Checkpoint, key_of, read, read_by_its_own_key, signed
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


def sign_again() -> tuple[int, list[str]]:
    """Sign with today's key what an unknown one signed and the chain bears out.

    For a ``SECRET_KEY`` that was changed without keeping the old one among the fallbacks. Returns
    how many files were signed, and the names of those that the chain contradicts.
    """
    done, refused = 0, []
    for path in sorted(folder().glob("[0-9h]*.json")):
        with suppress(BadCheckpoint):
            _read(path)
            continue
        try:
            said = read_by_its_own_key(path.read_text())
        except ValueError:
            refused.append(path.name)
            continue
        seal = AuditSeal.objects.filter(number=said.number).first()
        if seal is None or (said.sequence, said.digest) != (
            seal.first_sequence + len(seal.entry_ids) - 1,
            bytes(seal.digests[-chain.SIZE :]).hex(),
        ):
            refused.append(path.name)
            continue
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_text(signed(said, key_of(settings.SECRET_KEY)) + "\n")
        partial.replace(path)
        done += 1
    return done, refused


def _read(path: Path) -> Checkpoint | None:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    why = ""
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return read(text, key_of(secret).public_key())
        except ValueError as error:
            why = why or str(error)
    raise BadCheckpoint(f"{path.name}: {why}")
