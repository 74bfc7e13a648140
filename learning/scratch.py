"""Files that tools leave while something is rehearsed: kept for as long as it takes, then gone."""

from __future__ import annotations

import hashlib
from uuid import NAMESPACE_OID, UUID, uuid5

from agents.tools.registry import ArtifactStore
from config.errors import NotFound


class Scratch:
    """Reads what ``under`` holds; what is saved stays here, so that nobody meets it later."""

    def __init__(self, under: ArtifactStore) -> None:
        self._under = under
        self._made: dict[str, bytes] = {}
        self._missed: set[str] = set()

    def read(self, ref: str) -> bytes:
        """The bytes of a file of this rehearsal or of the store; raises NotFound."""
        made = self._made.get(str(ref))
        if made is not None:
            return made
        try:
            return self._under.read(ref)
        except NotFound:
            self._missed.add(str(ref))
            raise

    def is_short_of(self, recorded: str) -> bool:
        """Whether a file was missed that ``recorded`` tells of, or that was made here before.

        A process that died took with it what it had made. A reference that nobody ever gave is no
        loss: a model has invented it.
        """
        return any(ref in recorded or _is_made(ref) for ref in self._missed)

    def save(self, name: str, content: bytes, content_type: str) -> str:
        """Keep ``content``; the same name and content give the same reference."""
        digest = hashlib.sha256(content).hexdigest()
        ref = str(uuid5(NAMESPACE_OID, f"{name}/{content_type}/{digest}"))
        self._made[ref] = content
        return ref


def _is_made(ref: str) -> bool:
    try:
        return UUID(ref).version == uuid5(NAMESPACE_OID, "").version  # those of files are others
    except ValueError:
        return False
