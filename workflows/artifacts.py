"""Stored files. The same content of a client is stored once.

Who may see a file follows from who gave it and which runs use it (``rights.visible_artifacts``),
so both are written down. A run opens what it or one of its family (the runs around and inside it,
forks and their originals) was given or made, and what the person who started it may see.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction

from config import logs
from config.access import callers
from config.access.ids import uuid7
from config.access.models import User
from config.errors import Forbidden, InvalidInput, NotFound, Unavailable
from workflows import rights
from workflows.database import execute
from workflows.models import Artifact

logger = logging.getLogger(__name__)


@transaction.atomic
def save(
    *,
    client_id: UUID,
    name: str,
    content: bytes,
    content_type: str = "application/octet-stream",
    user_id: UUID | None = None,
    run_id: UUID | None = None,
) -> Artifact:
    """Store ``content``; the same name and content of a client give the same artifact.

    It is then known as given by ``user_id`` and used by ``run_id``.

    Raises InvalidInput over MAX_ARTIFACT_BYTES, Unavailable when the disk refuses it.
    """
    limit = settings.MAX_ARTIFACT_BYTES
    if len(content) > limit:
        raise InvalidInput(
            "file", f"{len(content)} bytes", f"at most {limit} bytes ({limit // 2**20} MB)"
        )
    if not name.strip() or len(name) > 200:
        raise InvalidInput("name", name, "1 to 200 characters")
    kept = _stored(client_id, name, content, content_type, user_id)
    # In rows of their own: that a person gave it may be forgotten, while the run still uses it.
    if run_id is not None:
        execute(_USE, {"ids": [kept.pk], "run": run_id, "user": None})
    if user_id is not None and kept.created_by_id != user_id:
        execute(_USE, {"ids": [kept.pk], "run": None, "user": user_id})
    return kept


_SAME = """
SELECT id FROM workflows_artifact
WHERE client_id = %(client_id)s AND sha256 = %(sha256)s AND name = %(name)s FOR SHARE
"""


def _stored(
    client_id: UUID, name: str, content: bytes, content_type: str, user_id: UUID | None
) -> Artifact:
    digest = hashlib.sha256(content).hexdigest()
    same = {"client_id": client_id, "sha256": digest, "name": name}
    # Held, so that who gave it first is not erased with it while it is given once more.
    for (kept,) in execute(_SAME, same):
        return Artifact.objects.get(pk=kept)
    made = Artifact(
        id=uuid7(), **same, content_type=content_type, size=len(content), created_by_id=user_id
    )
    try:
        # The file's own name is the id: what people call it never meets the file system.
        made.file.save(f"{made.id}.bin", ContentFile(content), save=False)
    except OSError as error:
        raise Unavailable("artifact storage", error.strerror or "it cannot be written") from error
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError:  # another worker stored the same content first
        made.file.delete(save=False)
        return Artifact.objects.get(**same)
    logs.event(logger, "workflows.artifact.saved", artifact=str(made.pk), size=made.size)
    return made


_USE = """
INSERT INTO workflows_artifactuse (artifact_id, run_id, user_id)
SELECT id, %(run)s::uuid, %(user)s::uuid FROM unnest(%(ids)s::uuid[]) AS id
ON CONFLICT DO NOTHING
"""


def used_by_run(given: Mapping[str, Any], *, run_id: UUID) -> None:
    """Write down that a run was given these artifacts, by the names of its inputs."""
    if given:
        ids = [UUID(str(ref)) for ref in given.values()]
        execute(_USE, {"ids": ids, "run": run_id, "user": None})


def no_artifact(name: str, given: Any) -> InvalidInput:
    """The error for an input that names no artifact which its giver may see."""
    wanted = "must be the id of an artifact; upload the file to /api/v1/artifacts first"
    return InvalidInput(f"inputs.{name}", given, wanted)


def read(ref: str | UUID, *, client_id: UUID, run_id: UUID | None = None) -> bytes:
    """The bytes of an artifact of this client, if the run (where one is named) may open it.

    Raises NotFound.
    """
    found = find(ref, client_id=client_id)
    if run_id is not None and not _opens(run_id, found):
        raise NotFound("artifact", ref)
    return _open(found)


def require(name: str, ref: Any, *, client_id: UUID, run_id: UUID) -> None:
    """Raise InvalidInput if a run may not open what it gives as the input ``name`` of another."""
    if not _opens(run_id, find(ref, client_id=client_id)):
        raise no_artifact(name, ref)


_FAMILY = """
SELECT r.started_by_id, EXISTS (
    SELECT 1 FROM workflows_artifactuse u JOIN workflows_run o ON o.id = u.run_id
    WHERE u.artifact_id = %(artifact)s
      AND coalesce(o.family_id, o.id) = coalesce(r.family_id, r.id))
FROM workflows_run r WHERE r.id = %(run)s
"""


def _opens(run_id: UUID, artifact: Artifact) -> bool:
    """Whether a run may open a file of its client."""
    rows = execute(_FAMILY, {"run": run_id, "artifact": artifact.pk})
    starter, is_ours = rows[0] if rows else (None, False)
    if is_ours or starter is None:
        return is_ours
    try:
        person = callers.of_user(User.objects.get(pk=starter))
    except (Forbidden, NotFound):  # has no membership any more
        return False
    return rights.visible_artifacts(person).filter(pk=artifact.pk).exists()


def find(ref: str | UUID, *, client_id: UUID) -> Artifact:
    """An artifact of this client; raises NotFound, also for what is no id at all."""
    try:
        key = ref if isinstance(ref, UUID) else UUID(str(ref))
    except ValueError:
        raise NotFound("artifact", ref) from None
    found = Artifact.objects.filter(pk=key, client_id=client_id).first()
    if found is None:
        raise NotFound("artifact", ref)
    return found


def _open(artifact: Artifact) -> bytes:
    if not artifact.file:
        raise NotFound("artifact", artifact.pk)  # erased with the person who gave it
    try:
        with artifact.file.open("rb") as file:
            content: bytes = file.read()
            return content
    except FileNotFoundError:  # it will not come back by waiting
        raise NotFound("artifact", artifact.pk) from None
    except OSError as error:
        raise Unavailable("artifact storage", error.strerror or "it cannot be read") from error


@dataclass(frozen=True, slots=True)
class Store:
    """The artifacts of one client, as the tools of a run see them."""

    client_id: UUID
    run_id: UUID | None = None

    def read(self, ref: str) -> bytes:
        return read(ref, client_id=self.client_id, run_id=self.run_id)

    def save(self, name: str, content: bytes, content_type: str) -> str:
        kept = save(
            client_id=self.client_id, name=name, content=content, content_type=content_type,
            run_id=self.run_id,
        )  # fmt: skip
        return str(kept.pk)


def store_for(client_id: UUID, run_id: UUID | None = None) -> Store:
    """The store bound to a client and a run of it (named in settings.ARTIFACT_STORE)."""
    return Store(client_id, run_id)
